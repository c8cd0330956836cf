"""A small corpus, and where it is packed."""

import pytest

from tests.data.conftest import motion
from tests.data.store.shards import LENGTHS, NAMES


@pytest.fixture
def corpus(write_corpus):
    """Nine clips, one a file of release 2, one damaged, in the layout of CSL-Daily."""
    corpus = write_corpus("csl")
    corpus.annotate([(name, f"text {name}") for name in NAMES])
    for seed, name in enumerate(NAMES):
        write = corpus.write_clip if seed == 4 else corpus.write_frames
        write(name, motion(LENGTHS[name], seed))
    (corpus.folder(NAMES[7]) / "000003.pkl").write_bytes(b"no pickle")
    return corpus


@pytest.fixture
def store(tmp_path):
    return tmp_path / "packed"
