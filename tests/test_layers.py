"""The layers hold: imports point down, and importing touches nothing."""

import ast
import graphlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: A module may import from its own level and from those below (smaller numbers).
LEVELS = {
    **dict.fromkeys(("parts", "structures", "files", "checkpoints", "unpickling", "config"), 0),
    **dict.fromkeys(("body", "data", "retrieval"), 1),
    **dict.fromkeys(("tokenizer", "generator", "metrics", "visualization", "exports"), 2),
    **dict.fromkeys(("blender", "training", "evaluation", "viewer"), 3),
    **dict.fromkeys(("assemble",), 4),
    **dict.fromkeys(("signer",), 5),
    **dict.fromkeys(("cli",), 6),
}


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            pieces = name.split(".")
            if pieces[0] == "soke" and len(pieces) > 1 and pieces[1] in LEVELS:
                rooms.add(pieces[1])
    return rooms


def test_imports_point_down():
    for path in (ROOT / "soke").rglob("*.py"):
        room = path.relative_to(ROOT / "soke").parts[0].removesuffix(".py")
        if room in ("__init__", "__main__") or path.name == "__main__.py":
            continue
        above = [other for other in imported_rooms(path) if LEVELS[other] > LEVELS[room]]
        assert not above, f"{path} imports {above} from above"


def test_networks_know_neither_lightning_nor_configuration():
    for room in ("tokenizer", "generator", "metrics", "retrieval", "body", "visualization"):
        for path in (ROOT / "soke" / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "import lightning" not in text and "omegaconf" not in text, path


def test_only_the_table_of_commands_knows_the_package_above_soke():
    for path in (ROOT / "soke").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not any(str(module).split(".")[0] == "prepare" for module in modules), path


def test_a_file_name_says_one_thing():
    paths = [path for room in ("soke", "prepare") for path in (ROOT / room).rglob("*.py")]
    names = Counter(path.name for path in paths if path.name != "__init__.py")
    assert len([name for name, count in names.items() if count > 1]) < 8


def test_importing_soke_is_light():
    code = "import soke, sys; assert 'torch' not in sys.modules and 'smplx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_verbs_stay_a_page():
    for verb in ("train.py", "test.py", "get_motion_code.py", "vis_mesh.py"):
        assert len((ROOT / verb).read_text(encoding="utf-8").splitlines()) < 60, verb


def test_public_names_are_there_after_import_soke():
    names = (
        "load load_tokenizer data.safe_load_pickle data.length_rule metrics.dtw_jpe "
        "metrics.dtw_pa_jpe"
    )
    code = f"import soke, operator; operator.attrgetter(*{names.split()!r})(soke)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Which of ``modules`` a file imports when it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & modules or {node.module} & modules
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
    return found


def test_no_import_goes_in_circles():
    paths = {}
    for room in ("soke", "prepare"):
        for path in (ROOT / room).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            paths[name.removesuffix(".__init__")] = path
    graph = {name: imported_modules(path, set(paths)) - {name} for name, path in paths.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_benchmarks_need_no_tests():
    for path in (ROOT / "benchmarks").glob("*.py"):
        assert "from tests" not in path.read_text(encoding="utf-8"), path
