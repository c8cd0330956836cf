"""What is written of clips that are shown: videos, a page for the browser, files for others."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import track

from soke.assemble.run import Run
from soke.body import BodyModel
from soke.exports import EXPORTS, export
from soke.viewer import write_page
from soke.visualization.clip_video import FORMATS, SHEET, Look, film
from soke.visualization.clip_view import ClipToShow

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """Where to, and in which forms.

    ``formats`` are keys of `soke.visualization.clip_video.FORMATS`, ``exports`` of
    `soke.exports.EXPORTS`; ``html`` writes one page with all clips.
    """

    folder: Path
    formats: tuple[str, ...] = ("mp4",)
    html: bool = False
    exports: tuple[str, ...] = ()
    look: Look = field(default_factory=Look)

    def endings(self) -> tuple[str, ...]:
        """Of the files that a clip may become, for names that are still free."""
        films = [FORMATS[name] for name in self.formats]
        films += [SHEET] if films else []
        kinds = [f"-generated{EXPORTS[kind].suffix}" for kind in self.exports]
        return (*films, *kinds)

    def write(self, body: BodyModel, clip: ClipToShow, stem: Path) -> list[Path]:
        """Everything but the page of one clip, as ``stem`` with endings; each file is named."""
        written: list[Path] = []
        sheet = stem.with_name(f"{stem.name}{SHEET}")
        for name in self.formats:
            path = stem.with_name(f"{stem.name}{FORMATS[name]}")
            written += film(body, clip, path, self.look, sheet)
        for kind in self.exports:
            for system in clip.systems:
                path = stem.with_name(f"{stem.name}-{system.title.replace('/', '_')}")
                written += export(
                    kind,
                    path,
                    system.motion,
                    body,
                    clip.fps,
                    text=clip.text,
                    language=clip.language,
                    tokens=system.tokens,
                    keywords=clip.keywords,
                    missing=clip.missing,
                    title=system.title,
                    tint=system.tint,
                )
        written = list(dict.fromkeys(written))
        _log(written)
        return written

    def write_all(
        self, body: BodyModel, clips: Iterable[tuple[ClipToShow, Path]], count: int, page: str
    ) -> list[Path]:
        """All files of clips with their stems; the page is called ``page``."""
        written = []
        shown = []
        for clip, stem in track(clips, "rendering", total=count):
            written += self.write(body, clip, stem)
            if self.html:
                shown.append(clip)
        if shown:
            path = self.folder / f"{page}.html"
            written.append(write_page(path, shown, body, title=page))
            _log(written[-1:])
        return written


def _log(written: Iterable[Path]) -> None:
    for path in written:
        log.info("wrote %s", path)


def output_of(run: Run, options: argparse.Namespace) -> Output:
    """What the command line asks for."""
    return Output(
        options.out or output_folder(run),
        tuple(dict.fromkeys(options.format)),
        options.html,
        tuple(dict.fromkeys(options.export)),
        look(run, options.view),
    )


def look(run: Run, view: str = Look().view) -> Look:
    """How films look: the configuration's ``RENDER`` section and a view."""
    render = run.RENDER
    return Look(view, render.FONT, render.BACKGROUND)


def output_folder(run: Run) -> Path:
    """Where pictures go if no other folder is named."""
    return Path(run.OUTPUT.VISUALIZE) / run.NAME
