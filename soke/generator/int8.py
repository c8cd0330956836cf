"""The decoder's linear layers by products of 8-bit integers, for the CPU.

A step of few clips waits for the weights to come from memory, and 8-bit products are many times as
fast as those of floats. One byte a number is too coarse, though: on a small trained model it
changed a token in every fifth clip. So inputs (with a scale a sequence, so that a clip's result
does not depend on its batch) are written in two digits of a byte each, and so are weights (with a
scale a row), except in the layers whose output is just added to a large sum, which have one; the
products of digits are added up. Tokens rarely change then. It pays for large models; small ones are
as fast without.

The kernels are oneDNN's, which torch.compile uses too; the quantized tensor types of older versions
of torch are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from soke.generator.stepping import DecoderWeights

#: An input is two bytes of a whole number, both with this zero point: the first from 1 to 255, the
#: second in steps that are finer.
_ZERO, _RANGE, _FINER = 128, 127, 256
#: Added before a number is cut to an integer: both zero points, and a half for rounding.
_MIDDLE = _ZERO * _FINER + _ZERO + 0.5
#: Of a number of four bytes, those two, the finer one first (all processors of note store it so).
_BYTES = slice(0, 2)
#: Packed decoders by network, with what tells whether its weights have changed since.
_PACKED: WeakKeyDictionary[nn.Module, tuple[object, DecoderWeights]] = WeakKeyDictionary()


class Int8Linear:
    """Linear layers with the same input as one, whose weights have one or two int8 digits.

    Raises ``ValueError`` for layers that are not on the CPU, and where torch lacks oneDNN.
    """

    def __init__(self, layers: Sequence[nn.Linear], added: bool = False) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers]).float()  # [O, I]
        if weight.device.type != "cpu":
            raise ValueError(
                f"int8 decoding runs on the CPU, and the generator is on {weight.device}: move it "
                "there or leave int8 off"
            )
        if not torch.backends.mkldnn.is_available():
            raise ValueError("int8 decoding needs a build of torch with oneDNN: leave int8 off")
        # Older processors add two products in 16 bits, which seven bits of weight cannot overflow.
        largest = 127 if torch.cpu._is_vnni_supported() else 63
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / largest
        steps = weight / scale[:, None]
        digits, scales = [steps.round()], [scale]
        if not added:
            digits.append((steps - digits[0]).mul_(2 * largest).round_())
            scales.append(scale / (2 * largest))
        self.digits, self.scale = len(digits), torch.cat(scales)
        packed = torch.cat(digits).to(torch.int8)  # [digits * O, I]
        self.weight = torch.ops.onednn.qlinear_prepack(packed, None)
        self.zeros = torch.zeros(len(self.scale), dtype=torch.int64)
        self.bias = torch.cat([layer.bias.detach() for layer in layers]).float()

    def __call__(self, x: Tensor) -> Tensor:
        largest = torch.linalg.vector_norm(x, torch.inf, dim=1, keepdim=True).clamp_(min=1e-12)
        steps = torch.mul(x, _RANGE * _FINER / largest).add_(_MIDDLE)  # [rows, I]
        digits = (
            steps.to(torch.int32).view(torch.uint8).view(len(x), -1, 4)[..., _BYTES]
        )  # [rows, I, 2]
        products = torch.ops.onednn.qlinear_pointwise(
            digits.transpose(1, 2).flatten(0, 1), 1 / _RANGE, _ZERO, self.weight, self.scale,
            self.zeros, None, 1.0, 0, torch.float32, "none", [], "",
        ).view(len(x), 2, self.digits, -1)  # fmt: skip
        found = torch.add(products[:, 1], products[:, 0], alpha=1 / _FINER)  # [rows, digits, O]
        total = found[:, 0] if self.digits == 1 else found[:, 0].add_(found[:, 1])
        return torch.addcmul(self.bias, total, largest)


def int8_weights(decoder: nn.Module) -> DecoderWeights:
    """The decoder's weights with int8 linear layers, packed once as long as they do not change.

    Whether they have is told by torch's count of changes in place, which misses those made through
    ``.data``.
    """
    state = tuple((p.data_ptr(), p._version) for p in decoder.parameters())
    known = _PACKED.get(decoder)
    if known is None or known[0] != state:
        known = (state, DecoderWeights(decoder, torch.float32, Int8Linear))
        _PACKED[decoder] = known
    return known[1]
