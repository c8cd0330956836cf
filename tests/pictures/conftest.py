"""A small trained run, and a stand-in for the films, which are slow."""

import pytest

from tests.runs import small_run


@pytest.fixture(scope="package")
def small(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def filmed(monkeypatch):
    """Calls of `soke.visualization.clip_video.film`, in place of films."""
    calls = []

    def film(body, clip, path, look=None, sheet=None):
        sheet = sheet or path.with_suffix(".png")
        for file in (path, sheet):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"film")
        calls.append({"path": path, "clip": clip, "look": look})
        return [path, sheet]

    monkeypatch.setattr("soke.signer.film", film)
    monkeypatch.setattr("soke.cli.show.output.film", film)
    return calls
