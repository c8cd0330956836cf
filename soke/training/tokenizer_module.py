"""Training of the tokenizer (stage ``vae``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
from torch import Tensor

from soke.body import POINT_SETS, BodyModel
from soke.metrics.aggregate import TOTAL, CorpusMean
from soke.metrics.reconstruction import point_errors
from soke.structures import PoseBatch
from soke.tokenizer import PartTokenizer, reconstruction_loss
from soke.training.optimization import OptimizerFactory, SchedulerFactory, configure


class TokenizerModule(L.LightningModule):
    """Reconstruction, velocity and commitment losses; hand and body errors in validation.

    The monitored metric is ``val/MPJPE_mean``, the mean over the point sets, in millimetres.
    """

    monitor = "MPJPE_mean"

    def __init__(
        self,
        tokenizer: PartTokenizer,
        body: BodyModel,
        corpora: Sequence[str],
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        loss_kind: str = "l1_smooth",
        feature_weight: float = 1.0,
        velocity_weight: float = 0.0,
        commitment_weight: float = 0.02,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._body = [body]  # in a list, so that it is no submodule and in no checkpoint
        self.optimizer, self.scheduler = optimizer, scheduler
        self.loss_kind = loss_kind
        self.weights = {
            "feature": feature_weight,
            "velocity": velocity_weight,
            "commitment": commitment_weight,
        }
        names = [f"MPJPE_{name}" for name in POINT_SETS]
        self.errors = CorpusMean(corpora, [*names, "MPJPE_mean"])
        self.sample: tuple[str, str, Tensor, Tensor] | None = None

    def losses(self, batch: PoseBatch) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The weighted terms, the reconstruction [B, T, 133] and the perplexity [P]."""
        output = self.tokenizer(batch.motion, batch.mask)
        terms = {
            "feature": reconstruction_loss(
                self.loss_kind, output.reconstruction, batch.motion, batch.mask
            ),
            "commitment": output.commitment.sum(),
        }
        if self.weights["velocity"]:
            both = batch.mask[:, 1:] & batch.mask[:, :-1]
            terms["velocity"] = reconstruction_loss(
                self.loss_kind, output.reconstruction.diff(dim=1), batch.motion.diff(dim=1), both
            )
        return terms, output.reconstruction, output.perplexity

    def training_step(self, batch: PoseBatch, _: int) -> Tensor:
        terms, _, perplexity = self.losses(batch)
        loss = sum(self.weights[name] * term for name, term in terms.items())
        size = len(batch.names)
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        self.log_dict({f"train/{k}": v for k, v in terms.items()}, batch_size=size)
        for part, value in zip(self.tokenizer.parts, perplexity):
            self.log(f"train/perplexity_{part.name}", value, batch_size=size)
        return loss

    def validation_step(self, batch: PoseBatch, index: int) -> None:
        terms, reconstruction, _ = self.losses(batch)
        self.log("val/feature", terms["feature"], batch_size=len(batch.names), sync_dist=True)
        body = self._body[0].to(self.device)
        for i, length in enumerate(batch.lengths.tolist()):
            motions = [
                self.tokenizer.denormalize(motion[i, :length])
                for motion in (reconstruction, batch.motion)
            ]
            errors = point_errors(*(body.scored_points(motion) for motion in motions))
            errors["MPJPE_mean"] = sum(errors.values()) / len(errors)
            self.errors.update(batch.corpora[i], errors, weight=length)
            if index == 0 and i == 0:
                self.sample = (batch.names[i], batch.texts[i], *motions)

    def on_validation_epoch_end(self) -> None:
        means = self.errors.compute()
        self.errors.reset()
        values = {f"val/{k}": v for k, v in means[TOTAL].items()}
        self.log_dict(values, prog_bar=True, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["soke"] = {"tokenizer": self.tokenizer.description()}

    def configure_optimizers(self) -> dict[str, Any]:
        total = int(self.trainer.estimated_stepping_batches)
        return configure(self.tokenizer.parameters(), self.optimizer, self.scheduler, total)
