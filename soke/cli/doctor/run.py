"""The run that is checked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from soke.assemble.models import new_tokenizer
from soke.assemble.modules import new_generator, new_text_decoder
from soke.assemble.prompting import build_vocabulary
from soke.assemble.run import Run
from soke.data.listing.annotations import Clip


@dataclass(frozen=True)
class CheckedRun(Run):
    """A configuration, the words that chose it, and the clips that checks have found so far."""

    cfg: str
    words: tuple[str, ...]  # KEY=VALUE
    thorough: bool = False
    clips: dict[tuple[str, str], Sequence[Clip]] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """What a command needs to run with this configuration."""
        real = () if self.DEBUG else ("--nodebug",)
        return shlex.join(["--cfg", self.cfg, *real, *self.words])

    @property
    def kind(self) -> str:
        """What is trained, as checkpoints name it."""
        return {"vae": "tokenizer", "m2t": "text_decoder"}.get(self.TRAIN.STAGE, "generator")

    @property
    def training_splits(self) -> list[str]:
        return list(dict.fromkeys((self.TRAIN.SPLIT, self.EVAL.SPLIT)))

    def network(self) -> nn.Module:
        """What is trained, with random weights; without memory for those of a generator."""
        if self.kind == "tokenizer":
            return new_tokenizer(self)
        words = build_vocabulary(self)
        make = new_generator if self.kind == "generator" else new_text_decoder
        with torch.device("meta"):
            return make(self, words)
