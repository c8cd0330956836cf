"""Training of the generator (stages ``lm_pretrain`` and ``lm_instruct``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from soke.body import BodyModel
from soke.generator import Generator
from soke.metrics.aggregate import TOTAL, CorpusMean
from soke.metrics.generation import DTW_NAMES, dtw_errors
from soke.retrieval import RetrievalReport
from soke.structures import TokenBatch
from soke.tokenizer import PartTokenizer
from soke.training.base_module import TrainingModule
from soke.training.optimization import OptimizerFactory, SchedulerFactory

Decode = Callable[[Generator, TokenBatch], list[Tensor]]


class GeneratorModule(TrainingModule):
    """Cross-entropy over all heads; in validation greedy generation and its DTW errors.

    The reference of a validation clip is its own tokens through the tokenizer, so that no pose
    file is read. The monitored metric is ``val/DTW_JPE_hands`` unless the run names another: the
    validation loss rises long before greedy output gets worse. ``tokenizer_code`` is the checksum
    of the tokenizer's checkpoint; it is kept in the generator's checkpoints.
    """

    monitor = "DTW_JPE_hands"
    unit = "tokens"

    def __init__(
        self,
        generator: Generator,
        tokenizer: PartTokenizer,
        tokenizer_code: str,
        body: BodyModel,
        corpora: Sequence[str],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        decode: Decode,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(body, optimizer, scheduler)
        self.generator = generator
        self._tokenizer = [tokenizer.eval()]  # as the body: in no checkpoint of the generator
        self.tokenizer_code = tokenizer_code
        self.decode = decode
        self.loss_weight = loss_weight
        self.errors = CorpusMean(corpora, DTW_NAMES)
        self.retrieval = RetrievalReport()

    @property
    def tokenizer(self) -> PartTokenizer:
        """The tokenizer whose tokens are generated, on the module's device."""
        return self._tokenizer[0].to(self.device)

    @property
    def network(self) -> Generator:
        return self.generator

    def training_step(self, batch: TokenBatch, _: int) -> Tensor:
        if self.current_epoch == 0:  # each clip once is enough
            self.retrieval.add(batch.retrievals)
        losses, accuracies = self.generator.loss(batch)
        size = len(batch.names)
        loss = losses.sum() * self.loss_weight
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        for part, value, accuracy in zip(self.generator.vocabulary.parts, losses, accuracies):
            self.log(f"train/loss_{part.name}", value, batch_size=size)
            self.log(f"train/accuracy_{part.name}", accuracy, batch_size=size)
        return loss

    def on_train_epoch_end(self) -> None:
        if self.current_epoch == 0 and self.trainer.is_global_zero:
            self.retrieval.log()

    def validation_step(self, batch: TokenBatch, index: int) -> None:
        losses, _ = self.generator.loss(batch)
        self.log("val/loss", losses.sum(), batch_size=len(batch.names), sync_dist=True)
        body = self.body
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
        return self.tokenizer.decode_to_motion(tokens)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["soke"] = {"tokenizer_sha256": self.tokenizer_code}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        return self.generator.parameter_groups()

    def amount(self, batch: TokenBatch) -> Tensor:
        """Positions that go through the network: tokens of the source, steps of the target."""
        return batch.source_mask.sum() + batch.token_mask.sum()

    def trial_loss(self, batch: TokenBatch) -> Tensor:
        return self.generator.loss(batch)[0].sum()
