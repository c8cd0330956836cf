import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from soke.viewer import write_page
from soke.viewer.array_block import unpack
from soke.visualization import FRAMINGS
from tests.viewer.clips import clip, waving

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=hacked=1> \"'&\u2028 <!--"


class Page(HTMLParser):
    """Everything in a page: elements with their attributes, and the text inside each script."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.contents = []
        self._open = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = len(self.elements) - 1

    def handle_data(self, data):
        self.contents.append((self._open, data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, identity):
        return "".join(
            data for i, data in self.contents if self.elements[i or 0][1].get("id") == identity
        )

    @property
    def data(self):
        return json.loads(self.inside("data"))


@pytest.fixture(scope="module")
def page(page_file):
    return Page(page_file.read_text(encoding="utf-8"))


def test_nothing_is_loaded(page):
    named = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "action", "poster", "data")
    ]
    assert named == ["data:,"]
    assert not any("@import" in data or "url(" in data for _, data in page.contents)
    assert not any(key.startswith("on") for _, a in page.elements for key in a)


def test_the_policy_allows_this_script_and_style_and_nothing_else(page, page_file):
    policy = next(m["content"] for m in page.all("meta") if "content-security" in str(m).lower())
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    text = page_file.read_text(encoding="utf-8")
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_controls_are_labelled_and_names_are_unique(page):
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(set(identities)) == len(identities)
    labelled = {a["for"] for a in page.all("label")}
    assert labelled <= set(identities)
    for control in page.all("input") + page.all("select"):
        assert control["id"] in labelled or control.get("aria-label"), control
    for button in page.all("button"):
        assert button.get("aria-label") or button["data-key"] == "0", button
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("section") and all(a.get("aria-label") for a in page.all("section"))


def test_the_data_are_those_of_the_clips(page):
    first, second = page.data["clips"]
    assert (first["name"], first["text"], first["language"]) == (
        "one",
        "Good morning, dear world",
        "en",
    )
    assert [kind for _, kind in first["spans"] if kind] == ["retrieved", "missing", "retrieved"]
    assert [s["frames"] for s in first["systems"]] == [24, 16]
    assert np.shape(first["systems"][1]["tokens"]) == (4, 3)
    assert second["note"] == "a note"
    assert {view["name"] for view in page.data["views"]} == {*FRAMINGS, "combined"}
    assert page.data["framesPerToken"] == 4
    assert page.data["body"]["name"] == "stand-in body (not SMPL-X)"


def test_the_arrays_are_those_of_the_body_and_the_motion(page, body):
    arrays = unpack(page.inside("arrays-body"), page.data["body"]["arrays"])
    np.testing.assert_array_equal(arrays["faces"], body.faces)
    assert arrays["influences"].sum() == len(arrays["weights"]) == len(arrays["joints"])
    moved = unpack(page.inside("arrays-0"), page.data["clips"][0]["arrays"])
    pose, expression = body.full_pose(torch.as_tensor(waving(16, 1)))
    np.testing.assert_array_equal(moved["rotations1"], pose)
    np.testing.assert_array_equal(moved["coefficients1"], expression)
    assert moved["right_hand1"].shape == (16, 3)


def test_the_stated_error_is_that_of_all_frames(tmp_path, bending_body):
    """Against a plain loop: more motions than directions, so that something is left."""
    clips = [clip(frames=(24, 24, 24)), clip(frames=(24,), fps=50.0)]
    clips[1] = replace(clips[1], systems=(replace(clips[1].systems[0], motion=waving(60, 9)),))
    page = Page(write_page(tmp_path / "page.html", clips, bending_body).read_text())
    data = page.data
    skin = unpack(page.inside("arrays-body"), data["body"]["arrays"])
    directions = skin["directions"] * skin["scales"][:, None, None].astype(np.float64)
    distances = []
    for number, shown in enumerate(clips):
        arrays = unpack(page.inside(f"arrays-{number}"), data["clips"][number]["arrays"])
        for i, system in enumerate(shown.systems):
            stored = arrays[f"coefficients{i}"].astype(np.float64)
            pose = arrays[f"rotations{i}"]
            true = bending_body.vertices(torch.as_tensor(system.motion)).numpy()
            for t in range(len(true)):
                rest = skin["template"] + np.tensordot(stored[t], directions, 1)
                joints = skin["rest"] + np.tensordot(stored[t], skin["jointDirections"], 1)
                posed = skinned(rest, joints, pose[t], skin)
                distances.append(np.linalg.norm(posed - true[t], axis=1))
    distances = 1000 * np.array(distances)
    assert distances.max() > 0.01  # far more than rounding
    rounding = 5e-4  # millimetres: what float32 leaves open at a distance of a metre or two
    assert data["error"]["maximum"] == pytest.approx(distances.max(), abs=rounding)
    assert data["error"]["mean"] == pytest.approx(distances.mean(), rel=1e-3)


def skinned(rest, joints, pose, skin):
    """Linear blend skinning in plain numpy."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_rotvec(pose).as_matrix()
    frames = []
    for j, parent in enumerate(skin["parents"]):
        local = np.eye(4)
        local[:3, :3] = turned[j]
        local[:3, 3] = joints[j] - (parent >= 0) * joints[parent]
        frames.append(local if parent < 0 else frames[parent] @ local)
    weights = np.zeros((len(rest), len(joints)))
    weights[np.repeat(np.arange(len(rest)), skin["influences"]), skin["joints"]] = skin["weights"]
    moved = np.zeros_like(rest)
    for j, frame in enumerate(frames):
        moved += weights[:, j : j + 1] * ((rest - joints[j]) @ frame[:3, :3].T + frame[:3, 3])
    return moved


def test_hostile_texts_stay_data(tmp_path, body):
    named = clip(HOSTILE, HOSTILE, '"><b>', keywords=(HOSTILE,), missing=(HOSTILE,), note=HOSTILE)
    systems = tuple(replace(s, title=HOSTILE, score=HOSTILE) for s in named.systems)
    hostile = replace(named, systems=systems, parts=(HOSTILE, "b", "c"))
    path = write_page(tmp_path / "page.html", [hostile], body, title=HOSTILE)
    page = Page(path.read_text(encoding="utf-8"))
    plain = Page(write_page(tmp_path / "plain.html", [clip()], body).read_text(encoding="utf-8"))
    assert page.elements[2:] == plain.elements[2:]  # the same elements, no more
    shown = page.data["clips"][0]
    assert shown["text"] == shown["note"] == shown["systems"][0]["title"] == HOSTILE


def test_equal_clips_make_equal_pages(tmp_path, body, page_file):
    again = clip("two", "今天天气很好", "zh", (1,), keywords=("天气",), missing=(), note="a note")
    path = write_page(tmp_path / "again.html", [clip(), again], body)
    assert path.read_bytes() == page_file.read_bytes()


def without_systems(good):
    return replace(good, systems=())


def with_motion(motion):
    return lambda good: replace(good, systems=(replace(good.systems[0], motion=motion),))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_systems, "no system"),
        (lambda good: replace(good, fps=0.0), "at 0.0 frames per second"),
        (with_motion(np.zeros((4, 100))), r"\[T, 133\], got \(4, 100\)"),
        (with_motion(np.zeros((0, 133))), r"got \(0, 133\)"),
        (with_motion(np.full((4, 133), np.nan)), "'reference': the motion contains NaN"),
        (lambda good: replace(good, parts=("body",)), r"parts \['body'\], got \(6, 3\)"),
    ],
)
def test_what_cannot_be_shown_is_named_and_nothing_is_written(tmp_path, body, spoil, words):
    with pytest.raises(ValueError, match=words):
        write_page(tmp_path / "page.html", [clip(), spoil(clip("bad"))], body)
    assert list(tmp_path.iterdir()) == []


def test_a_page_needs_a_clip(tmp_path, body):
    with pytest.raises(ValueError, match="no clips"):
        write_page(tmp_path / "page.html", [], body)
