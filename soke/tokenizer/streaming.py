"""Tokens to motion while the tokens still arrive.

The decoder of the tokenizer is a convolution without memory, so a frame is final as soon as all
tokens are known that it can feel. It is decoded then, from a window of tokens around it. The window
does not grow, so neither cost nor memory depend on the length of the clip.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soke.parts import FEATURE_SIZE
from soke.tokenizer.conv_network import FRAMES_PER_TOKEN, Decoder
from soke.tokenizer.tokenizer import PartTokenizer

#: Tokens decoded at once at most, however many are pushed: bounds the memory of a window.
_BLOCK = 64


def decoder_reach(decoder: Decoder) -> int:
    """How many tokens before and after its own a frame of ``decoder`` can feel.

    Counted back from the output, in places to the right of a token's first place, at the rate of
    each layer (a kernel of k taps and dilation d reaches d (k - 1) / 2 places). The last of a
    token's four frames is at place 3. Output and middle convolution add 1 each: 5. At each of the
    two rates the convolution after the upsampling adds 1, upsampling halves (place i came from
    place i // 2), and the residual stack of dilations 9, 3, 1 adds 13: (5 + 1) // 2 + 13 = 16, then
    (16 + 1) // 2 + 13 = 21. The input convolution adds 1: 22 tokens, which are 88 frames (3.5
    seconds at 25 frames a second). To the left, from place 0, it is the same.
    """
    place = FRAMES_PER_TOKEN - 1 + _reach(decoder.output) + _reach(decoder.middle)
    for stack, up in reversed(list(zip(decoder.stacks, decoder.up))):
        place = (place + _reach(up)) // 2
        place += sum(_reach(block.dilated) + _reach(block.pointwise) for block in stack.blocks)
    return place + _reach(decoder.input)


def _reach(layer: nn.Conv1d) -> int:
    return layer.dilation[0] * (layer.kernel_size[0] - 1) // 2


class StreamingDecoder:
    """Decodes one clip piece by piece.

    All frames together are those of `PartTokenizer.decode_to_motion` for the whole clip, if
    ``look_ahead`` is the reach of the decoder (`decoder_reach`; what None stands for). With fewer
    tokens frames come earlier and are decoded as if the clip ended after these tokens, so they
    deviate. ``context`` tokens to the left are always the whole reach.

    Raises ``ValueError`` for a ``look_ahead`` below 0.
    """

    def __init__(self, tokenizer: PartTokenizer, look_ahead: int | None = None) -> None:
        self.context = max(decoder_reach(network.decoder) for network in tokenizer.networks)
        if look_ahead is not None and look_ahead < 0:
            raise ValueError(
                f"look_ahead is {look_ahead}; it is a number of tokens from 0 to {self.context}"
            )
        #: Tokens that have to follow a token before its frames come out. More than the reach of
        #: the decoder would only be later.
        self.look_ahead = self.context if look_ahead is None else min(look_ahead, self.context)
        self._tokenizer = tokenizer
        self._window = torch.zeros(
            0, len(tokenizer.parts), dtype=torch.int64, device=tokenizer.mean.device
        )
        self._given = 0  # tokens of the window whose frames have been given out
        self._finished = False

    @property
    def look_ahead_frames(self) -> int:
        """How many frames the motion stays behind the tokens."""
        return self.look_ahead * FRAMES_PER_TOKEN

    def push(self, tokens: Tensor) -> Tensor:
        """The frames [4 m, 133] (SMPL-X parameters) that are final with ``tokens`` [n, P], m >= 0.

        Raises ``ValueError`` for tokens of another shape or outside a codebook, and after `finish`.
        """
        self._check(tokens)
        return self._join([self._advance(piece) for piece in tokens.split(_BLOCK)])

    def finish(self) -> Tensor:
        """The frames [4 m, 133] that are left. Raises ``ValueError`` when called again."""
        self._check(self._window[:0])
        self._finished = True
        return self._decode(len(self._window) - self._given)

    def _check(self, tokens: Tensor) -> None:
        if self._finished:
            raise ValueError(
                "this clip is finished; another one needs a StreamingDecoder of its own"
            )
        parts = self._tokenizer.parts
        if tokens.ndim != 2 or tokens.shape[1] != len(parts) or tokens.is_floating_point():
            raise ValueError(
                f"tokens must be whole numbers [n, {len(parts)}] for the parts {parts.names}, got "
                f"{tokens.dtype} of shape {tuple(tokens.shape)}"
            )
        # Now rather than when it is decoded, many tokens later.
        self._tokenizer._check_tokens(tokens[None])

    def _advance(self, tokens: Tensor) -> Tensor:
        self._window = torch.cat([self._window, tokens.to(self._window)])
        return self._decode(len(self._window) - self._given - self.look_ahead)

    def _decode(self, count: int) -> Tensor:
        """The next ``count`` tokens as frames; then forget the tokens that no other frame feels."""
        if count <= 0:
            return self._join([])
        start = self._given
        stop = self._given + count
        (motion,) = self._tokenizer.decode_to_motion([self._window])
        old = max(stop - self.context, 0)
        self._window = self._window[old:].clone()
        self._given = stop - old
        return motion[start * FRAMES_PER_TOKEN : stop * FRAMES_PER_TOKEN].clone()

    def _join(self, pieces: list[Tensor]) -> Tensor:
        return torch.cat([self._tokenizer.mean.new_zeros(0, FEATURE_SIZE), *pieces])
