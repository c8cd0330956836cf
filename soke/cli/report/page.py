"""Everything that is shown, put into the template."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.progress import track

from soke.cli.report import charts, view
from soke.cli.report import published_scores as published
from soke.cli.report.clips import ShownClip, chosen_clips, order_of
from soke.cli.report.videos import Film, FilmMaker
from soke.cli.run_results import Results
from soke.files import atomic_path

#: Scores whose distributions are shown, as far as the clips have them.
SHOWN = ("DTW_PA_JPE_body", "DTW_PA_JPE_hands", "DTW_JPE_body", "DTW_JPE_hands", "length_ratio",
         "text_rouge_l")  # fmt: skip
_FACTS = ("split", "body", "seed", "commit", "checkpoint", "checkpoint_sha256", "tokenizer",
          "tokenizer_sha256")  # fmt: skip


@dataclass(frozen=True)
class Chart:
    title: str
    svg: Markup


@dataclass(frozen=True)
class ClipCard:
    clip: ShownClip
    film: Film | None


def build_page(results: Results, order_by: str | None = None, clips: int = 1) -> str:
    """The page as HTML.

    ``clips`` of each kind (best, median, worst) are shown of every data set, ordered by a column
    of the table of clips. Raises ``ValueError`` for a column that is not there.
    """
    order = order_of(results, order_by)
    maker = FilmMaker(results)
    shown = chosen_clips(results, order, clips) if order and clips else []
    cards = [
        ClipCard(clip, maker.film(clip.corpus, clip.name)) for clip in track(shown, "rendering")
    ]
    filmed = any(card.film for card in cards)
    titles, rows = view.published_rows(results)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        style=Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8")),
        results=results,
        system=view.readable(results.system),
        differences=published.differences(results),
        published_titles=titles,
        published_rows=rows,
        tables=view.tables(results),
        over_runs=view.over_runs(results),
        charts=_charts(results),
        order=view.label(order) if order else None,
        cards=cards,
        drawn_with=maker.body.name if filmed and maker.has_other_body else None,
        has_motion="length_ratio" in results.clips,
        has_predictions=maker.has_predictions,
        facts=_facts(results),
        timing=results.about.get("timing") or {},
        configuration=_configuration(results),
    )


def write_page(page: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _charts(results: Results) -> list[Chart]:
    units = results.about.get("units") or {}
    systems = [results.system, *(results.about.get("baselines") or {})]
    tables = {system: results.rows(system) for system in systems}
    found = []
    for name in SHOWN:
        if name not in results.clips:
            continue
        for corpus in view.corpora(results):
            values = {
                system: rows.loc[rows["corpus"] == corpus, name].to_numpy(float)
                for system, rows in tables.items()
            }
            unit = f" [{units[name]}]" if units.get(name) else ""
            title = f"{view.label(name)}{unit}, {view.title(corpus)}"
            if svg := charts.distributions(values, title):
                found.append(Chart(title, Markup(svg)))
    return found


def _configuration(results: Results) -> str:
    found = results.about.get("configuration")
    return json.dumps(found, indent=2, ensure_ascii=False) if found else ""


def _facts(results: Results) -> list[tuple[str, str]]:
    about = results.about
    facts = [(view.readable(key), str(about[key])) for key in _FACTS if about.get(key) is not None]
    versions = ", ".join(f"{name} {value}" for name, value in (about.get("versions") or {}).items())
    return [*facts, *([("versions", versions)] if versions else [])]
