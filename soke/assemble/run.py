"""A configuration, and what follows from it, each parsed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from soke.config import build_row, plain
from soke.data.corpora import Corpus, select_corpora
from soke.data.datasets import LengthLimits
from soke.parts import Part, PartTable


@dataclass(frozen=True)
class Run:
    """One configuration, frozen. Its sections are attributes: ``run.TRAIN.SPLIT``.

    What is derived from it raises ``ValueError`` that names the key, when it is first used.
    """

    config: DictConfig

    def __post_init__(self) -> None:
        frozen = self.config.copy()
        OmegaConf.set_readonly(frozen, True)
        object.__setattr__(self, "config", frozen)

    def __getattr__(self, section: str) -> Any:
        if section.startswith("_"):  # copying and pickling ask for these before there is a config
            raise AttributeError(section)
        return getattr(self.config, section)

    def changed(self, key: str, value: object) -> Run:
        """The same run with another value of ``key``, such as ``TRAIN.PRETRAINED_VAE``."""
        config = self.config.copy()
        OmegaConf.set_readonly(config, False)
        OmegaConf.update(config, key, value)
        return Run(config)

    @cached_property
    def parts(self) -> PartTable:
        rows = plain(self.config.PARTS)
        for i, row in enumerate(rows):
            build_row(Part, row, f"PARTS[{i}]")
        return PartTable.from_rows(rows)

    @cached_property
    def corpora(self) -> dict[str, Corpus]:
        """The corpora that ``DATASET_NAME`` names."""
        chosen = select_corpora(self.config.DATASET.H2S.DATASET_NAME, self.all_corpora)
        return {corpus.name: corpus for corpus in chosen}

    @cached_property
    def all_corpora(self) -> dict[str, Corpus]:
        """All rows of ``CORPORA``.

        Raises ``ValueError`` when a corpus has isolated signs and no dictionary of its own.
        """
        table = {
            name: build_row(Corpus, {"name": name, **row}, f"CORPORA.{name}")
            for name, row in plain(self.config.CORPORA).items()
        }
        for name, corpus in table.items():
            shared = [o for o, other in table.items() if other.dictionary == corpus.dictionary]
            if corpus.signs is not None and corpus.dictionary is None:
                raise ValueError(
                    f"CORPORA.{name} has isolated signs; name the dictionary that they become"
                )
            if corpus.signs is not None and shared != [name]:
                raise ValueError(
                    f"CORPORA.{name} has isolated signs of its own, so its dictionary must not be "
                    f"shared: {shared} all name {corpus.dictionary}"
                )
        return table

    @cached_property
    def length_limits(self) -> LengthLimits:
        h2s = self.config.DATASET.H2S
        return LengthLimits(h2s.MIN_MOTION_LEN, h2s.MAX_MOTION_LEN, h2s.UNIT_LEN)

    @property
    def folder(self) -> Path:
        """The run directory: checkpoints, logs, the configuration."""
        return Path(
            self.config.TRAIN.RESUME or f"{self.config.OUTPUT.EXPERIMENTS}/{self.config.NAME}"
        )

    @property
    def token_folder(self) -> Path:
        return Path(self.config.DATASET.H2S.ROOT) / self.config.DATASET.CODE_PATH

    @property
    def results_folder(self) -> Path:
        return Path(self.config.TEST.FOLDER) / self.config.NAME
