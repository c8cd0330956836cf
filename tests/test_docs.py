"""README and the pages of docs/ name nothing that does not exist."""

import importlib.util
import itertools
import re
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from soke.cli import main
from soke.config import SCHEMA

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Folders of the repository; `deps` and what runs write hold nothing but what the user makes.
FOLDERS = r"(?:configs|soke|prepare|tests|benchmarks|docs|\.github)"
PATH = re.compile(rf"(?<![\w./{{}}-]){FOLDERS}(?:/[\w.{{}},-]+)+")
#: What a page tells the user to write.
EXAMPLES = {"configs/mine.yaml"}
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def code(page: Path) -> str:
    return "\n".join(CODE.findall(page.read_text(encoding="utf-8")))


def expanded(path: str) -> list[str]:
    """`a/{b,c}` as `a/b` and `a/c`."""
    pieces = re.split(r"\{(.*?)\}", path)
    return ["".join(choice) for choice in itertools.product(*(p.split(",") for p in pieces))]


def known_keys(config: DictConfig, prefix: str = "") -> set[str]:
    keys = set()
    for name in config:
        keys.add(f"{prefix}{name}")
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_none():
            keys |= known_keys(node, f"{prefix}{name}.")
    return keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page):
    named = {path for match in PATH.findall(code(page)) for path in expanded(match)}
    lost = [path for path in named - EXAMPLES if not (ROOT / path.rstrip(".")).exists()]
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_modules_exist(page):
    named = set(re.findall(r"python -m ([\w.]+)", code(page))) - {"venv"}
    assert not [name for name in named if importlib.util.find_spec(name) is None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_subcommands_exist(page):
    named = set(re.findall(r"(?:^|`|python -m )soke ([a-z][\w-]*)", code(page), re.MULTILINE))
    assert not named - set(main.COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_keys_exist(page):
    schema = OmegaConf.load(SCHEMA)
    sections = "|".join(key for key in schema if isinstance(schema[key], DictConfig))
    named = set(re.findall(rf"(?<![\w./])(?:{sections})\.(?![<{{])[\w.]+", code(page)))
    named |= set(re.findall(r"(?<![\w./-])([A-Z]\w*(?:\.\w+)*)=", code(page)))
    known = known_keys(schema)
    unknown = [key for key in named if key.rstrip(".") not in known]
    assert not [key for key in unknown if not key.startswith("CORPORA.")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_are_whole(page):
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    targets = [target for target in targets if not target.startswith("images/")]
    assert not [target for target in targets if not (page.parent / target).exists()]
