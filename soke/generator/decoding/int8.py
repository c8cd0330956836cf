"""The decoder's linear layers by products of 8-bit integers, for the CPU.

A step of few clips waits for the weights to come from memory, and here they are a quarter as large.
One byte a number is coarse, so what these layers say is a draft only
(`soke.generator.decoding.drafting.DraftingDecoder`). It pays for large models; small ones are
as fast without.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from soke.generator.decoding.steps import DecoderWeights

#: Packed decoders by network, with what tells whether its weights have changed since.
_PACKED: WeakKeyDictionary[nn.Module, tuple[object, DecoderWeights]] = WeakKeyDictionary()


class Int8Linear:
    """Linear layers with the same input as one, with a byte a weight and a scale a row.

    Inputs are written in a byte a number, too, with one scale for all of them. The sums are exact.
    Raises ``ValueError`` for layers that are not on the CPU, and where torch cannot compute so.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        weight = torch.cat([layer.weight.detach() for layer in layers]).float()  # [O, I]
        if weight.device.type != "cpu":
            raise ValueError(
                f"int8 decoding runs on the CPU, and the generator is on {weight.device}: move it "
                "there or leave int8 off"
            )
        bias = torch.cat([layer.bias.detach() for layer in layers]).float()
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        steps = (weight / scale[:, None]).round().to(torch.int8)
        zeros = torch.zeros(len(scale), dtype=torch.int64)
        try:
            with warnings.catch_warnings():
                # Its quantized tensors will be gone in a later version of torch than is required.
                warnings.simplefilter("ignore", UserWarning)
                packed = torch._make_per_channel_quantized_tensor(steps, scale.double(), zeros, 0)
                self.packed = torch.ops.quantized.linear_prepack(packed, bias)
            # Older processors add two products in 16 bits, which seven bits of input cannot exceed.
            self.seven_bits = not torch.cpu._is_vnni_supported()
        except (AttributeError, RuntimeError) as error:
            raise ValueError(
                f"torch {torch.__version__} cannot make int8 layers on this processor ({error}): "
                "leave int8 off"
            ) from error

    def __call__(self, x: Tensor) -> Tensor:
        found = torch.ops.quantized.linear_dynamic(x.float(), self.packed, self.seven_bits)
        return found.to(x.dtype)


def int8_weights(decoder: nn.Module, dtype: torch.dtype) -> DecoderWeights:
    """The decoder's weights with int8 linear layers, packed once as long as they do not change.

    What goes from layer to layer is of ``dtype``. Whether the weights have changed is told by
    torch's count of changes in place, which misses those made through ``.data`` and those of
    weights that were made in inference mode.
    """
    state = (
        dtype,
        *((p.data_ptr(), 0 if p.is_inference() else p._version) for p in decoder.parameters()),
    )
    known = _PACKED.get(decoder)
    if known is None or known[0] != state:
        known = (state, DecoderWeights(decoder, dtype, Int8Linear))
        _PACKED[decoder] = known
    return known[1]
