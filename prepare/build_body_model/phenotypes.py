"""Bodies of different build: which of MakeHuman's macro targets to add, and how much of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from prepare.build_body_model.makehuman import MakeHuman

_TARGETS = "mpfb2/targets"
#: Position between MakeHuman's shortest and tallest adult at which the neutral body is 1.72 m.
NEUTRAL_HEIGHT = 0.39

_Axis = dict[str, float]


@dataclass(frozen=True)
class Phenotype:
    """Each field runs from 0 to 1; the defaults are the neutral body.

    ``gender`` 0 is male and 1 female, ``age`` 0 is a young adult and 1 an old one, ``ancestry``
    are the shares of MakeHuman's African, Asian and Caucasian targets (sum 1).
    """

    gender: float = 0.5
    muscle: float = 0.5
    weight: float = 0.5
    height: float = NEUTRAL_HEIGHT
    proportions: float = 0.5
    ancestry: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    age: float = 0.0
    cup: float = 0.5
    firmness: float = 0.5

    def target_weights(self) -> Iterator[tuple[str, float]]:
        """The targets that make up this body and their weights, those of weight 0 left out."""
        ages = {"young": 1 - self.age, "old": self.age}
        genders = {"male": 1 - self.gender, "female": self.gender}
        build = (
            genders,
            ages,
            _three_steps(self.muscle, "muscle"),
            _three_steps(self.weight, "weight"),
        )
        ancestries = dict(zip(("african", "asian", "caucasian"), self.ancestry))
        heights = {"minheight": 1 - self.height, "maxheight": self.height}
        proportions = {
            "idealproportions": 1 - self.proportions,
            "uncommonproportions": self.proportions,
        }
        breast = (_three_steps(self.cup, "cup"), _three_steps(self.firmness, "firmness"))
        yield from _products("macrodetails/", ancestries, genders, ages)
        yield from _products("macrodetails/universal-", *build)
        yield from _products("macrodetails/height/", *build, heights)
        yield from _products("macrodetails/proportions/", *build, proportions)
        yield from _products("breast/", {"female": self.gender}, *build[1:], *breast)

    def mesh(self, source: MakeHuman) -> np.ndarray:
        """The mesh of this body in MakeHuman's rest pose. [N, 3], metres"""
        vertices = source.vertices.copy()
        for name, weight in self.target_weights():
            displacement = source.target(name)
            if displacement is not None:
                vertices += weight * displacement
        return vertices


def sample_phenotype(rng: np.random.Generator) -> Phenotype:
    """Draw an adult at random. The order of the draws is part of the shipped file."""

    def trait() -> float:
        return float(np.clip(rng.normal(0.5, 0.22), 0, 1))

    return Phenotype(
        gender=rng.uniform(),
        muscle=trait(),
        weight=trait(),
        height=rng.normal(NEUTRAL_HEIGHT, 0.06),
        proportions=trait(),
        ancestry=tuple(rng.dirichlet((1, 1, 1))),
        age=max(0.0, rng.uniform(-0.6, 0.6)),  # half of the bodies are young
        cup=trait(),
        firmness=trait(),
    )


def _three_steps(value: float, name: str) -> _Axis:
    """Linear interpolation between the targets "min", "average" and "max" at 0, 1/2 and 1."""
    high = max(0.0, 2 * value - 1)
    low = max(0.0, 1 - 2 * value)
    return {f"min{name}": low, f"average{name}": 1 - low - high, f"max{name}": high}


def _products(prefix: str, *axes: _Axis) -> Iterator[tuple[str, float]]:
    """MakeHuman keeps one target for each combination of steps; weights multiply."""
    for choice in itertools.product(*(axis.items() for axis in axes)):
        names, weights = zip(*choice)
        weight = math.prod(weights)
        if weight > 1e-9:
            yield f"{_TARGETS}/{prefix}{'-'.join(names)}.target.gz", weight
