import json

import numpy as np
import pytest
import torch
import trimesh

from soke.exports import export
from soke.exports.ply import read_ply, write_ply
from soke.files import MissingAssetError


def posed_alike(body, motion, frames):
    """Vertices to the last bit of what an export writes, which poses just these frames at once.

    On some processors a frame's last bits depend on how many frames are posed with it.
    """
    return body.vertices(torch.as_tensor(motion[frames])).numpy()


def test_trimesh_reads_every_frame(tmp_path, body, motion):
    tint = (92, 122, 168)
    (folder,) = export("ply", tmp_path / "x", motion, body, 25, text="今天", tint=tint)
    assert folder == tmp_path / "x-ply"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"{frame:05d}.ply" for frame in range(9)), "clip.json"]
    exact = posed_alike(body, motion, range(9))
    for frame in (0, 4, 8):
        mesh = trimesh.load(folder / f"{frame:05d}.ply", process=False)
        np.testing.assert_array_equal(mesh.vertices, exact[frame])
        np.testing.assert_array_equal(mesh.faces, body.faces)
        colors = mesh.visual.vertex_colors[:, :3]
        assert tuple(colors[np.argmin(mesh.vertices[:, 1])]) == tint  # a foot is clothed
        assert colors[np.argmax(mesh.vertices[:, 1])].min() > 170  # a head is bare
    note = json.loads((folder / "clip.json").read_text(encoding="utf-8"))
    assert note["text"] == "今天" and note["fps"] == 25 and note["body"] == body.name
    assert note["regions"]["head"] == body.regions["head"].tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["x-ply"]


def test_chosen_frames(tmp_path, body, motion):
    (folder,) = export("ply", tmp_path / "x", motion, body, 25, frames=[7, 2])
    assert sorted(p.name for p in folder.glob("*.ply")) == ["00002.ply", "00007.ply"]
    mesh = trimesh.load(folder / "00007.ply", process=False)
    np.testing.assert_array_equal(mesh.vertices, posed_alike(body, motion, [2, 7])[1])
    assert json.loads((folder / "clip.json").read_text())["frames"] == [2, 7]
    for frames, message in (([9], "frames 0 to 8; there is no frame 9"), ([], "none was chosen")):
        with pytest.raises(ValueError, match=message):
            export("ply", tmp_path / "y", motion, body, 25, frames=frames)
    assert not (tmp_path / "y-ply").exists()


def test_an_older_export_is_replaced_as_a_whole(tmp_path, body, motion):
    export("ply", tmp_path / "x", motion, body, 25)
    export("ply", tmp_path / "x", motion[:2], body, 25)
    assert len(list((tmp_path / "x-ply").glob("*.ply"))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["x-ply"]


def test_other_files_are_never_replaced(tmp_path, body, motion):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("dear")
    with pytest.raises(ValueError, match=r"thesis holds other files \(chapter.tex\)"):
        write_ply(tmp_path / "thesis", body, motion, 25)
    with pytest.raises(ValueError, match=r"chapter.tex is a file"):
        write_ply(tmp_path / "thesis" / "chapter.tex", body, motion, 25)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "dear"


def test_a_failed_export_leaves_the_old_one(tmp_path, body, motion, monkeypatch):
    export("ply", tmp_path / "x", motion[:2], body, 25)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("soke.exports.ply.ply_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        export("ply", tmp_path / "x", motion, body, 25)
    assert len(list((tmp_path / "x-ply").glob("*.ply"))) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["x-ply"]


@pytest.mark.parametrize("tint", [None, (200, 100, 50)])
def test_a_folder_is_read_back(tmp_path, body, motion, tint):
    (folder,) = export("ply", tmp_path / "x", motion, body, 24, frames=[3, 5], tint=tint, text="a")
    back = read_ply(folder)
    np.testing.assert_array_equal(back.vertices, posed_alike(body, motion, [3, 5]))
    np.testing.assert_array_equal(back.faces, body.faces)
    assert back.frames == (3, 5) and back.fps == 24 and back.about["text"] == "a"
    np.testing.assert_array_equal(back.regions["right_hand"], body.regions["right_hand"])


def test_folders_that_cannot_be_read(tmp_path, body, motion):
    (folder,) = export("ply", tmp_path / "x", motion[:2], body, 25)
    with pytest.raises(MissingAssetError, match="--export ply"):
        read_ply(tmp_path / "no")
    mesh = folder / "00001.ply"
    note = folder / "clip.json"
    whole = mesh.read_bytes()
    for wrong, message in ((whole[:-1], "truncated"), (b"ply\nformat ascii 1.0\n", "not a PLY")):
        mesh.write_bytes(wrong)
        with pytest.raises(ValueError, match=f"00001.ply .*{message}"):
            read_ply(folder)
    mesh.unlink()
    with pytest.raises(MissingAssetError, match=r"00001\.ply"):
        read_ply(folder)
    mesh.write_bytes(whole)
    content = json.loads(note.read_text())
    for change, message in (
        ({"fps": 0}, "not the metadata"),
        ({"frames": None}, "not the metadata"),
        ({"frames": []}, "names no frames"),
        ({"regions": {"head": [10475]}}, "another body"),
        ({"regions": [1]}, "not the metadata"),
    ):
        note.write_text(json.dumps({**content, **change}))
        with pytest.raises(ValueError, match=message):
            read_ply(folder)
