"""How the clips of a batch lie before the networks: as they come, padded, or one after another.

Padding costs as much as real frames do. Where it would cost more than gaps, the clips are laid into
one long row with as many empty steps between them as the widest convolution reaches. The masks that
keep padding out keep the clips apart, too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soke.tokenizer.conv_network import FRAMES_PER_TOKEN, REACH_OF_STACK

#: Empty token steps between two clips: the reach of the widest convolution at the lowest rate.
GAP = REACH_OF_STACK


class Layout:
    """Puts batches ``[B, S, ...]`` or ``[B, 4 S, ...]`` into the networks' order and back.

    ``steps`` and ``frames`` are the masks that the networks need, ``[R, N]`` and ``[R, 4 N]``, None
    where nothing is padded. Real steps keep their order: clip by clip.
    """

    def __init__(self, mask: Tensor) -> None:
        """``mask`` is boolean, True on a clip's real steps, [B, S]."""
        self.mask = mask
        self.order = None
        self.steps = None if mask.all() else mask
        if self.steps is not None:
            lengths = mask.sum(dim=1)
            row = int(lengths.sum()) + GAP * (len(mask) - 1)
            if row < mask.numel():
                self._pack(lengths, row)
        self.frames = None
        if self.steps is not None:
            self.frames = self.steps.repeat_interleave(FRAMES_PER_TOKEN, dim=1)

    def _pack(self, lengths: Tensor, row: int) -> None:
        starts = (lengths + GAP).cumsum(dim=0) - lengths - GAP
        places = starts[:, None] + torch.arange(self.mask.shape[1], device=lengths.device)
        self.order = places[self.mask]  # where in the row each real step lies
        self.steps = torch.zeros(1, row, dtype=torch.bool, device=lengths.device)
        self.steps[0, self.order] = True

    def arrange(self, values: Tensor) -> Tensor:
        """A batch ``[B, k S, F]`` as ``[R, k N, F]``."""
        if self.order is None:
            return values
        grouped = values.unflatten(1, (self.mask.shape[1], -1))  # [B, S, k, F]
        row = grouped.new_zeros(self.steps.shape[1], *grouped.shape[2:])
        row[self.order] = grouped[self.mask]
        return row.flatten(0, 1)[None]

    def restore(self, values: Tensor, fill: float = 0) -> Tensor:
        """The inverse of `arrange`, for any trailing shape, with ``fill`` beyond a clip's end.

        What is padded only has its padding already and is returned as it is.
        """
        if self.order is None:
            return values
        grouped = values[0].unflatten(0, (self.steps.shape[1], -1))  # [N, k, ...]
        batch = grouped.new_full((*self.mask.shape, *grouped.shape[1:]), fill)
        batch[self.mask] = grouped[self.order]
        return batch.flatten(1, 2)
