"""What a demo data set is made of, whether it is there already, and making it.

Imports of the makers are deferred: finding that nothing is to be done should take no time.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from prepare.fingerspelling.languages import LANGUAGES
from prepare.fingerspelling.recordings import WHEEL, lexicon_folder
from prepare.fingerspelling.release_layouts import SIGN_LIST
from soke.body import body_name, locate_body_model
from soke.files import atomic_path, checksum

log = logging.getLogger(__name__)

#: Raised when a change to this package changes the files it writes.
RECIPE = 1
#: Says what an output folder is (being) made of; and, when all is there, what is in it.
SETTINGS = "settings.json"
MANIFEST = "manifest.json"
#: Packages whose contents end up in the files.
_SOURCES = (WHEEL, "wordfreq", "pypinyin")


@dataclass(frozen=True)
class Settings:
    """Choices that decide the content.

    words: how many of the most frequent words each corpus takes, held-out ones included. timings:
    clips of each training word. held_out: words in val, and as many in test. lengths: fewest and
    most letters of a word. extra_signers: let more signers take turns over the timings.
    """

    corpora: tuple[str, ...] = tuple(LANGUAGES)
    words: Mapping[str, int] = field(default_factory=dict)
    timings: int = 1
    held_out: int = 40
    seed: int = 1234
    lengths: tuple[int, int] = (3, 7)
    extra_signers: bool = False

    def __post_init__(self) -> None:
        unknown = sorted({*self.corpora, *self.words} - set(LANGUAGES))
        if unknown or not self.corpora:
            raise ValueError(f"unknown corpora {unknown}: choose from {list(LANGUAGES)}")
        if self.timings < 1 or self.held_out < 1:
            raise ValueError("--timings and --held-out are 1 or more")
        if not 1 <= self.lengths[0] <= self.lengths[1]:
            raise ValueError(f"--lengths {self.lengths}: the fewest letters, then the most")
        words = {name: self.words.get(name, LANGUAGES[name].words) for name in self.corpora}
        object.__setattr__(self, "corpora", tuple(name for name in LANGUAGES if name in words))
        object.__setattr__(self, "words", {name: words[name] for name in self.corpora})


def build(settings: Settings, out: Path, force: bool = False, processes: int = 2) -> dict:
    """Make the data set at ``out`` unless it is there; a stopped run is carried on.

    Returns the manifest. Raises ``ValueError`` if ``out`` holds a data set of other settings
    (``force`` replaces it) or files that were not made here, and `MissingAssetError` without the
    recordings.
    """
    identity = _identity(settings)
    _check_folder(out, identity, force)
    manifest = _finished(out, identity)
    if manifest and not force:
        log.info("%s: everything is there already", out)
        return manifest
    if force:
        _clear(out)
    for discarded in out.glob(".*.discarded"):
        shutil.rmtree(discarded)
    _write_json(out / SETTINGS, identity)

    from prepare.fingerspelling.clip_writing import write_corpora
    from prepare.fingerspelling.skeleton import rest_skeleton

    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as bar:
        counts = write_corpora(
            settings,
            out,
            rest_skeleton(),
            lambda clips, total: bar.track(clips, total, description="spelling words"),
            processes,
        )
    manifest = {**identity, "tools": _versions(("numpy", "scipy", "pose-format")), "counts": counts}
    _write_json(out / MANIFEST, manifest)
    for corpus, splits in counts.items():
        log.info("%s: %s", corpus, ", ".join(f"{s} {c['clips']} clips" for s, c in splits.items()))
    return manifest


def _identity(settings: Settings) -> dict:
    """Everything that the content depends on, as JSON gives it back."""
    lexicon_folder()
    body = locate_body_model()
    sources = _versions(_SOURCES)
    identity = {
        "recipe": RECIPE,
        **asdict(settings),
        "body": {"name": body_name(body), "sha256": checksum(body)},
        "sources": sources,
    }
    return json.loads(json.dumps(identity))


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: version(package) for package in packages}


def _check_folder(out: Path, identity: Mapping, force: bool) -> None:
    """Refuse a folder whose content is of other settings, or not ours."""
    roots = [language.layout.root for language in LANGUAGES.values()]
    there = [name for name in (*roots, "mean.pt", "std.pt") if (out / name).exists()]
    if not there:
        return
    if not (out / SETTINGS).exists():
        raise ValueError(
            f"{out} holds {there}, which this program did not make: choose another --out"
        )
    made = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
    changes = [
        f"{key} is {made.get(key)} there and {identity.get(key)} here"
        for key in {**made, **identity}
        if made.get(key) != identity.get(key)
    ]
    if changes and not force:
        raise ValueError(
            f"{out} holds data of other settings: {'; '.join(changes)}. Choose another --out, or "
            "replace it with --force"
        )


def _finished(out: Path, identity: Mapping) -> dict | None:
    """The manifest, if it is of these settings and every clip folder and list is there."""
    if not (out / MANIFEST).exists():
        return None
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    if any(manifest.get(key) != value for key, value in identity.items()):
        return None
    files = [out / "mean.pt", out / "std.pt"]
    for corpus, splits in manifest["counts"].items():
        language = LANGUAGES[corpus]
        files.append(out / language.layout.root / SIGN_LIST)
        files += [out / language.layout.annotation_path(split) for split in splits]
        parents = {(out / language.layout.clip_folder(split, "-")).parent for split in splits}
        there = sum(not path.name.startswith(".") for p in parents for path in _folders(p))
        clips = sum(split["clips"] for split in splits.values())
        if there < clips + len(language.alphabet):
            return None
    return manifest if all(path.exists() for path in files) else None


def _folders(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()] if path.exists() else []


def _clear(out: Path) -> None:
    """Set aside all that was made at ``out``, for `build` to delete; the settings go last."""
    for name in (MANIFEST, "mean.pt", "std.pt"):
        (out / name).unlink(missing_ok=True)
    for language in LANGUAGES.values():
        root = language.layout.root
        if (out / root).exists():
            # Out of the way at once: a half-deleted clip would pass for a whole one.
            discarded = tempfile.mkdtemp(prefix=f".{root}.", suffix=".discarded", dir=out)
            (out / root).rename(Path(discarded, root))
    (out / SETTINGS).unlink(missing_ok=True)


def _write_json(path: Path, content: Mapping) -> None:
    with atomic_path(path) as temporary:
        text = json.dumps(content, ensure_ascii=False, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
