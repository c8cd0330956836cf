"""mBART's decoder, one position at a time, over weights packed for that.

Compared with reading the whole prefix through the training network at every step: keys and values
of what was said are cached, those of the text are computed once, and nothing but the last position
is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Linear = Callable[[Tensor], Tensor]
#: Packs layers that read the same input into one; also told is whether their output is added to
#: the sum that goes through all layers, which forgives more rounding than what attention compares.
PackLinear = Callable[[Sequence[nn.Linear], bool], Linear]
#: Steps that a cache has room for at first; it doubles when it is full.
FIRST_STEPS = 64


class FloatLinear:
    """Linear layers with the same input as one, in a data type."""

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        weights = [layer.weight.detach() for layer in layers]
        biases = [layer.bias.detach() for layer in layers]
        # A single layer is not copied.
        self.weight = (weights[0] if len(weights) == 1 else torch.cat(weights)).to(dtype)
        self.bias = (biases[0] if len(biases) == 1 else torch.cat(biases)).to(dtype)
        plain_cpu = self.weight.device.type == "cpu" and dtype == torch.float32
        self.turned = plain_cpu and self.weight.numel() >= 2**19

    def __call__(self, x: Tensor) -> Tensor:
        if self.turned and 4 < len(x) <= 48:
            # MKL is half as fast again on a few rows when the large matrix stands first.
            return torch.addmm(self.bias[:, None], self.weight, x.t()).t().contiguous()
        return F.linear(x, self.weight, self.bias)


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self.shape, self.eps = norm.normalized_shape, norm.eps
        self.weight, self.bias = norm.weight.detach().float(), norm.bias.detach().float()

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class _Layer:
    norm: _Norm
    query_key_value: Linear
    out: Linear
    cross_norm: _Norm
    cross_query: Linear
    cross_key: Linear
    cross_value: Linear
    cross_out: Linear
    last_norm: _Norm
    up: Linear
    activation: Callable[[Tensor], Tensor]
    down: Linear


class DecoderWeights:
    """The decoder's weights, ready to step; they are not copied where that can be avoided.

    ``pack`` makes the linear layers that are needed at every step, in ``dtype`` unless it is given.
    Norms and the sum that the layers add to are kept in float32.
    """

    def __init__(self, decoder: nn.Module, dtype: torch.dtype, pack: PackLinear | None = None):
        def as_float(layers: Sequence[nn.Linear], added: bool = False) -> Linear:
            return FloatLinear(layers, dtype)

        pack = pack or as_float
        positions = decoder.embed_positions
        self.positions = positions.weight.detach()[positions.offset :]
        self.norm, self.last_norm = _Norm(decoder.layernorm_embedding), _Norm(decoder.layer_norm)
        self.dtype, self.layers = dtype, []
        for layer in decoder.layers:
            own, cross = layer.self_attn, layer.encoder_attn
            self.heads = own.num_heads
            self.layers.append(
                _Layer(
                    norm=_Norm(layer.self_attn_layer_norm),
                    query_key_value=pack([own.q_proj, own.k_proj, own.v_proj], False),
                    out=pack([own.out_proj], True),
                    cross_norm=_Norm(layer.encoder_attn_layer_norm),
                    cross_query=pack([cross.q_proj], False),
                    cross_key=as_float([cross.k_proj]),  # once a text
                    cross_value=as_float([cross.v_proj]),
                    cross_out=pack([cross.out_proj], True),
                    last_norm=_Norm(layer.final_layer_norm),
                    up=pack([layer.fc1], False),
                    activation=layer.activation_fn,
                    down=pack([layer.fc2], True),
                )
            )


class StepDecoder:
    """Reads one position of every sequence at a time.

    ``memory`` [n, L, D] are the encoder's states and ``mask`` [n, L] says which are real. Each clip
    has ``streams`` sequences, which share the keys and values of its text. ``limit`` is the number
    of steps at most.
    """

    def __init__(
        self, weights: DecoderWeights, memory: Tensor, mask: Tensor, streams: int, limit: int
    ) -> None:
        self.weights, self.streams, self.limit = weights, streams, limit
        self.steps = 0
        size, length, width = memory.shape
        self.head_size = width // weights.heads
        memory = memory.to(weights.dtype).flatten(0, 1)
        shape = (size, length, weights.heads, self.head_size)
        self.cross = [
            tuple(
                linear(memory).view(shape).transpose(1, 2).contiguous()
                for linear in (layer.cross_key, layer.cross_value)
            )
            for layer in weights.layers
        ]  # a pair of [n, H, L, head_size] a layer
        self.mask = None
        if not mask.all():
            hidden = torch.zeros(mask.shape, dtype=weights.dtype, device=mask.device)
            self.mask = hidden.masked_fill_(~mask, float("-inf"))[:, None, None]  # [n, 1, 1, L]
        capacity = min(FIRST_STEPS, limit)
        shape = (2, size * streams, weights.heads, capacity, self.head_size)
        self.cache = [
            torch.empty(shape, dtype=weights.dtype, device=memory.device) for _ in weights.layers
        ]  # keys and values [2, n * streams, H, capacity, head_size] a layer

    @property
    def cache_bytes(self) -> int:
        """Memory of the cached keys and values of what was said."""
        return sum(cache.nbytes for cache in self.cache)

    def keep(self, clips: Tensor) -> None:
        """Go on with these clips [m] only."""
        parts = torch.arange(self.streams, device=clips.device)
        rows = (clips[:, None] * self.streams + parts).flatten()
        for i, pair in enumerate(self.cross):
            self.cross[i] = tuple(x.index_select(0, clips) for x in pair)
            self.cache[i] = self.cache[i].index_select(1, rows)
        if self.mask is not None:
            self.mask = self.mask.index_select(0, clips)

    def __call__(self, inputs: Tensor) -> Tensor:
        """States [n, streams, D] after embeddings [n, streams, D]."""
        weights, at = self.weights, self.steps
        if at == self.cache[0].shape[3]:
            self._grow()
        shape = inputs.shape
        rows = shape[0] * shape[1]
        x = weights.norm(inputs.reshape(rows, -1).float() + weights.positions[at].float())
        for layer, cache, cross in zip(weights.layers, self.cache, self.cross):
            x = x + self._attend(layer, cache, layer.norm(x).to(weights.dtype))
            x = x + self._attend_text(layer, cross, layer.cross_norm(x).to(weights.dtype))
            hidden = layer.activation(layer.up(layer.last_norm(x).to(weights.dtype)))
            x = x + layer.down(hidden)
        self.steps += 1
        return weights.last_norm(x).view(shape)

    def _attend(self, layer: _Layer, cache: Tensor, x: Tensor) -> Tensor:
        """Attention to what the sequence has said, from its last position x [rows, D]."""
        rows, width = x.shape
        fresh = layer.query_key_value(x).view(rows, 3, self.weights.heads, self.head_size)
        cache[:, :, :, self.steps] = fresh[:, 1:].transpose(0, 1)
        key, value = cache[:, :, :, : self.steps + 1]
        query = fresh[:, 0].unsqueeze(2)  # [rows, H, 1, head_size]
        return layer.out(F.scaled_dot_product_attention(query, key, value).reshape(rows, width))

    def _attend_text(self, layer: _Layer, cross: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """Attention to the text; the sequences of a clip are so many queries."""
        rows, width = x.shape
        query = layer.cross_query(x).view(
            rows // self.streams, self.streams, self.weights.heads, self.head_size
        )
        found = F.scaled_dot_product_attention(query.transpose(1, 2), *cross, attn_mask=self.mask)
        return layer.cross_out(found.transpose(1, 2).reshape(rows, width))

    def _grow(self) -> None:
        for i, cache in enumerate(self.cache):
            shape = list(cache.shape)
            shape[3] = min(2 * shape[3], self.limit)
            self.cache[i] = cache.new_empty(shape)
            self.cache[i][:, :, :, : self.steps] = cache
