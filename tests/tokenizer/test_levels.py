"""How a codebook size becomes the digits of a token, and what has no split."""

import pytest

from soke.tokenizer.quantizers import build_quantizer
from soke.tokenizer.quantizers.levels import scalar_levels, stage_levels


@pytest.mark.parametrize(
    ("size", "scalars", "stages"),
    [
        (192, (8, 6, 4), (16, 12)),
        (96, (6, 4, 4), (12, 8)),
        (512, (8, 8, 8), (32, 16)),
        (8, (4, 2), (4, 2)),
        (4, (2, 2), (2, 2)),
        (94, None, (47, 2)),
        (97, None, None),
    ],
)
def test_sizes_are_split_evenly(size, scalars, stages):
    assert scalar_levels(size) == scalars and stage_levels(size) == stages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vq", 4, 2, 0.9), "unknown quantizer 'vq'; did you mean"),
        (("ema_reset", 4, 2, 1.0), "decay is 1.0"),
        (("ema_reset", 4, 2, 0.9, [2, 2]), "takes no levels"),
        (("fsq", 97, 2, 0.9), r"97 codes \(a prime number\).*: 96 and 98"),
        (("rvq", 193, 2, 0.9), r"193 codes \(a prime number\).*: 192 and 194"),
        (("fsq", 94, 2, 0.9), r"cannot split 94 codes into.*: 90 and 96"),
        (("rvq", 2, 2, 0.9), r"\(a prime number\).*: 4\. Or list"),
        (("fsq", 12, 2, 0.9, [4, 4]), "product is the codebook size, 12"),
        (("rvq", 12, 2, 0.9, [12, 1]), "whole numbers from 2 on"),
    ],
)
def test_impossible_quantizers_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_quantizer(*arguments)


def test_levels_may_be_listed():
    assert build_quantizer("fsq", 97, 2, 0.9, [97]).levels == (97,)
    assert build_quantizer("rvq", 24, 2, 0.9, [2, 3, 4]).levels == (2, 3, 4)
