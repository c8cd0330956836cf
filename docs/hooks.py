"""Pages that are made from the repository, so that nothing has to be written twice.

A page asks for a piece with a line of its own:

    {{ keys }}                    every configuration key, from the comments of the default file
    {{ rooms }}                   the packages of soke by level, from tests/test_layers.py
    {{ section FILE # HEADING }}  what stands under a heading of another Markdown file
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from soke.config import SCHEMA  # noqa: E402, the root of the repository comes first

PICTURES = ("demo.png", "viewer.png")
_MARKER = re.compile(r"^\{\{ (\w+) ?(.*?) \}\}$", re.MULTILINE)
_KEY = re.compile(r"^( *)(\w+):(?: +(.*?))?(?: *(?<!\S)# (.*))?$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures that README shows too."""
    for name in PICTURES:
        source = ROOT / ".github" / name
        files.append(File.generated(config, f"images/{name}", abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the markers of a page."""
    makers = {"keys": configuration_keys, "rooms": rooms, "section": section}
    return _MARKER.sub(lambda match: makers[match[1]](match[2]), markdown)


def section(request: str) -> str:
    """The text under ``FILE # HEADING``, up to the next heading. Raises ``ValueError`` if none."""
    name, _, heading = request.partition(" # ")
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    if found is None:
        raise ValueError(f"{name} has no heading {heading!r}")
    return found[1].strip()


def rooms(_: str) -> str:
    """A table of the packages and modules of soke: level, name, first line of the docstring."""
    levels = runpy.run_path(str(ROOT / "tests" / "test_layers.py"))["LEVELS"]
    rows = ["| level | package | what it holds |", "|---|---|---|"]
    for name, level in sorted(levels.items(), key=lambda item: (item[1], item[0])):
        package = ROOT / "soke" / name / "__init__.py"
        path = package if package.exists() else ROOT / "soke" / f"{name}.py"
        if path.exists():
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            first_line = docstring.split("\n")[0].rstrip(":")
            rows.append(f"| {level} | `soke.{name}` | {first_line} |")
    return "\n".join(rows)


@dataclass
class Key:
    """A key of the default file."""

    path: str
    indent: int
    default: str
    comments: list[str] = field(default_factory=list)
    inline: bool = False  # whether a comment stands behind its value


@dataclass
class Section:
    """A top-level key with all that is below it."""

    name: str
    intro: list[str]
    lines: list[str] = field(default_factory=list)  # as they stand in the file
    keys: list[Key] = field(default_factory=list)

    @property
    def is_table(self) -> bool:
        """Whether its keys are ours; lists and rows of the user's own are shown as they are."""
        return self.name != "CORPORA" and not any(re.match(r" *- ", line) for line in self.lines)


def configuration_keys(_: str) -> str:
    """One heading per section, with a table of its keys or the section as it stands."""
    text = [f"The default configuration is `{SCHEMA.relative_to(ROOT)}`."]
    text += [_shown(part) for part in sections(SCHEMA.read_text(encoding="utf-8").splitlines())]
    return "\n\n".join(text)


def sections(lines: list[str]) -> Iterator[Section]:
    """The sections of the default file. Keys without a section are one, called ``The run``."""
    run = Section("The run", [])
    current, waiting = run, []
    for line in lines:
        key = _KEY.match(line)
        if not line.strip():
            waiting = []  # comments before an empty line are the file's own
        elif line.lstrip().startswith("#"):
            waiting.append(line)
        elif key and not key[1] and key[3]:
            run.lines.append(line)
            _add(run, key, waiting)
            waiting = []
        elif key and not key[1]:
            yield current
            current = Section(key[2], [comment.lstrip("# ") for comment in waiting], [line])
            waiting = []
        else:
            current.lines += [*waiting, line]
            if key:
                _add(current, key, waiting)
            waiting = []
    current.lines += waiting
    yield current


def _add(current: Section, key: re.Match, waiting: list[str]) -> None:
    """Add a key. Comments above it are its own, or go on with those of the key before."""
    above = [comment.lstrip("# ") for comment in waiting]
    indent = len(key[1])
    parents = [known for known in current.keys if known.indent < indent]
    same_depth = all(len(comment) - len(comment.lstrip()) == indent for comment in waiting)
    if above and current.keys and (key[4] or not same_depth) and current.keys[-1].inline:
        current.keys[-1].comments += above
        above = []
    prefix = f"{parents[-1].path}." if parents else ""
    if not prefix and current.name != "The run":
        prefix = f"{current.name}."
    comments = [*above, key[4]] if key[4] else above
    current.keys.append(Key(prefix + key[2], indent, key[3] or "", comments, bool(key[4])))


def _shown(part: Section) -> str:
    head = f"## {part.name}\n\n{_escaped(' '.join(part.intro))}\n"
    if not part.is_table:
        return f"{head}\n```yaml\n{chr(10).join(part.lines)}\n```"
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in part.keys:
        if key.default or key.comments:
            default = f"`{_escaped(key.default)}`" if key.default else ""
            rows.append(f"| `{key.path}` | {default} | {_escaped(' '.join(key.comments))} |")
    return f"{head}\n" + "\n".join(rows)


def _escaped(text: str) -> str:
    """Text that a table cell shows as it is."""
    text = text.replace("|", "\\|").replace("*", "\\*")
    return re.sub(r"<(\w+)>", r"&lt;\1&gt;", text)
