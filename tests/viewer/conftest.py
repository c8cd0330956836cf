"""Pages and bodies that the tests of the viewer share."""

import numpy as np
import pytest

from soke.body import BodyModel
from soke.body.model_files import STAND_IN, read_body_arrays
from soke.viewer import write_page
from tests.viewer.clips import clip


@pytest.fixture(scope="session")
def body():
    return BodyModel()


@pytest.fixture(scope="session")
def bending_body(tmp_path_factory):
    """A body with pose correctives, which the stand-in has none of."""
    arrays = read_body_arrays(STAND_IN)
    draw = np.random.default_rng(0)
    arrays["posedirs"] = (1e-3 * draw.normal(size=arrays["posedirs"].shape)).astype(np.float32)
    path = tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz"
    np.savez(path, **arrays)
    return BodyModel(path)


@pytest.fixture(scope="session")
def page_file(tmp_path_factory, body):
    """A page of two clips: two systems of 24 and 16 frames, and one of a single frame."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    second = clip("two", "今天天气很好", "zh", (1,), keywords=("天气",), missing=(), note="a note")
    return write_page(path, [clip(), second], body)
