import importlib.util
import shlex
from pathlib import Path

from prepare import demo
from soke.config import load_config

ROOT = Path(__file__).parents[2]


def test_every_step_names_a_module_a_configuration_and_known_keys():
    steps = demo.commands()
    assert len(steps) >= 10
    for _, command in steps:
        module, *words = shlex.split(command)
        assert importlib.util.find_spec(module) is not None, module
        if "--cfg" in words:
            path = words[words.index("--cfg") + 1]
            load_config(ROOT / path, [word for word in words if "=" in word])


def test_an_interrupted_training_goes_on(tmp_path):
    assert "RESUME" not in demo.training("x.yaml", tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert demo.training("x.yaml", tmp_path).endswith(f"TRAIN.RESUME={tmp_path}")
