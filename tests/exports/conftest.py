import numpy as np
import pytest

from soke.body import STAND_IN, BodyModel


@pytest.fixture(scope="session")
def body():
    return BodyModel()


@pytest.fixture(scope="session")
def motion():
    """Nine frames of smooth, wild motion: arms, fingers, jaw and face."""
    draw = np.random.default_rng(0)
    ends = draw.normal(size=(2, 133)) * 0.4
    share = np.linspace(0, 1, 9)[:, None]
    return ((1 - share) * ends[0] + share * ends[1]).astype(np.float32)


@pytest.fixture(scope="session")
def still_face(motion):
    motion = motion.copy()
    motion[:, -10:] = 0
    return motion


@pytest.fixture(scope="session")
def corrected_body(tmp_path_factory):
    """A body of the licensed kind: bent joints change its shape."""
    with np.load(STAND_IN) as file:
        arrays = {key: file[key] for key in file.files}
    draw = np.random.default_rng(1)
    arrays["posedirs"] = draw.normal(size=(10475, 3, 486)).astype(np.float32) * 1e-3
    path = tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz"
    np.savez(path, **arrays)
    return BodyModel(path)
