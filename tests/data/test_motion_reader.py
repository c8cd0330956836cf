"""The forms in which tools write motion, written with numpy, torch, pickle and lmdb alone.

One motion in every form: the 179 numbers have to come out the same.
"""

import io
import json
import os
import pickle
import shutil
from datetime import datetime
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from soke.body import STAND_IN
from soke.data import load_motion, open_shard, read_annotations, read_isolated_signs
from soke.data.listing.sources import Source
from soke.data.motion.hands import Hands
from soke.data.motion.reader import read_motion_file
from soke.data.motion.resampling import resample, six_to_axis_angle
from soke.data.packing import pack
from soke.data.poses import read_poses
from soke.data.scan import survey

T = 30
with np.load(STAND_IN, allow_pickle=False) as model:
    RELAXED = np.concatenate([model["hands_meanl"], model["hands_meanr"]]).ravel()
HANDS = Hands("auto", tuple(RELAXED.tolist()))


def signing():
    """Root, body, left and right hand (relative), jaw, betas and expression of T frames."""
    draw = np.random.default_rng(0)
    time = np.linspace(0, 1, T)[:, None]

    def wave(size, scale):
        return scale * np.sin(2 * np.pi * time + draw.uniform(0, 6, (1, size)))

    return {
        "root": wave(3, 0.1),
        "body": wave(63, 0.4),
        "left": wave(45, 0.2),
        "right": wave(45, 0.2),
        "jaw": wave(3, 0.1),
        "betas": np.tile(draw.normal(size=10), (T, 1)),
        "expression": wave(10, 0.5),
    }


SIGNING = signing()
FRAMES = np.concatenate(list(SIGNING.values()), axis=1)
FLAT = {"left": SIGNING["left"] + RELAXED[:45], "right": SIGNING["right"] + RELAXED[45:]}


def amass():
    """An AMASS file has no expression; ours keep it under this name."""
    flat = np.concatenate([FLAT["left"], FLAT["right"]], axis=1)
    eyes = np.zeros((T, 6))
    return {
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(60.0),
        "markers_latent_vids": np.array({"a": 1}, dtype=object),
        "trans": np.ones((T, 3)),
        "poses": poses(),
        "betas": np.append(SIGNING["betas"][0], np.zeros(6)),
        "root_orient": SIGNING["root"],
        "pose_body": SIGNING["body"],
        "pose_hand": flat,
        "pose_jaw": SIGNING["jaw"],
        "pose_eye": eyes,
        "expression": SIGNING["expression"],
    }


def poses():
    eyes = np.zeros((T, 6))
    columns = SIGNING["root"], SIGNING["body"], SIGNING["jaw"], eyes, FLAT["left"], FLAT["right"]
    return np.concatenate(columns, axis=1)


def beat():
    return {
        "poses": poses(),
        "expressions": np.concatenate([SIGNING["expression"], np.ones((T, 90))], axis=1),
        "betas": np.append(SIGNING["betas"][0], np.zeros(290)),
        "trans": np.zeros((T, 3)),
        "model": np.array("smplx2020"),
        "mocap_frame_rate": np.array(30),
    }


def library(shape=lambda value: value):
    return {
        "global_orient": shape(SIGNING["root"]),
        "body_pose": shape(SIGNING["body"]),
        "left_hand_pose": shape(SIGNING["left"]),
        "right_hand_pose": shape(SIGNING["right"]),
        "jaw_pose": shape(SIGNING["jaw"]),
        "leye_pose": shape(np.zeros((T, 3))),
        "betas": SIGNING["betas"][:1],
        "expression": np.concatenate([SIGNING["expression"], np.ones((T, 40))], axis=1),
        "transl": np.zeros((T, 3)),
    }


def joints(value):
    return value.reshape(T, -1, 3)


def matrices(value):
    turned = Rotation.from_rotvec(value.reshape(-1, 3)).as_matrix()
    return turned.reshape(T, -1, 3, 3)


def signavatars():
    wide = np.concatenate([FRAMES, np.ones((T, 3))], axis=1)
    return {"smplx": wide, "unsmooth_smplx": wide + 1, "width": 1280, "2d": np.zeros((T, 106, 3))}


def released(frames=FRAMES):
    names = "root_pose body_pose lhand_pose rhand_pose jaw_pose shape expr".split()
    columns = np.split(frames, np.cumsum([3, 63, 45, 45, 3, 10]), axis=-1)
    return {f"smplx_{name}": column for name, column in zip(names, columns)}


def npz(content):
    return lambda path: np.savez(path.open("wb"), **content)


def npy(content):
    return lambda path: np.save(path.open("wb"), content, allow_pickle=True)


def pkl(content, protocol=4):
    return lambda path: path.write_bytes(pickle.dumps(content, protocol))


FORMS = {
    "AMASS": ("walk.NPZ", npz(amass()), "AMASS", "flat", 60),
    "BEAT2": ("speech.npz", npz(beat()), "BEAT2", "flat", 30),
    "library": ("a.npz", npz(library()), "smplx library", "relative", None),
    "library, joints": ("a.npz", npz(library(joints)), "smplx library", "relative", None),
    "library, matrices": ("a.npz", npz(library(matrices)), "smplx library", "relative", None),
    "SignAvatars": ("a.pkl", pkl(signavatars(), 2), "SignAvatars", "relative", None),
    "SignAvatars, array": ("a", npy(signavatars()["smplx"]), "frames of", "relative", None),
    "a dict in an array": ("a.npy", npy(signavatars()), "SignAvatars", "relative", None),
    "released": ("a.pkl", pkl(released(), 5), "released", "relative", None),
    "released, with a rate": (
        "a.npz",
        npz(released() | {"fps": np.array([23.976])}),
        "released",
        "relative",
        23.976,
    ),
    "frames": ("a.npy", npy(FRAMES.astype(">f4")), "frames of", "relative", None),
    "one batch": ("a.npy", npy(np.asfortranarray(FRAMES[None])), "frames of", "relative", None),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(tmp_path, form):
    name, write, title, hands, fps = FORMS[form]
    write(tmp_path / name)
    motion = read_motion_file(tmp_path / name, HANDS)
    assert motion.frames.dtype == np.float32
    np.testing.assert_allclose(motion.frames, FRAMES, atol=1e-5)
    assert motion.form.startswith(title) and motion.hands == hands
    assert motion.fps == (None if fps is None else pytest.approx(fps))
    assert motion.reason in motion.recognised and hands in motion.recognised


def test_what_a_form_leaves_out_is_zero(tmp_path):
    content = {key: value for key, value in amass().items() if key in ("poses", "trans")}
    npz(content)(tmp_path / "a.npz")
    expected = FRAMES.copy()
    expected[:, 159:] = 0
    read = read_motion_file(tmp_path / "a.npz", HANDS)
    np.testing.assert_allclose(read.frames, expected, atol=1e-5)
    bare = {key: library()[key] for key in ("body_pose", "left_hand_pose", "right_hand_pose")}
    npz(bare)(tmp_path / "b.npz")
    expected[:, :3] = expected[:, 156:] = 0
    np.testing.assert_allclose(read_motion_file(tmp_path / "b.npz").frames, expected, atol=1e-5)


def test_features_alone_are_filled_up_at_rest(tmp_path):
    features = np.concatenate([FRAMES[:, 36:159], FRAMES[:, 169:]], axis=1)
    npz({"generated": features, "reference": features, "text": np.array("hi")})(tmp_path / "a.npz")
    motion = read_motion_file(tmp_path / "a.npz")
    assert motion.form == "SOKE prediction" and motion.text == "hi"
    expected = FRAMES.copy()
    expected[:, :36] = expected[:, 159:169] = 0
    np.testing.assert_allclose(motion.frames, expected, atol=1e-6)


def test_values_that_nobody_needs_do_not_stop_a_frame_file(tmp_path):
    more = {"image": torch.zeros(1, 2), "at": datetime(2020, 1, 1), "file": Path("a"), "ids": {1}}
    for i, frame in enumerate(FRAMES.astype(np.float32)):
        pkl(released(frame) | more)(tmp_path / f"clip_{i}_3D.pkl")
    np.testing.assert_array_equal(read_poses(tmp_path).frames, FRAMES.astype(np.float32))


@pytest.mark.parametrize("ending", [".npz", ".pkl"])
@pytest.mark.parametrize("hands", ["relative", "flat"])
def test_a_folder_with_one_file_per_frame(tmp_path, ending, hands):
    poses = FLAT if hands == "flat" else SIGNING
    for i in range(T):
        content = {
            "global_orient": SIGNING["root"][i][None],
            "body_pose": SIGNING["body"][i].reshape(21, 3),
            "left_hand_pose": poses["left"][i].reshape(15, 3),
            "right_hand_pose": poses["right"][i][None],
            "jaw_pose": SIGNING["jaw"][i][None],
            "betas": SIGNING["betas"][:1],
            "expression": SIGNING["expression"][i][None],
        }
        write = npz if ending == ".npz" else pkl
        write(content)(tmp_path / f"video_{i + 8:05d}{ending}")  # 8 to 37: by value, not by letter
    motion = read_poses(tmp_path, HANDS)
    assert motion.hands == hands
    np.testing.assert_allclose(motion.frames, FRAMES, atol=1e-5)


def test_a_flat_form_needs_a_body(tmp_path):
    npz(amass())(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz has flat hands; a body model is needed"):
        read_motion_file(tmp_path / "a.npz")


def test_the_convention_of_hands_is_measured_or_set(tmp_path):
    flat = library() | {"left_hand_pose": FLAT["left"], "right_hand_pose": FLAT["right"]}
    npz(flat)(tmp_path / "a.npz")
    motion = read_motion_file(tmp_path / "a.npz", HANDS)
    assert motion.hands == "flat" and "idle hands are" in motion.reason
    np.testing.assert_allclose(motion.frames, FRAMES, atol=1e-5)
    kept = read_motion_file(tmp_path / "a.npz", Hands("relative", HANDS.relaxed))
    assert (kept.hands, kept.reason) == ("relative", "as configured")
    np.testing.assert_allclose(kept.frames[:, 66:111], FLAT["left"], atol=1e-5)
    with pytest.raises(ValueError, match="'flatt' is unknown; choose from"):
        Hands("flatt", HANDS.relaxed)


def test_files_of_something_else_say_what_they_are(tmp_path):
    for name, content, message in (
        ("a.bvh", b"HIERARCHY\nROOT Hips\n", "moves another skeleton .*retarget"),
        ("walk", b"HIERARCHY\nROOT Hips\n", "moves another skeleton"),
        ("a.npz", b"not a zip", r"cannot be read as \.npz"),
        ("a.pkl", b"", "cannot be read as a pickle"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message) as error:
            read_motion_file(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
    pkl({"smplx": torch.zeros(T, 182)})(tmp_path / "tensor.pkl")
    with pytest.raises(ValueError, match=r"'smplx' holds torch.*save it as a numpy array"):
        read_motion_file(tmp_path / "tensor.pkl")


# LMDB


def six(axis_angle):
    """The first two rows of each joint's matrix."""
    turned = Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_matrix()
    return turned[:, :2].reshape(len(axis_angle), -1).astype(np.float32)


def record(text="你们好", **changes):
    content = {
        "language": np.array(["CSL"]),
        "translation": np.array([text]),
        "gloss": np.array(["你们 好"]),
        "segment": np.repeat([0, 2, 1], [10, 1, 19]),
        "left_features": np.concatenate([six(FLAT["left"]), np.ones((T, 6))], axis=1),
        "right_features": six(FLAT["right"]),
        "body_features": six(SIGNING["body"]),
        "face_features": np.concatenate(
            [six(SIGNING["jaw"]), SIGNING["expression"], np.ones((T, 40))], axis=1
        ),
        **changes,
    }
    content["body_features"] = content["body_features"].copy()
    content["body_features"][:, : 11 * 6] = 0
    stream = io.BytesIO()
    np.savez(stream, **content)
    return stream.getvalue()


def write_lmdb(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), map_size=2**26) as environment, environment.begin(write=True) as put:
        put.put(b"__meta__", pickle.dumps({"clip_ids": list(records), "num_clips": len(records)}))
        for name, content in records.items():
            put.put(name.encode(), content)


def test_clips_of_an_lmdb(tmp_path):
    records = {"S1_P0": record(), "S2_P0": record("再见"), "empty": record(" ")}
    write_lmdb(tmp_path / "lmdb/train/CSL-Daily_reopt_train.lmdb", records)
    write_lmdb(tmp_path / "lmdb/dev/CSL-Daily_reopt_dev.lmdb", {"S2_P0": record("再见")})
    clips, dropped = read_annotations("lmdb", tmp_path, "train", corpus="csl", fps=25, hands=HANDS)
    (clip,) = clips
    assert (clip.name, clip.text, clip.gloss) == ("S1_P0", "你们好", "你们 好")
    assert dropped == {"no text": 1, "also in the test or validation split": 1}
    expected = FRAMES.copy()
    expected[:, :36] = expected[:, 159:169] = 0
    np.testing.assert_allclose(load_motion(clip), expected, atol=1e-5)
    (val,), _ = read_annotations("lmdb", tmp_path, "val", hands=HANDS)
    assert val.name == "S2_P0"


def test_damaged_records_are_left_out_and_named(tmp_path):
    records = {
        "good": record(),
        "short": record(right_features=six(FLAT["right"])[:7]),
        "narrow": record(face_features=np.zeros((T, 5), np.float32)),
        "nan": record(body_features=np.full((T, 126), np.nan)),
        "cut": record()[:500],
    }
    path = tmp_path / "train/How2Sign_reopt_train.lmdb"
    write_lmdb(path, records)
    clips, dropped = read_annotations("lmdb", tmp_path, "train", fps=25, hands=HANDS)
    found = survey(clips, dropped)
    assert [clip.name for clip in found.clips] == ["good"]
    assert dropped == {"damaged poses": 4}
    for name in ("short", "narrow", "nan", "cut"):
        (fault,) = [fault for fault in dropped.faults if f"'{name}'" in fault]
        assert str(path) in fault


def test_an_lmdb_is_packed_and_may_be_copied(tmp_path):
    records = {"a": record("uno"), "b": record("due")}
    write_lmdb(tmp_path / "one/train/x_train.lmdb", records)

    def source(root):
        return Source("mine", "lmdb", str(tmp_path / root), "train", 25, hands=HANDS)

    clips, dropped = source("one").list_clips()
    pack(tmp_path / "store", source("one"), clips, dropped)
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)
    for root in ("one", "two"):
        shard = open_shard(tmp_path / "store", source(root))
        assert [(clip.name, clip.text, clip.gloss) for clip in shard] == [
            ("a", "uno", "你们 好"),
            ("b", "due", "你们 好"),
        ]
        for packed, clip in zip(shard, clips):
            np.testing.assert_array_equal(load_motion(packed), load_motion(clip))
    write_lmdb(tmp_path / "three/train/x_train.lmdb", records | {"c": record("tre")})
    with pytest.raises(ValueError, match=r"x_train\.lmdb has changed"):
        open_shard(tmp_path / "store", source("three"))


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_read_an_lmdb_that_was_listed_before(tmp_path, workers):
    records = {f"c{i}": record() for i in range(6)}
    write_lmdb(tmp_path / "train/x_train.lmdb", records)
    clips, dropped = read_annotations("lmdb", tmp_path, "train", fps=25, hands=HANDS)
    assert survey(clips, dropped, workers).lengths.tolist() == [T] * 6 and not dropped
    assert len(load_motion(clips[0])) == T  # and so does this process, afterwards


def test_a_truncated_lmdb_is_named(tmp_path):
    path = tmp_path / "train/x_train.lmdb"
    write_lmdb(path, {f"c{i}": record() for i in range(6)})
    size = (path / "data.mdb").stat().st_size
    os.truncate(path / "data.mdb", size // 2)
    with pytest.raises(ValueError, match=r"x_train\.lmdb is truncated: it has .* bytes of"):
        read_annotations("lmdb", tmp_path, "train", hands=HANDS)


def test_odd_values_of_a_record_spoil_that_record_alone(tmp_path):
    broken = bytearray(record())
    at = broken.index("你们好".encode("utf-32-le"))
    broken[at] ^= 1  # its checksum is wrong now
    records = {"good": record(segment=np.array([None])), "text": bytes(broken)}
    write_lmdb(tmp_path / "train/x_train.lmdb", records)
    clips, dropped = read_annotations("lmdb", tmp_path, "train", fps=25, hands=HANDS)
    assert [clip.name for clip in clips] == ["good"] and dropped == {"damaged poses": 1}
    assert "'text'" in dropped.faults[0] and len(load_motion(clips[0])) == T


def test_several_data_sets_in_one_folder_need_a_choice(tmp_path):
    for name in ("CSL-Daily", "How2Sign"):
        write_lmdb(tmp_path / f"lmdb/train/{name}_reopt_train.lmdb", {name: record()})
    with pytest.raises(ValueError, match=r"has several data sets .CSL-Daily.*annotation"):
        read_annotations("lmdb", tmp_path, "train", hands=HANDS)
    (clip,), _ = read_annotations(
        "lmdb", tmp_path, "train", hands=HANDS, template="lmdb/{split}/How2Sign*.lmdb"
    )
    assert clip.name == "How2Sign"


# Rotations


def test_degenerate_rows_are_the_identity():
    rows = np.zeros((4, 6))
    rows[1] = [2, 0, 0, 5, 3, 0]  # neither of length 1 nor at right angles
    rows[2] = [0, 1, 0, 0, 2, 0]  # parallel
    rows[3] = [0, 1, 0, -1, 0, 0]  # rows of a quarter turn about z, the other way
    found = six_to_axis_angle(rows)
    np.testing.assert_allclose(found[:3], 0, atol=1e-12)
    np.testing.assert_allclose(found[3], [0, 0, -np.pi / 2], atol=1e-12)


@pytest.mark.parametrize(("fps", "target"), [(12, 25), (60, 25), (29.97, 24), (50, 25)])
def test_resampling_turns_joints_about_one_axis(fps, target):
    axis = np.array([1.0, 2.0, -2.0]) / 3
    times = np.arange(40) / fps
    angle = 0.5 + 4 * times  # beyond half a turn: stays in its branch
    values = np.concatenate([angle[:, None] * axis, times[:, None]], axis=1)
    found = resample(values, slice(0, 3), fps, target)
    assert len(found) == round(40 * target / fps)
    expected = np.minimum(np.arange(len(found)) / target, times[-1])
    np.testing.assert_allclose(found[:, 3], expected, atol=1e-9)
    np.testing.assert_allclose(found[:, :3], (0.5 + 4 * expected)[:, None] * axis, atol=1e-9)
    if fps == 50:
        np.testing.assert_array_equal(found, values[::2])


def test_the_rate_of_a_file_counts_and_clips_are_resampled(tmp_path):
    (tmp_path / "poses").mkdir()
    npz(amass())(tmp_path / "poses/sixty.npz")  # its file says 60
    npy(FRAMES)(tmp_path / "poses/twelve.npy")
    npy(FRAMES)(tmp_path / "poses/plain.npy")
    rows = (
        "name,text,language,split,fps\nsixty,a,it,train,\ntwelve,b,it,train,12\nplain,c,it,train,\n"
    )
    (tmp_path / "clips.csv").write_text(rows)
    clips, dropped = read_annotations("table", tmp_path, "train", fps=24, hands=HANDS)
    assert survey(clips, dropped).lengths.tolist() == [12, 60, 30]
    np.testing.assert_allclose(load_motion(clips[1])[::2][:30], FRAMES, atol=1e-5)
    (note,) = [note for note in dropped.notes if "resampled" in note]
    assert "1 from 12, 1 from 60" in note


@pytest.mark.parametrize("rate", [1e-6, 0.0, -25.0, 1e5, np.nan])
def test_a_rate_that_cannot_be_is_named(tmp_path, rate):
    npz(released() | {"mocap_frame_rate": np.array(rate)})(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a\.npz: 'mocap_frame_rate' is .* from 1 to 1000"):
        read_motion_file(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["expression", "expressions"])
def test_expressions_have_two_names(tmp_path, name):
    content = {"poses": poses(), name: SIGNING["expression"]}
    for kind in (content, {k: v for k, v in amass().items() if k != "expression"} | content):
        npz(kind)(tmp_path / "a.npz")
        frames = read_motion_file(tmp_path / "a.npz", HANDS).frames
        np.testing.assert_allclose(frames[:, 169:], SIGNING["expression"], atol=1e-5)


def test_an_odd_shape_of_the_signer_does_not_matter(tmp_path):
    for odd in (np.array({}), np.array(1.0), np.full(10, np.nan), np.zeros((T, 0))):
        npz(library() | {"betas": odd})(tmp_path / "a.npz")
        assert not read_motion_file(tmp_path / "a.npz").frames[:, 159:169].any()


def test_signs_are_cut_by_number_and_then_resampled(tmp_path):
    (tmp_path / "poses").mkdir()
    npz(released() | {"fps": np.array(50)})(tmp_path / "poses/rec.npz")
    entry = {"name": "a", "label": "ciao", "start": 4, "end": 23, "video_file": "rec"}
    (tmp_path / "signs.json").write_text(json.dumps([entry]))
    (sign,), _ = read_isolated_signs("table", tmp_path, "signs.json", fps=25)
    np.testing.assert_allclose(load_motion(sign), FRAMES[4:24:2], atol=1e-5)


def test_all_splits_of_a_corpus_have_the_hands_of_training(tmp_path):
    (tmp_path / "poses").mkdir()
    flat = FRAMES.copy()
    flat[:, 66:156] += RELAXED
    straight = FRAMES.copy()
    straight[:, 66:156] = 0.01  # flat hands held out straight: alone they look relative
    rows = ["name,text,language,split,fps"]
    for name, motion, split in (("a", flat, "train"), ("b", straight, "test")):
        npy(motion)(tmp_path / f"poses/{name}.npy")
        rows.append(f"{name},x,it,{split},25")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    for split in ("train", "test"):
        source = Source("mine", "table", str(tmp_path), split, 25, "it", hands=HANDS)
        (clip,), _ = source.list_clips()
        assert clip.hands.convention == "flat"
        assert source.list_clips()[0][0].split == split


@pytest.mark.parametrize("hands", ["flat", "relative"])
def test_the_hands_of_a_corpus_are_found_once_and_said(tmp_path, hands):
    (tmp_path / "poses").mkdir()
    shift = RELAXED if hands == "flat" else 0
    frames = FRAMES.copy()
    frames[:, 66:156] += shift
    fist = frames.copy()
    fist[:, 66:156] = 1.2 + shift  # never idle: alone it would tell nothing
    names = ["a", "b", "fist"]
    for name, motion in zip(names, (frames, frames, fist)):
        npy(motion)(tmp_path / f"poses/{name}.npy")
    rows = [f"{name},x,it,train,25" for name in names]
    (tmp_path / "clips.csv").write_text("\n".join(["name,text,language,split,fps", *rows]))
    clips, dropped = read_annotations("table", tmp_path, "train", fps=25, hands=HANDS)
    (note,) = dropped.notes
    assert f"hands are taken as {hands}: idle hands" in note and "CORPORA.table.hands" in note
    for clip in clips[:2]:
        np.testing.assert_allclose(load_motion(clip), FRAMES, atol=1e-5)
    np.testing.assert_allclose(load_motion(clips[2])[:, 66:156], 1.2, atol=1e-5)
