import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from soke.parts import (
    FEATURE_COLUMNS,
    FRAME_SIZE,
    Part,
    PartTable,
    features_to_frames,
    frames_to_features,
)

BODY_HANDS = [
    {
        "name": "body",
        "columns": [[0, 30], [120, 133]],
        "codebook_size": 96,
        "fusion_weight": 0.2,
        "token_prefix": "motion_id",
    },
    {
        "name": "lhand",
        "columns": [[30, 75]],
        "codebook_size": 192,
        "fusion_weight": 0.4,
        "token_prefix": "hand_id",
    },
    {
        "name": "rhand",
        "columns": [[75, 120]],
        "codebook_size": 192,
        "fusion_weight": 0.4,
        "token_prefix": "rhand_id",
    },
]


def test_split_sizes_are_those_of_the_method():
    table = PartTable.from_rows(BODY_HANDS)
    assert FRAME_SIZE == 179 and len(FEATURE_COLUMNS) == 133
    assert [part.size for part in table] == [43, 45, 45]
    motion = torch.arange(133.0)
    body, left, right = table.split(motion)
    assert body.tolist() == [*range(30), *range(120, 133)]
    assert left[0] == 30 and right[0] == 75


@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_merge_inverts_split_for_any_table(pieces, random):
    owner = [random.randrange(pieces) for _ in range(133)]
    owner[:pieces] = range(pieces)
    table = PartTable(
        Part(
            f"p{k}", tuple((i, i + 1) for i in range(133) if owner[i] == k), 4, 1 / pieces, f"t{k}"
        )
        for k in range(pieces)
    )
    motion = torch.randn(2, 3, 133)
    assert torch.equal(table.merge(table.split(motion)), motion)
    assert PartTable.from_rows(table.to_rows()) == table


@pytest.mark.parametrize(
    ("row", "change", "message"),
    [
        (1, {"columns": [[29, 75]]}, "column 29 belongs to part 'body' and to 'lhand'"),
        (1, {"columns": [[31, 75]]}, r"no part covers the feature columns \[30\]"),
        (2, {"columns": [[75, 134]]}, "runs? from 0 to 132|belongs"),
        (2, {"name": "lhand"}, "share one name"),
        (2, {"fusion_weight": 0.5}, "sum to 1.1"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(row, change, message):
    rows = [dict(r) for r in BODY_HANDS]
    rows[row].update(change)
    with pytest.raises(ValueError, match=message):
        PartTable.from_rows(rows)


def test_features_and_frames_are_inverse_on_what_is_modelled():
    features, betas = torch.randn(5, 133), torch.arange(10.0)
    frames = features_to_frames(features, betas)
    assert frames.shape == (5, 179)
    assert torch.equal(frames_to_features(frames), features)
    assert not frames[:, :36].any()
    assert torch.equal(frames[:, 159:169], betas.expand(5, 10))
