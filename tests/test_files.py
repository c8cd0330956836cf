import pytest

from soke.files import MissingAssetError, atomic_path, require


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_link_to_nothing_is_told_from_a_missing_file(tmp_path):
    def message(path):
        with pytest.raises(MissingAssetError) as error:
            require(path, "The list", "Fetch it.")
        return str(error.value)

    (tmp_path / "list.csv").symlink_to("moved/list.csv")
    (tmp_path / "corpus").symlink_to(tmp_path / "nowhere")
    path = tmp_path / "list.csv"
    assert message(path) == (
        f"The list not found: looked for {path} (this is a symbolic link to moved/list.csv, which "
        "is not there). Fetch it."
    )
    said = message(tmp_path / "corpus" / "list.csv")
    assert f"{tmp_path / 'corpus'} is a symbolic link to {tmp_path / 'nowhere'}" in said
    assert "symbolic" not in message(tmp_path / "none.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "symbolic link" in message(tmp_path / "loop")
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "list.csv").touch()
    assert require(path, "The list", "Fetch it.") == path
