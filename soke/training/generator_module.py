"""Training of the generator (stages ``lm_pretrain`` and ``lm_instruct``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
from torch import Tensor

from soke.body import BodyModel
from soke.generator import MultiHeadGenerator
from soke.metrics.aggregate import TOTAL, CorpusMean
from soke.metrics.generation import DTW_NAMES, dtw_errors
from soke.structures import TokenBatch
from soke.tokenizer import PartTokenizer
from soke.training.optimization import OptimizerFactory, SchedulerFactory, configure

Decode = Callable[[MultiHeadGenerator, TokenBatch], list[Tensor]]


class GeneratorModule(L.LightningModule):
    """Cross-entropy over all heads; in validation greedy generation and its DTW errors.

    The reference of a validation clip is its own tokens through the tokenizer, so that no pose
    file is read. The monitored metric is ``val/DTW_JPE_hands`` unless the run names another: the
    validation loss rises long before greedy output gets worse. ``tokenizer_code`` is the checksum
    of the tokenizer's checkpoint; it is kept in the generator's checkpoints.
    """

    monitor = "DTW_JPE_hands"

    def __init__(
        self,
        generator: MultiHeadGenerator,
        tokenizer: PartTokenizer,
        tokenizer_code: str,
        body: BodyModel,
        corpora: Sequence[str],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        decode: Decode,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.generator = generator
        # In lists, so that they are no submodules and in no checkpoint of the generator.
        self._tokenizer, self._body = [tokenizer.eval()], [body]
        self.tokenizer_code = tokenizer_code
        self.optimizer, self.scheduler, self.decode = optimizer, scheduler, decode
        self.loss_weight = loss_weight
        self.errors = CorpusMean(corpora, DTW_NAMES)
        self.sample: tuple[str, str, Tensor, Tensor] | None = None

    def training_step(self, batch: TokenBatch, _: int) -> Tensor:
        losses, accuracies = self.generator.loss(batch)
        size = len(batch.names)
        loss = losses.sum() * self.loss_weight
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        for part, value, accuracy in zip(self.generator.vocabulary.parts, losses, accuracies):
            self.log(f"train/loss_{part.name}", value, batch_size=size)
            self.log(f"train/accuracy_{part.name}", accuracy, batch_size=size)
        return loss

    def validation_step(self, batch: TokenBatch, index: int) -> None:
        losses, _ = self.generator.loss(batch)
        self.log("val/loss", losses.sum(), batch_size=len(batch.names), sync_dist=True)
        body = self._body[0].to(self.device)
        generated = self.generate_motion(batch)
        references = self.decode_tokens(
            [batch.tokens[i, :n] for i, n in enumerate(batch.token_mask.sum(dim=1).tolist())]
        )
        for i, motions in enumerate(zip(generated, references)):
            points = [
                {name: value.cpu().numpy() for name, value in body.scored_points(motion).items()}
                for motion in motions
            ]
            self.errors.update(batch.corpora[i], dtw_errors(*points))
            if index == 0 and i == 0:
                self.sample = (batch.names[i], batch.texts[i], *motions)

    def on_validation_epoch_end(self) -> None:
        means = self.errors.compute()
        self.errors.reset()
        values = {f"val/{k}": v for k, v in means[TOTAL].items()}
        self.log_dict(values, prog_bar=True, sync_dist=True)

    def generate_tokens(self, batch: TokenBatch) -> list[Tensor]:
        """Tokens [S, P] for every text."""
        return self.decode(self.generator, batch)

    def generate_motion(self, batch: TokenBatch) -> list[Tensor]:
        """Denormalised motion [T, 133] for every text."""
        return self.decode_tokens(self.generate_tokens(batch))

    def decode_tokens(self, tokens: Sequence[Tensor]) -> list[Tensor]:
        """Denormalised motion [T, 133] of token sequences [S, P]."""
        return self._tokenizer[0].to(self.device).decode_to_motion(tokens)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["soke"] = {"tokenizer_sha256": self.tokenizer_code}

    def configure_optimizers(self) -> dict[str, Any]:
        total = int(self.trainer.estimated_stepping_batches)
        return configure(self.generator.parameters(), self.optimizer, self.scheduler, total)
