"""One thread a process, and one headless browser for all pages, where there is one."""

import os
import shutil

import pytest

# The tests' models are small, and threads would wait for each other. Before torch is imported,
# which reads it once; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader "
    "--enable-unsafe-swiftshader"
).split()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def launch():
    """Starts a headless browser with further flags; skips where none is installed.

    A module at a time: while it runs, so does an event loop, which other tests need not have.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        yield lambda *more: running.chromium.launch(
            executable_path=found, args=[*FLAGS, *more], headless=True
        )


@pytest.fixture(scope="module")
def browser(launch):
    browser = launch()
    yield browser
    browser.close()


def pytest_collection_modifyitems(items):
    """The longest file comes first, so that processes that share the tests end together."""
    items.sort(key=lambda item: item.path.name != "test_end_to_end.py")
