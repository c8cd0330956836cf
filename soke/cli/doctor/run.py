"""What is checked: a configuration, and the commands that a user would type with it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from omegaconf import DictConfig

from soke import assemble as build
from soke.cli.doctor.rows import Fix, quiet
from soke.config import ConfigError, as_overrides, load_config
from soke.data.corpora import Corpus
from soke.parts import PartTable
from soke.training.checkpoints import checkpoint_folder

#: Where `python -m prepare.fingerspelling` writes by default.
DEMO = Path("deps/fingerspelling")
#: Sections of the command line that a generator's run and its tokenizer's have in common.
_SHARED = (
    "ACCELERATOR", "CORPORA", "DATASET", "DEVICE", "NUM_", "OUTPUT", "PARTS", "model.tokenizer",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A configuration and the words that chose it; with ``thorough`` everything is read."""

    config: DictConfig
    cfg: str
    words: tuple[str, ...]  # KEY=VALUE
    thorough: bool = False

    @classmethod
    def of(cls, config: DictConfig, options: argparse.Namespace, arguments: Sequence[str]) -> Run:
        """From what `soke.config.parse_command_line` returned, and what it was given."""
        words = [word for word in arguments if "=" in word and not word.startswith("-")]
        return cls(config, options.cfg, (*words, *as_overrides(options)), options.thorough)

    @cached_property
    def parts(self) -> PartTable:
        return build.part_table(self.config)

    @cached_property
    def corpora(self) -> dict[str, Corpus]:
        return build.corpora(self.config)

    @property
    def trains_tokenizer(self) -> bool:
        return self.config.TRAIN.STAGE == "vae"

    @property
    def writes_text(self) -> bool:
        return self.config.TRAIN.STAGE == "m2t"

    @property
    def network(self) -> str:
        """What is trained, as checkpoints name it."""
        if self.trains_tokenizer:
            return "tokenizer"
        return "text_decoder" if self.writes_text else "generator"

    def command(self, module: str, *more: str) -> str:
        """A command with this configuration."""
        return self._command(module, self.cfg, (*self.words, *more))

    def _command(self, module: str, cfg: str, words: Sequence[str]) -> str:
        real = () if self.config.DEBUG else ("--nodebug",)
        return shlex.join(["python", "-m", module, "--cfg", cfg, *real, *words])

    def train_tokenizer(self) -> Fix:
        """How the checkpoint that ``TRAIN.PRETRAINED_VAE`` names comes about."""
        words = [word for word in self.words if word.startswith(_SHARED)]
        path = Path(self.config.TRAIN.PRETRAINED_VAE)
        for candidate in sorted(Path(self.cfg).parent.glob("*.yaml")):
            try:
                with quiet():
                    other = load_config(candidate, debug=None)
            except (ConfigError, FileNotFoundError):
                continue
            same_run = checkpoint_folder(other.NAME) == Path(*path.parent.parts[-2:])
            if other.TRAIN.STAGE == "vae" and same_run:
                return Fix(command=self._command("train", str(candidate), words))
        return Fix(
            "Name a trained tokenizer with TRAIN.PRETRAINED_VAE=..., or train one with a "
            "configuration of the stage vae:",
            self._command("train", "configs/deto.yaml", words),
        )


def is_demo(path: str | Path) -> bool:
    """Whether `python -m prepare.fingerspelling` makes it."""
    return Path(path).is_relative_to(DEMO)


#: How the demo's data sets and statistics are made, and made again where they are damaged.
MAKE_DEMO = Fix(command="python -m prepare.fingerspelling")
MAKE_DEMO_AGAIN = Fix(command="python -m prepare.fingerspelling --force")
