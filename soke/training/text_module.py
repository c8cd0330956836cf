"""Training of the text decoder (stage ``m2t``): sign tokens in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from soke.data.corpora import Corpus
from soke.generator import SignToText, reference_text, sign_batch
from soke.metrics.aggregate import TOTAL
from soke.metrics.corpus_scores import CorpusScores
from soke.metrics.text_scores import translation_scores, translation_statistics
from soke.structures import TokenBatch
from soke.training.base_module import TrainingModule
from soke.training.optimization import OptimizerFactory, SchedulerFactory

Decode = Callable[[SignToText, TokenBatch], list[str]]
#: Translations of a validation that are logged as text.
SHOWN = 8


class TextModule(TrainingModule):
    """Cross-entropy over the text rows; in validation translations and how near they come.

    ``decode`` gives the texts of a batch. The monitored metric is ``val/chrF`` unless the run names
    another: of the scores of whole texts it is the one that also tells weak translations apart.
    ``tokenizer_code`` is the checksum of the tokenizer's checkpoint, which is kept in the
    checkpoints as that of the generator is.
    """

    monitor = "chrF"
    unit = "tokens"
    higher_is_better: ClassVar[frozenset[str]] = frozenset(
        score.name for score in translation_scores() if score.lower_is_better is False
    )

    def __init__(
        self,
        text_decoder: SignToText,
        tokenizer_code: str,
        corpora: Mapping[str, Corpus],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        decode: Decode,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(None, optimizer, scheduler)
        self.text_decoder = text_decoder
        self.tokenizer_code = tokenizer_code
        self.corpora = dict(corpora)
        self.decode = decode
        self.loss_weight = loss_weight
        self.scores = CorpusScores(list(corpora), translation_scores())

    @property
    def network(self) -> SignToText:
        return self.text_decoder

    def training_step(self, batch: TokenBatch, _: int) -> Tensor:
        losses, accuracies = self.text_decoder.loss(batch)
        size = len(batch.names)
        loss = losses.sum() * self.loss_weight
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        self.log("train/accuracy", accuracies[0], prog_bar=True, batch_size=size)
        return loss

    def validation_step(self, batch: TokenBatch, index: int) -> None:
        losses, accuracies = self.text_decoder.loss(batch)
        values = {"val/loss": losses.sum(), "val/accuracy": accuracies[0]}
        self.log_dict(values, batch_size=len(batch.names), sync_dist=True)
        pairs = [
            (text, reference_text(reference, self.corpora[corpus]), corpus)
            for text, reference, corpus in zip(self.decode_texts(batch), batch.texts, batch.corpora)
        ]
        for text, reference, corpus in pairs:
            language = self.corpora[corpus].language
            self.scores.update(corpus, translation_statistics(text, reference, language))
        if index == 0:
            self._show(pairs[:SHOWN])

    def _show(self, pairs: Sequence[tuple[str, str, str]]) -> None:
        lines = [f"{corpus}: {reference} → {text}" for text, reference, corpus in pairs]
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("val/texts", "\n\n".join(lines), self.global_step)

    def on_validation_epoch_end(self) -> None:
        values = {f"val/{k}": v for k, v in self.scores.compute()[TOTAL].items()}
        self.scores.reset()
        self.log_dict(values, sync_dist=True)

    def decode_texts(self, batch: TokenBatch) -> list[str]:
        """The text of every clip."""
        return self.decode(self.text_decoder, batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["soke"] = {"tokenizer_sha256": self.tokenizer_code}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return self.text_decoder.parameter_groups()

    def amount(self, batch: TokenBatch) -> Tensor:
        """Positions that go through the network: steps of the signs, pieces of the text."""
        return batch.source_mask.sum() + batch.token_mask.sum()

    def trial_loss(self, batch: TokenBatch) -> Tensor:
        return self.text_decoder.loss(batch)[0].sum()


def back_translate(
    module: TextModule,
    tokens: Sequence[np.ndarray | Tensor],
    corpora: Sequence[str],
    batch_size: int = 32,
) -> list[str]:
    """The texts that sign tokens [S, P] read as, in their order; ``corpora`` names each one's.

    Clips of like length share a batch; what a clip reads as does not depend on the others. Raises
    like `soke.generator.sign_batch`, and ``ValueError`` for a ``batch_size`` below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    if len(tokens) != len(corpora):
        raise ValueError(f"got {len(tokens)} clips and {len(corpora)} names of corpora")
    vocabulary = module.text_decoder.vocabulary
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    texts = [""] * len(tokens)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        clips = [tokens[i] for i in chosen]
        names = [corpora[i] for i in chosen]
        batch = sign_batch(vocabulary, module.corpora, clips, names).to(module.device)
        for i, text in zip(chosen, module.decode_texts(batch)):
            texts[i] = text
    return texts
