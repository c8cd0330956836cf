"""The run that is checked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from omegaconf import DictConfig
from torch import nn

from soke import assemble
from soke.data.corpora import Corpus
from soke.data.listing.annotations import Clip


@dataclass
class Run:
    """A configuration, the words that chose it, and the clips that checks have found so far."""

    config: DictConfig
    cfg: str
    words: tuple[str, ...]  # KEY=VALUE
    thorough: bool = False
    clips: dict[tuple[str, str], Sequence[Clip]] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """What a command needs to run with this configuration."""
        real = () if self.config.DEBUG else ("--nodebug",)
        return shlex.join(["--cfg", self.cfg, *real, *self.words])

    @property
    def kind(self) -> str:
        """What is trained, as checkpoints name it."""
        return {"vae": "tokenizer", "m2t": "text_decoder"}.get(self.config.TRAIN.STAGE, "generator")

    @property
    def corpora(self) -> list[Corpus]:
        return list(assemble.corpora(self.config).values())

    @property
    def training_splits(self) -> list[str]:
        return list(dict.fromkeys((self.config.TRAIN.SPLIT, self.config.EVAL.SPLIT)))

    def network(self) -> nn.Module:
        """What is trained, with random weights; without memory for those of a generator."""
        if self.kind == "tokenizer":
            return assemble.new_tokenizer(self.config)
        words = assemble.vocabulary(self.config)
        make = assemble.new_generator if self.kind == "generator" else assemble.new_text_decoder
        with torch.device("meta"):
            return make(self.config, words)
