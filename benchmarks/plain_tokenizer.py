"""The published network, built a second time out of plain torch modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Features and codes of the published parts, and the keys they have in a file.
SIZES = {"body": (43, 24), "lhand": (45, 20), "rhand": (45, 28)}
NAMINGS = (("vae.", "hand_vae.", "rhand_vae."), ("motion_vae.", "hand_vae.", "rhand_vae."))
COLUMNS = {
    "body": [*range(30), *range(120, 133)],
    "lhand": [*range(30, 75)],
    "rhand": [*range(75, 120)],
}


class Block(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(torch.relu(self.conv1(torch.relu(x))))


class Stack(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(Block(width, dilation) for dilation in (9, 3, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Wrapped(nn.Module):
    """Gives its layers the prefix ``model.``."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Network(nn.Module):
    """One part: ``encoder.model``, ``decoder.model`` and ``quantizer.codebook``."""

    def __init__(self, features: int, width: int, code_dim: int, codes: int) -> None:
        super().__init__()
        down = [nn.Sequential(nn.Conv1d(width, width, 4, 2, 1), Stack(width)) for _ in range(2)]
        up = [
            nn.Sequential(
                Stack(width), nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, 1, 1)
            )
            for _ in range(2)
        ]
        self.encoder = Wrapped(
            nn.Conv1d(features, width, 3, 1, 1),
            nn.ReLU(),
            *down,
            nn.Conv1d(width, code_dim, 3, 1, 1),
        )
        self.decoder = Wrapped(
            nn.Conv1d(code_dim, width, 3, 1, 1),
            nn.ReLU(),
            *up,
            nn.Conv1d(width, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv1d(width, features, 3, 1, 1),
        )
        # Codes that are outputs of the encoder, so that most of them get chosen.
        outputs = self.encoder(torch.randn(1, features, 4 * codes)).detach()[0].T
        self.quantizer = nn.Module()
        self.quantizer.register_buffer("codebook", outputs.clone())

    def encode(self, piece: Tensor) -> Tensor:
        vectors = self.encoder(piece.transpose(1, 2)).transpose(1, 2)
        return torch.cdist(vectors, self.quantizer.codebook[None]).argmin(dim=-1)

    def decode(self, tokens: Tensor) -> Tensor:
        codes = self.quantizer.codebook[tokens]
        return self.decoder(codes.transpose(1, 2)).transpose(1, 2)


def published_networks(width: int = 16, code_dim: int = 8, seed: int = 0) -> dict[str, Network]:
    torch.manual_seed(seed)
    return {
        name: Network(features, width, code_dim, codes).eval()
        for name, (features, codes) in SIZES.items()
    }


def published_state(networks: dict[str, Network], naming: tuple[str, ...]) -> dict[str, Tensor]:
    return {
        prefix + key: value
        for prefix, network in zip(naming, networks.values())
        for key, value in network.state_dict().items()
    }
