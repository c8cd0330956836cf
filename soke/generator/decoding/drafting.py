"""Reading ahead: cheap weights guess the next positions, the true ones read all guesses at once.

For few clips a step takes as long as the weights take to come from memory, and reading many
positions takes little longer than reading one. So the guesses are nearly free as far as they are
right, and where they are wrong nothing is lost but time (Leviathan et al. 2023, "Fast inference
from transformers via speculative decoding"; here a guess counts when it is the very token that the
true weights choose).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from soke.generator.decoding.steps import DecoderWeights, StepDecoder

#: Sequences times guesses at most: beyond, the true weights take as long as one by one.
_GUESSES = 24
#: Fewer guesses at a time do not pay: for more than eight sequences none are made.
_LEAST = 3
#: From position to position: what is read next [n, streams, D] after states [n, streams, D].
Follow = Callable[[Tensor, int], Tensor]


class DraftingDecoder:
    """A `StepDecoder` that reads ahead, with the same states.

    ``drafts`` are weights for guessing, and ``follow`` says what would be read next. What was read
    ahead counts only if it is then read indeed, so states never depend on the guesses. How far to
    read ahead follows from how many guesses were right.
    """

    def __init__(self, decoder: StepDecoder, drafts: DecoderWeights, follow: Follow) -> None:
        self.decoder = decoder
        self.drafts = drafts
        self.follow = follow
        self.steps = 0
        self.ahead = self.guessed = _GUESSES
        self.known: deque[tuple[Tensor, Tensor]] = deque()  # what was read, and its states

    def keep(self, clips: Tensor) -> None:
        """Go on with these clips [m] only."""
        self.decoder.keep(clips)
        self.known = deque((x[clips], states[clips]) for x, states in self.known)

    def __call__(self, inputs: Tensor) -> Tensor:
        """States [n, streams, D] after embeddings [n, streams, D]."""
        if not self.known:
            self._read_ahead(inputs, 2 * self.ahead)
        elif not torch.equal(self.known[0][0], inputs):
            self._read_ahead(inputs, self.guessed - len(self.known))
        self.steps += 1
        return self.known.popleft()[1]

    def _read_ahead(self, inputs: Tensor, count: int) -> None:
        """Read these and ``count`` positions more, but at least one and no more than pays."""
        most = _GUESSES // (inputs.shape[0] * inputs.shape[1])
        self.ahead = min(max(count, 1), most) if most >= _LEAST else 0
        self.guessed = min(self.ahead, self.decoder.limit - self.steps - 1)
        read = [inputs]
        self.decoder.steps = self.steps
        for step in range(self.steps, self.steps + self.guessed):
            read.append(self.follow(self.decoder(read[-1], self.drafts), step))
        self.decoder.steps = self.steps
        states = self.decoder.read(torch.stack(read, dim=2))
        self.known = deque(zip(read, states.unbind(2)))
