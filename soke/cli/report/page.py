"""Puts everything that is shown into the template, which escapes the texts of data sets."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.progress import track

from soke.cli.report import distributions, wording
from soke.cli.report import published_scores as published
from soke.cli.report.clip_choice import chosen_clips, order_of
from soke.cli.report.films import FilmMaker
from soke.cli.run_results import Results
from soke.metrics.aggregate import TOTAL

_FOLDER = Path(__file__).parent
#: Scores whose distributions are shown, if the clips have them.
_DISTRIBUTIONS = (
    "DTW_PA_JPE_body DTW_PA_JPE_hands DTW_JPE_body DTW_JPE_hands length_ratio text_rouge_l"
).split()
_FACTS = "split body seed commit checkpoint checkpoint_sha256 tokenizer tokenizer_sha256".split()
#: Columns of the table of clips that a clip's card shows: numbers, and texts made of its motion.
_NUMBERS = "DTW_JPE_body DTW_JPE_hands DTW_PA_JPE_body DTW_PA_JPE_hands length_ratio".split()
_READINGS = {"translation": "translated back", "read": "signs read back"}


def build_page(results: Results, order_by: str | None = None, clips: int = 1) -> str:
    """The page as HTML.

    ``clips`` clips of each kind (best, median, worst) are shown per data set, ordered by a column
    of the table of clips. Raises ``ValueError`` for an unknown column.
    """
    about = results.about
    order = order_of(results, order_by)
    maker = FilmMaker(results)
    shown = chosen_clips(results, order, clips) if order else []
    cards = [(clip, maker.film(clip.corpus, clip.name)) for clip in track(shown, "rendering")]
    filmed = any(film for _, film in cards)
    corpora = [corpus for corpus in about["scores"] if corpus != TOTAL]
    whole = [TOTAL] if len(corpora) > 1 and TOTAL in about["scores"] else []
    known = [corpus for corpus in corpora if corpus in published.CORPUS_TITLES]
    beside = [
        name for name in published.PUBLISHED if any(name in about["scores"][c] for c in known)
    ]
    arrows = {True: "↓", False: "↑", None: ""}
    template = _environment().get_template("page.html")
    return template.render(
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        results=results,
        tables=[*whole, *corpora],
        arrows={name: arrows[s.lower_is_better] for name, s in results.scores().items()},
        units=about.get("units") or {},
        differences=published.differences(results),
        published={name: published.PUBLISHED[name] for name in beside},
        published_corpora=known,
        run_intervals=_run_intervals(results),
        charts=_charts(results, corpora),
        geometry=distributions,
        order=order,
        cards=cards,
        card_numbers=[name for name in _NUMBERS if name in results.clips],
        card_readings=_READINGS,
        drawn_with=maker.body.name if filmed and maker.body.name != about["body"] else None,
        has_motion="length_ratio" in results.clips,
        has_predictions=maker.has_predictions,
        facts=_facts(results),
        timing=about.get("timing") or {},
        configuration=_configuration(results),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in ("title", "readable", "label", "number", "interval", "by_group"):
        environment.filters[function] = getattr(wording, function)
    return environment


def _charts(results: Results, corpora: list[str]) -> list[distributions.Chart]:
    units = results.about.get("units") or {}
    tables = {system: results.rows(system) for system in results.systems}
    found = []
    for name in _DISTRIBUTIONS:
        if name not in results.clips:
            continue
        unit = f" [{units[name]}]" if units.get(name) else ""
        for corpus in corpora:
            values = {
                system: rows.loc[rows["corpus"] == corpus, name].to_numpy(float)
                for system, rows in tables.items()
            }
            title = f"{wording.label(name)}{unit}, {wording.title(corpus)}"
            found.append(distributions.make_chart(title, values))
    return [chart for chart in found if chart]


def _run_intervals(results: Results) -> dict[str, dict[str, list[float]]]:
    """By corpus and score: mean, low and high over runs; empty for a single run."""
    several = len(results.about.get("runs") or ()) > 1
    return (results.about.get("run_intervals") or {}) if several else {}


def _configuration(results: Results) -> str:
    found = results.about.get("configuration")
    return json.dumps(found, indent=2, ensure_ascii=False) if found else ""


def _facts(results: Results) -> dict[str, str]:
    about = results.about
    facts = {wording.readable(key): str(about[key]) for key in _FACTS if about.get(key) is not None}
    versions = about.get("versions") or {}
    if versions:
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    return facts
