"""The reconstruction loss over real frames."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from soke.tokenizer.ranks import batch_share, local_share

_LOSSES = {"l1": F.l1_loss, "l2": F.mse_loss, "l1_smooth": F.smooth_l1_loss}


def reconstruction_loss(
    kind: str, predicted: Tensor, target: Tensor, mask: Tensor, across_ranks: bool = False
) -> Tensor:
    """Mean over real frames and features of ``l1``, ``l2`` or ``l1_smooth`` (beta 1).

    Shapes [B, T, F], mask [B, T]. With ``across_ranks`` the gradients that data-parallel training
    averages are those of the mean over the real frames of all ranks, and the value is this rank's
    part of it; this is a collective, for training only. Raises ``ValueError`` for another kind.
    """
    if kind not in _LOSSES:
        raise ValueError(f"LOSS.ABLATION.RECONS_LOSS is {kind!r}; choose one of {sorted(_LOSSES)}")
    if not mask.all():
        predicted = predicted[mask]
        target = target[mask]
    frames = predicted.numel() // predicted.shape[-1]
    share = batch_share(frames, mask.device) if across_ranks else local_share(frames)
    total = _LOSSES[kind](predicted.float(), target.float(), reduction="sum")
    return total / (share.divisor * predicted.shape[-1])
