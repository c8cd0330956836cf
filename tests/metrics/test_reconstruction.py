import pickle
import shutil

import numpy as np
import pytest
import torch

from soke.body import STAND_IN, BodyModel
from soke.files import MissingAssetError
from soke.metrics import position_errors
from soke.metrics.aggregate import TOTAL
from soke.metrics.position_errors import (
    MeanPointError,
    ReconstructionMetrics,
    clip_point_errors,
    point_errors,
)
from soke.metrics.surface_points import SurfacePoints
from soke.structures import BodyOutput
from tests.metrics.clips import plain_aligned
from tests.metrics.test_aggregate import on_ranks

SETS = {
    "MPVPE": ("all", "face", "hand", "lhand", "rhand"),
    "MPJPE": ("body", "hand", "lhand", "rhand"),
}
NAMES = {f"{p}{kind}_{name}" for p in ("", "PA_") for kind in SETS for name in SETS[kind]}


@pytest.fixture(scope="module")
def body():
    return BodyModel()


@pytest.fixture
def metrics(body):
    return ReconstructionMetrics(body, ["a", "b", "unused"])


def clip(seed, frames):
    """A made-up motion and its imperfect reconstruction, both [T, 133]."""
    draw = torch.Generator().manual_seed(seed)
    motion = 0.2 * torch.randn(frames, 133, generator=draw)
    return motion + 0.05 * torch.randn(frames, 133, generator=draw), motion


def plain_scores(body, generated, reference):
    """All scores frame by frame and point by point, from the files themselves."""
    folder = STAND_IN.parent
    face = np.load(folder / "SMPL-X__FLAME_vertex_ids.npy")
    hands = pickle.loads((folder / "MANO_SMPLX_vertex_ids.pkl").read_bytes())
    regressor = pickle.loads((folder / "SMPLX_to_J14.pkl").read_bytes())
    sides = []
    for motion in (generated, reference):
        output, scored = body(motion), body.scored_points(motion)
        vertices, joints = output.vertices.double().numpy(), output.joints.double().numpy()
        lhand, rhand = scored["lhand"].double().numpy(), scored["rhand"].double().numpy()
        sides.append(
            {
                "MPVPE_all": (vertices, joints[:, 0]),
                "MPVPE_face": (vertices[:, face], joints[:, 12]),
                "MPVPE_lhand": (vertices[:, hands["left_hand"]], joints[:, 20]),
                "MPVPE_rhand": (vertices[:, hands["right_hand"]], joints[:, 21]),
                "MPJPE_body": (np.einsum("jv,nvc->njc", regressor, vertices), joints[:, 0]),
                "MPJPE_lhand": (lhand, lhand[:, 0]),
                "MPJPE_rhand": (rhand, rhand[:, 0]),
            }
        )
    scores = {}
    for name in sides[0]:
        (ours, our_root), (theirs, their_root) = sides[0][name], sides[1][name]
        moved = [a - r - (b - s) for a, r, b, s in zip(ours, our_root, theirs, their_root)]
        fitted = [plain_aligned(a, b) - b for a, b in zip(ours, theirs)]
        scores[name] = 1000 * np.mean([np.linalg.norm(d, axis=-1).mean() for d in moved])
        scores[f"PA_{name}"] = 1000 * np.mean([np.linalg.norm(d, axis=-1).mean() for d in fitted])
    for name in ("MPVPE_hand", "MPJPE_hand", "PA_MPVPE_hand", "PA_MPJPE_hand"):
        both = [scores[name.replace("_hand", f"_{side}")] for side in ("lhand", "rhand")]
        scores[name] = np.mean(both)
    return scores


def test_a_clip_equals_plain_loops(body, metrics):
    scores = metrics(*clip(0, 5), "a")
    assert set(scores) == set(metrics.names) == NAMES
    expected = plain_scores(body, *clip(0, 5))
    assert scores == pytest.approx(expected, rel=1e-5)
    assert min(scores.values()) > 0.1
    assert len(set(scores.values())) == len(NAMES)  # no score is another one's twin


def test_every_frame_counts_the_same(body, metrics):
    clips = [("a", clip(1, 20)), ("b", clip(2, 8)), ("a", clip(3, 35))]
    rows = [metrics(*motions, corpus) for corpus, motions in clips]
    means = metrics.compute()
    assert list(means) == ["a", "b", TOTAL] and set(means["a"]) == NAMES
    for name in NAMES:
        one, two, three = (row[name] for row in rows)
        assert means["a"][name] == pytest.approx((20 * one + 35 * three) / 55)
        assert means["b"][name] == pytest.approx(two)
        assert means[TOTAL][name] == pytest.approx((20 * one + 8 * two + 35 * three) / 63)
    # one after the other they score as they do alone
    alone = ReconstructionMetrics(body, ["a"])
    assert alone(*clips[2][1], "a") == pytest.approx(rows[2])
    metrics.reset()
    assert metrics.compute() == {}


def test_memory_is_bounded(body, metrics, monkeypatch):
    monkeypatch.setattr(position_errors, "_CHUNK", 7)
    posed = []

    def counted(motion):
        posed.append(len(motion))
        return body(motion)

    expected = ReconstructionMetrics(body, ["a"])(*clip(4, 16), "a")
    metrics._body = [counted]
    sizes = {name: score.sums.shape for name, score in metrics.scores.items()}
    for _ in range(3):
        assert metrics(*clip(4, 16), "a") == pytest.approx(expected)
    assert max(posed) == 14 and sum(posed) == 3 * 32  # both motions, each frame once
    assert sizes == {name: score.sums.shape for name, score in metrics.scores.items()}


def test_what_a_score_looks_at(metrics):
    _, motion = clip(5, 4)
    assert max(metrics(motion, motion, "a").values()) < 1e-3
    other = motion.clone()
    other[:, 30:75] += 0.1  # the fingers of the left hand
    scores = metrics(other, motion, "b")
    moved = {name for name, value in scores.items() if value > 1e-2}
    assert moved == {name for name in NAMES if name.endswith(("_hand", "lhand", "all"))}
    assert scores["MPVPE_hand"] == pytest.approx(scores["MPVPE_lhand"] / 2, abs=1e-3)
    shoulder = motion.clone()
    shoulder[:, 12:15] += 0.3  # turns the whole left arm
    scores = metrics(shoulder, motion, "b")
    assert scores["PA_MPVPE_lhand"] < 1e-2 < 1 < scores["MPVPE_lhand"]


def test_one_metric_by_itself():
    # a square beside its mirror image in the plane, and a root that moved on its own
    square = torch.tensor([[[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]]])
    root = torch.zeros(1, 3, 3)
    ours = BodyOutput(2 * square.flip(1) + 5, root + torch.tensor([0.0, 0, 3.0]))
    theirs = BodyOutput(square, root)
    sets = [SurfacePoints(torch.tensor([0, 1, 2, 3]), root=2)]
    aligned = MeanPointError("PA", sets, ["a"], aligned=True)
    assert aligned(ours, theirs, "a")["a"]["PA"] == pytest.approx(0, abs=1e-3)
    plain = MeanPointError("own root", [SurfacePoints(torch.tensor([0, 2]))], ["a"])
    plain.update(ours, theirs, "a")
    # relative to point 0: ours (0, 0), (4, 4), theirs (0, 0), (-2, -2)
    expected = (ours.vertices[0, 2] - ours.vertices[0, 0] - square[0, 2] + square[0, 0]).norm() / 2
    assert plain.compute()[TOTAL]["own root"] == pytest.approx(1000 * expected.item())
    joints = MeanPointError("joint", sets, ["a"])
    difference = ours.vertices - theirs.vertices - torch.tensor([0.0, 0, 3.0])
    assert joints(ours, theirs, "a")["a"]["joint"] == pytest.approx(
        1000 * difference.norm(dim=-1).mean().item()
    )
    regressed = SurfacePoints.regressed(torch.tensor([[0.5, 0, 0.5, 0], [0, 1, 0, 0]]))
    points, first = regressed(theirs)
    assert regressed.vertices.tolist() == [0, 1, 2]
    assert points.tolist() == [[[0, 0, 0], [-1, 1, 0]]] and first.tolist() == [[[0, 0, 0]]]


RANK_CLIPS = [("a", 6, 12), ("b", 7, 4), ("a", 8, 8)]


def score_share(rank, ranks):
    metrics = ReconstructionMetrics(BodyModel(), ["a", "b"])
    for corpus, seed, frames in RANK_CLIPS[rank::ranks]:
        metrics(*clip(seed, frames), corpus)
    return metrics.compute()


def test_two_ranks_equal_one(tmp_path):
    expected = score_share(0, 1)
    for scores in on_ranks(2, tmp_path, score_share):
        assert set(scores) == {"a", "b", TOTAL}
        for corpus, values in expected.items():
            assert scores[corpus] == pytest.approx(values, rel=1e-6)  # poses are float32


def test_point_errors(body):
    clips = [clip(9, 5), clip(10, 3)]
    ours, theirs = ([body.scored_points(motion) for motion in side] for side in zip(*clips))
    errors = [point_errors(*pair) for pair in zip(ours, theirs)]
    for i in range(2):
        for name in ours[i]:
            a, b = ours[i][name].double().numpy(), theirs[i][name].double().numpy()
            expected = np.linalg.norm((a - a[:, :1]) - (b - b[:, :1]), axis=-1).mean()
            assert errors[i][f"MPJPE_{name}"] == pytest.approx(1000 * expected, rel=1e-5)
    together = [{k: torch.cat([s[k] for s in side]) for k in side[0]} for side in (ours, theirs)]
    for found, alone in zip(clip_point_errors(*together, [5, 3]), errors):
        assert found == pytest.approx(alone, rel=1e-6)
    with pytest.raises(ValueError, match="clips of 7 frames altogether, but 8 frames of 'body'"):
        clip_point_errors(*together, [5, 2])


def test_bad_motions_add_nothing(metrics):
    generated, reference = clip(11, 4)
    metrics(generated, reference, "a")
    before = metrics.compute()
    with pytest.raises(ValueError, match=r"equal shape \[T, 133\], got \(3, 133\) and \(4, 133\)"):
        metrics(generated[:3], reference, "a")
    with pytest.raises(ValueError, match=r"got \(4, 100\) and \(4, 100\)"):
        metrics(generated[:, :100], reference[:, :100], "a")
    with pytest.raises(ValueError, match="at least one frame"):
        metrics(generated[:0], reference[:0], "a")
    with pytest.raises(ValueError, match="the reference motion must be finite"):
        metrics(generated, reference * torch.nan, "a")
    with pytest.raises(ValueError, match="unknown corpus 'c'"):
        metrics(generated, reference, "c")
    assert metrics.compute() == before


def test_frames_have_to_pair_up(metrics, body):
    generated, reference = clip(12, 4)
    score = metrics.scores["MPVPE_all"]
    with pytest.raises(ValueError, match="as many generated as reference frames"):
        score.update(body(generated[:1]), body(reference), "a")


@pytest.fixture
def copied(tmp_path):
    """The body model and its side files, in a folder where they can be spoilt."""
    shutil.copytree(STAND_IN.parent, tmp_path / "smplx")
    return BodyModel(tmp_path / "smplx" / STAND_IN.name)


@pytest.mark.parametrize(
    "name", ["SMPLX_to_J14.pkl", "MANO_SMPLX_vertex_ids.pkl", "SMPL-X__FLAME_vertex_ids.npy"]
)
def test_side_files_are_asked_for(copied, name):
    (copied.path.parent / name).unlink()
    with pytest.raises(MissingAssetError, match=f"{name}.*Download it from"):
        ReconstructionMetrics(copied, ["a"])


def test_side_files_that_do_not_fit(copied):
    folder = copied.path.parent
    np.save(folder / "SMPL-X__FLAME_vertex_ids.npy", np.array([0, 10475]))
    with pytest.raises(ValueError, match=r"vertex_ids\.npy: expected a list of vertex numbers"):
        ReconstructionMetrics(copied, ["a"])
    np.save(folder / "SMPL-X__FLAME_vertex_ids.npy", np.array([0, 1]))
    (folder / "SMPLX_to_J14.pkl").write_bytes(pickle.dumps(np.zeros((14, 6890))))
    with pytest.raises(ValueError, match=r"shape \(14, 10475\), got float64 of shape \(14, 6890\)"):
        ReconstructionMetrics(copied, ["a"])
    (folder / "SMPLX_to_J14.pkl").write_bytes(pickle.dumps(np.eye(14, 10475)))
    (folder / "MANO_SMPLX_vertex_ids.pkl").write_bytes(pickle.dumps({"left_hand": np.arange(3)}))
    with pytest.raises(ValueError, match=r"keys \['right_hand'\], got \['left_hand'\]"):
        ReconstructionMetrics(copied, ["a"])
