import numpy as np
import pytest
import torch

from soke.metrics.ranking import ranks, recall_at

DISTANCES = np.array([[0.1, 0.5, 0.9], [0.2, 0.3, 0.4], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])


def test_ranks_count_the_nearer_references():
    found = ranks(DISTANCES, [0, 1, 0, 2])
    assert found.tolist() == [1, 2, 3, 3]
    assert ranks(torch.tensor(DISTANCES), torch.tensor([0, 1, 0, 2])).tolist() == found.tolist()
    assert recall_at(found, 1) == 0.25
    assert recall_at(found, 2) == 0.5
    assert recall_at(found, 10) == 1


def test_ties_count_against_the_model():
    assert ranks(np.zeros((3, 5)), [0, 2, 4]).tolist() == [5, 5, 5]
    assert ranks([[1.0, 1.0, 2.0]], [0]).tolist() == [2]
    assert ranks([[np.inf, 1.0]], [0]).tolist() == [2]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"expected distances \[queries, references\]"):
        ranks(np.zeros(3), [0])
    with pytest.raises(ValueError, match=r"expected distances \[queries, references\]"):
        ranks(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="NaN"):
        ranks([[np.nan, 1.0]], [1])
    with pytest.raises(ValueError, match="each of 4 queries"):
        ranks(DISTANCES, [0, 1])
    with pytest.raises(ValueError, match="each of 4 queries"):
        ranks(DISTANCES, [0.0, 1.0, 0.0, 2.0])
    with pytest.raises(ValueError, match="from 0 to 2"):
        ranks(DISTANCES, [0, 1, 3, 0])
    with pytest.raises(ValueError, match="at least one"):
        recall_at(np.array([]), 1)
    with pytest.raises(ValueError, match="k must be 1 or more"):
        recall_at(np.array([1]), 0)
