"""Training of the tokenizer (stage ``vae``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from soke.body import POINT_SETS, BodyModel
from soke.metrics.aggregate import TOTAL, CorpusMean
from soke.metrics.position_errors import clip_point_errors
from soke.structures import PoseBatch, TokenizerOutput
from soke.tokenizer import FRAMES_PER_TOKEN, PartTokenizer, reconstruction_loss
from soke.tokenizer.codebook_usage import CodebookUse
from soke.training.base_module import TrainingModule
from soke.training.optimization import OptimizerFactory, SchedulerFactory


class NonFiniteLossError(ValueError):
    """A training loss that is infinite or not a number; ``names`` are the clips of its batch."""

    def __init__(self, terms: Sequence[str], names: Sequence[str], broken: Sequence[str]) -> None:
        self.terms = tuple(terms)
        self.names = tuple(names)
        cause = (
            f"The motion of {list(broken)} is not finite: repair or remove these clips"
            if broken
            else "Their motion is finite: lower the learning rate, set TRAIN.GRADIENT_CLIP or "
            "compute with PRECISION 32-true"
        )
        super().__init__(
            f"the loss term {' and '.join(terms)} is not finite in the batch of the clips "
            f"{', '.join(names)}. {cause}"
        )


class TokenizerModule(TrainingModule):
    """Reconstruction, velocity and commitment losses; hand and body errors in validation.

    The monitored metric is ``val/MPJPE_mean``, the mean over the point sets, in millimetres.
    Perplexity and the share of codes in use are logged for every part: of a batch in training, of
    the whole split in validation.
    """

    monitor = "MPJPE_mean"
    unit = "frames"

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
        super().__init__(body, optimizer, scheduler)
        self.tokenizer = tokenizer
        self.loss_kind = loss_kind
        self.weights = {
            "feature": feature_weight,
            "velocity": velocity_weight,
            "commitment": commitment_weight,
        }
        names = [f"MPJPE_{name}" for name in POINT_SETS]
        self.errors = CorpusMean(corpora, [*names, "MPJPE_mean"])
        self.codebook_use = CodebookUse([part.codebook_size for part in tokenizer.parts])

    @property
    def network(self) -> PartTokenizer:
        return self.tokenizer

    def losses(self, batch: PoseBatch) -> tuple[dict[str, Tensor], TokenizerOutput]:
        """The unweighted terms and what they were computed from.

        In training their gradients are those of the mean over the real frames of all ranks.
        """
        output = self.tokenizer(batch.motion, batch.mask)
        terms = {
            "feature": self._reconstruction(output.reconstruction, batch.motion, batch.mask),
            "commitment": output.commitment.sum(),
        }
        if self.weights["velocity"]:
            both = batch.mask[:, 1:] & batch.mask[:, :-1]
            terms["velocity"] = self._reconstruction(
                output.reconstruction.diff(dim=1), batch.motion.diff(dim=1), both
            )
        return terms, output

    def _reconstruction(self, predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return reconstruction_loss(
            self.loss_kind, predicted, target, mask, across_ranks=self.training
        )

    def training_step(self, batch: PoseBatch, _: int) -> Tensor:
        terms, output = self.losses(batch)
        loss = sum(self.weights[name] * term for name, term in terms.items())
        if not loss.isfinite():
            raise self._non_finite(terms, batch)
        size = len(batch.names)
        self.log("train/loss", loss, prog_bar=True, batch_size=size)
        self.log_dict({f"train/{k}": v for k, v in terms.items()}, batch_size=size)
        self._log_use("train", output.perplexity, output.codes_used, batch_size=size)
        return loss

    def validation_step(self, batch: PoseBatch, index: int) -> None:
        terms, output = self.losses(batch)
        self.log("val/feature", terms["feature"], batch_size=len(batch.names), sync_dist=True)
        self.codebook_use.update(output.tokens, batch.mask[:, ::FRAMES_PER_TOKEN])
        lengths = batch.lengths.tolist()
        motions = [
            self.tokenizer.denormalize(motion[batch.mask])  # all clips in one go
            for motion in (output.reconstruction, batch.motion)
        ]
        points = [self.body.scored_points(motion) for motion in motions]
        for i, errors in enumerate(clip_point_errors(*points, lengths)):
            errors["MPJPE_mean"] = sum(errors.values()) / len(errors)
            self.errors.update(batch.corpora[i], errors, weight=lengths[i])
        if index == 0:
            first = (motion[: lengths[0]] for motion in motions)
            self.sample = (batch.names[0], batch.texts[0], *first)

    def on_validation_epoch_end(self) -> None:
        means = self.errors.compute()
        use = self.codebook_use.compute()
        self.errors.reset()
        self.codebook_use.reset()
        values = {f"val/{k}": v for k, v in means[TOTAL].items()}
        self.log_dict(values, prog_bar=True, sync_dist=True)
        self._log_use("val", use["perplexity"], use["codes_used"], sync_dist=True)

    def _log_use(self, split: str, perplexity: Tensor, used: Tensor, **options: Any) -> None:
        for p, part in enumerate(self.tokenizer.parts):
            values = {"perplexity": perplexity[p], "codes_used": used[p]}
            self.log_dict(
                {f"{split}/{k}_{part.name}": v.float() for k, v in values.items()}, **options
            )

    def _non_finite(self, terms: Mapping[str, Tensor], batch: PoseBatch) -> NonFiniteLossError:
        wrong = [name for name, term in terms.items() if not term.isfinite()]
        finite = batch.motion.isfinite().all(dim=-1) | ~batch.mask  # [B, T]
        broken = [name for name, good in zip(batch.names, finite.all(dim=1).tolist()) if not good]
        return NonFiniteLossError(wrong or list(terms), batch.names, broken)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["soke"] = {"tokenizer": self.tokenizer.description()}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        pairs = zip(self.tokenizer.parts, self.tokenizer.networks)
        return {part.name: list(network.parameters()) for part, network in pairs}

    def amount(self, batch: PoseBatch) -> Tensor:
        return batch.mask.sum()

    def trial_loss(self, batch: PoseBatch) -> Tensor:
        # Codebooks learn in training only; the networks compute the same in either mode.
        before = self.tokenizer.training
        terms, _ = self.eval().losses(batch)
        self.train(before)
        return sum(self.weights[name] * term for name, term in terms.items())
