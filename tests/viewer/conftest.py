"""A headless browser for all tests of the page, where there is one."""

import shutil

import numpy as np
import pytest

from soke.body import BodyModel
from soke.body.files import STAND_IN, read_body_arrays
from soke.viewer import write_page
from tests.viewer.clips import clip

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader "
    "--enable-unsafe-swiftshader"
).split()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def launch():
    """Starts a headless browser with further flags; skips where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        yield lambda *more: running.chromium.launch(
            executable_path=found, args=[*FLAGS, *more], headless=True
        )


@pytest.fixture(scope="session")
def browser(launch):
    browser = launch()
    yield browser
    browser.close()


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
