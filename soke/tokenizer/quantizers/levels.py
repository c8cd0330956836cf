"""How many values each digit of a token has, where a token is made of several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

#: The most values of a scalar: beyond it, neighbouring values are hard to tell apart.
_MOST_VALUES = 8


def scalar_levels(size: int) -> tuple[int, ...] | None:
    """Two or more levels of at most eight values whose product is ``size``: 192 = 8 x 6 x 4.

    As few levels as possible and among those the most equal ones. None where there are none.
    """
    found = list(_factorizations(size, _MOST_VALUES))
    found = [levels for levels in found if len(levels) > 1]
    return min(found, key=lambda levels: (len(levels), levels[0] - levels[-1]), default=None)


def stage_levels(size: int) -> tuple[int, ...] | None:
    """Two levels, as equal as possible, whose product is ``size``: 192 = 16 x 12. None if prime."""
    smaller = next((n for n in range(math.isqrt(size), 1, -1) if size % n == 0), None)
    return None if smaller is None else (size // smaller, smaller)


def _factorizations(size: int, most: int) -> Iterator[tuple[int, ...]]:
    """Falling factors from ``most`` to 2 whose product is ``size``."""
    if size == 1:
        yield ()
    for factor in range(min(size, most), 1, -1):
        if size % factor == 0:
            for rest in _factorizations(size // factor, factor):
                yield (factor, *rest)


#: Quantizers whose token has several digits, and how a codebook size is split for each.
SPLIT: dict[str, tuple[Callable[[int], tuple[int, ...] | None], str]] = {
    "fsq": (scalar_levels, f"two or more levels of 2 to {_MOST_VALUES} values"),
    "rvq": (stage_levels, "two codebooks of 2 codes or more"),
}


def choose_levels(kind: str, size: int, levels: Sequence[int] | None) -> tuple[int, ...]:
    """The levels of a quantizer of ``size`` codes: the given ones, checked, or a good split.

    Raises ``ValueError`` when the given ones do not multiply to ``size``, or when there is no
    split; then it names the nearest sizes that have one.
    """
    split, wanted = SPLIT[kind]
    if levels is not None:
        numbers = tuple(levels)
        if not all(isinstance(n, int) and n > 1 for n in numbers) or math.prod(numbers) != size:
            raise ValueError(
                f"the levels {list(numbers)} of {kind} must be whole numbers from 2 on whose "
                f"product is the codebook size, {size}"
            )
        return numbers
    found = split(size)
    if found is None:
        below = next((n for n in range(size - 1, 3, -1) if split(n)), None)
        above = next(n for n in range(max(size, 3) + 1, 4 * size + 8) if split(n))
        near = " and ".join(str(n) for n in (below, above) if n is not None)
        prime = all(size % n for n in range(2, math.isqrt(size) + 1))
        raise ValueError(
            f"{kind} cannot split {size} codes{' (a prime number)' if prime else ''} into {wanted}"
            f"; the nearest codebook_size that it can split: {near}. Or list `levels` yourself"
        )
    return found
