"""mBART's decoder, one position at a time or several, over weights packed for that.

Compared with reading the whole prefix through the training network at every step: keys and values
of what was said are cached, those of the text are computed once, and nothing but what is new is
computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import GELUActivation

Linear = Callable[[Tensor], Tensor]
#: Packs layers that read the same input into one.
PackLinear = Callable[[Sequence[nn.Linear]], Linear]
#: Steps that a cache has room for at first; it doubles when it is full.
FIRST_STEPS = 64


class FloatLinear:
    """Linear layers with the same input as one, in a data type."""

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        weights = [layer.weight.detach() for layer in layers]
        biases = [layer.bias.detach() for layer in layers]
        # A single layer is not copied.
        weight = (weights[0] if len(weights) == 1 else torch.cat(weights)).to(dtype)
        self.bias = (biases[0] if len(biases) == 1 else torch.cat(biases)).to(dtype)
        self.factor = weight.t()  # [I, O]
        plain_cpu = weight.device.type == "cpu" and dtype == torch.float32
        self.turned = plain_cpu and weight.numel() >= 2**19

    def __call__(self, x: Tensor) -> Tensor:
        if self.turned and 4 < len(x) <= 48:
            # MKL is half as fast again on a few rows when the large matrix stands first.
            return torch.addmm(self.bias[:, None], self.factor.t(), x.t()).t().contiguous()
        return torch.addmm(self.bias, x, self.factor)


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self.shape = norm.normalized_shape
        self.eps = norm.eps
        self.weight = norm.weight.detach().float()
        self.bias = norm.bias.detach().float()

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def _gelu(x: Tensor) -> Tensor:
    """x times the normal distribution's cumulative probability at x."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.numel() > 2**12:
        return F.gelu(x)
    # For few numbers what oneDNN does before it begins takes longer than these.
    half = 0.5 * x
    return torch.addcmul(half, half, torch.erf(x * 0.5**0.5))


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
        def as_float(layers: Sequence[nn.Linear]) -> Linear:
            return FloatLinear(layers, dtype)

        pack = pack or as_float
        positions = decoder.embed_positions
        self.positions = positions.weight.detach()[positions.offset :]
        self.norm = _Norm(decoder.layernorm_embedding)
        self.last_norm = _Norm(decoder.layer_norm)
        self.dtype = dtype
        self.layers = []
        for layer in decoder.layers:
            own = layer.self_attn
            cross = layer.encoder_attn
            self.heads = own.num_heads
            exact_gelu = isinstance(layer.activation_fn, GELUActivation)
            self.layers.append(
                _Layer(
                    norm=_Norm(layer.self_attn_layer_norm),
                    query_key_value=pack([own.q_proj, own.k_proj, own.v_proj]),
                    out=pack([own.out_proj]),
                    cross_norm=_Norm(layer.encoder_attn_layer_norm),
                    cross_query=pack([cross.q_proj]),
                    cross_key=as_float([cross.k_proj]),  # once a text
                    cross_value=as_float([cross.v_proj]),
                    cross_out=pack([cross.out_proj]),
                    last_norm=_Norm(layer.final_layer_norm),
                    up=pack([layer.fc1]),
                    activation=_gelu if exact_gelu else layer.activation_fn,
                    down=pack([layer.fc2]),
                )
            )


class StepDecoder:
    """Reads the next positions of every sequence.

    ``memory`` [n, L, D] are the encoder's states and ``mask`` [n, L] says which are real. Each clip
    has ``streams`` sequences, which share the keys and values of its text. ``limit`` is the number
    of positions at most. ``steps`` positions were read; it may be set back, to read them anew.
    """

    def __init__(
        self, weights: DecoderWeights, memory: Tensor, mask: Tensor, streams: int, limit: int
    ) -> None:
        self.weights = weights
        self.streams = streams
        self.limit = limit
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

    def __call__(self, inputs: Tensor, weights: DecoderWeights | None = None) -> Tensor:
        """States [n, streams, D] after embeddings [n, streams, D]."""
        return self.read(inputs.unsqueeze(2), weights).squeeze(2)

    def read(self, inputs: Tensor, weights: DecoderWeights | None = None) -> Tensor:
        """States [n, streams, q, D] after each of the embeddings [n, streams, q, D].

        By other ``weights`` than the decoder's own if they are given; keys and values of the text
        remain as they are.
        """
        weights = weights or self.weights
        shape = inputs.shape
        at = self.steps
        self.steps = self.steps + shape[2]
        self._grow(at)
        positions = weights.positions[at : self.steps].float()
        x = weights.norm((inputs.float() + positions).view(-1, shape[3]))  # [rows * q, D]
        hidden = None
        if shape[2] > 1:  # each position sees those before it
            hidden = x.new_full((shape[2], self.steps), float("-inf"), dtype=weights.dtype)
            hidden.triu_(at + 1)
        for layer, cache, cross in zip(weights.layers, self.cache, self.cross):
            normed = layer.norm(x).to(weights.dtype)
            x = x + self._attend(layer, cache[:, :, :, : self.steps], hidden, normed)
            normed = layer.cross_norm(x).to(weights.dtype)
            x = x + self._attend_text(layer, cross, normed)
            x = x + layer.down(layer.activation(layer.up(layer.last_norm(x).to(weights.dtype))))
        return weights.last_norm(x).view(shape)

    def _attend(self, layer: _Layer, cache: Tensor, hidden: Tensor | None, x: Tensor) -> Tensor:
        """Attention to what the sequence has said, from its last positions x [rows * q, D]."""
        _, rows, heads, _, size = cache.shape
        fresh = layer.query_key_value(x).view(rows, -1, 3, heads, size).permute(2, 0, 3, 1, 4)
        cache[:, :, :, -fresh.shape[3] :] = fresh[1:]
        found = F.scaled_dot_product_attention(fresh[0], *cache, attn_mask=hidden)
        return layer.out(found.transpose(1, 2).reshape(x.shape))

    def _attend_text(self, layer: _Layer, cross: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """Attention to the text; the sequences of a clip are so many queries."""
        query = layer.cross_query(x).view(len(cross[0]), -1, self.weights.heads, self.head_size)
        found = F.scaled_dot_product_attention(query.transpose(1, 2), *cross, attn_mask=self.mask)
        return layer.cross_out(found.transpose(1, 2).reshape(x.shape))

    def _grow(self, kept: int) -> None:
        """Make room for ``steps`` positions, of which the first ``kept`` are cached already."""
        capacity = self.cache[0].shape[3]
        if self.steps <= capacity:
            return
        capacity = max(self.steps, min(2 * capacity, self.limit))
        for i, cache in enumerate(self.cache):
            shape = (*cache.shape[:3], capacity, cache.shape[4])
            self.cache[i] = cache.new_empty(shape)
            self.cache[i][:, :, :, :kept] = cache[:, :, :, :kept]
