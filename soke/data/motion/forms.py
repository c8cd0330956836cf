"""The forms in which the tools of the field write whole-body SMPL-X motion.

`FORMS` is a table: how a form is told by its keys, what it calls the seven parameters, and in which
convention its hands are. `soke.data.motion.reader` reads by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from soke.parts import FRAME_SIZE, PARAMETERS, frame_slices

#: The key of a file that is one array.
ARRAY = "the array"
_SIZES = dict(PARAMETERS)


class Place(NamedTuple):
    """Where a form has a parameter: under ``key``, from column ``start`` of ``width`` a frame.

    ``width`` is None for coefficients, of which files have any number.
    """

    key: str
    width: int | None
    start: int = 0


def _named(**keys: str) -> dict[str, Place]:
    """The places of parameters that have a key of their own each."""
    places = {parameter: Place(key, _SIZES[parameter]) for parameter, key in keys.items()}
    for parameter in {"smplx_shape", "smplx_expr"} & keys.keys():
        places[parameter] = Place(keys[parameter], None)
    return places


def _side_by_side(key: str) -> dict[str, Place]:
    """The places of parameters in one array ``[T, 179]``."""
    return {
        parameter: Place(key, FRAME_SIZE, columns.start)
        for parameter, columns in frame_slices().items()
    }


_RELEASE = _named(**{key: key for key in _SIZES})
_LIBRARY = _named(
    smplx_root_pose="global_orient",
    smplx_body_pose="body_pose",
    smplx_lhand_pose="left_hand_pose",
    smplx_rhand_pose="right_hand_pose",
    smplx_jaw_pose="jaw_pose",
    smplx_shape="betas",
    smplx_expr="expression",
)
_AMASS = _named(
    smplx_root_pose="root_orient",
    smplx_body_pose="pose_body",
    smplx_jaw_pose="pose_jaw",
    smplx_shape="betas",
    smplx_expr="expression",
) | {
    "smplx_lhand_pose": Place("pose_hand", 90),
    "smplx_rhand_pose": Place("pose_hand", 90, 45),
}
#: Root, body, jaw, both eyes, left and right hand.
_POSES = {
    "smplx_root_pose": Place("poses", 165),
    "smplx_body_pose": Place("poses", 165, 3),
    "smplx_jaw_pose": Place("poses", 165, 66),
    "smplx_lhand_pose": Place("poses", 165, 75),
    "smplx_rhand_pose": Place("poses", 165, 120),
    "smplx_shape": Place("betas", None),
    "smplx_expr": Place("expression", None),
}
_BEAT = _POSES | {"smplx_expr": Place("expressions", None)}


class Form(NamedTuple):
    """How a tool lays motion out; a file is of the first form whose ``needed`` keys it has.

    ``hands`` is None where the tool leaves the convention to its user.
    """

    name: str
    needed: tuple[str, ...]
    places: Mapping[str, Place]
    hands: str | None


FORMS = (
    Form("SOKE motion", ("pose_body", "pose_hand", "hand_mean"), _AMASS, "flat"),
    Form("AMASS", ("pose_body", "pose_hand"), _AMASS, "flat"),
    Form(
        "released poses",
        ("smplx_body_pose", "smplx_lhand_pose", "smplx_rhand_pose"),
        _RELEASE,
        None,
    ),
    Form("smplx library", ("body_pose", "left_hand_pose", "right_hand_pose"), _LIBRARY, None),
    Form("BEAT2 / EMAGE", ("poses", "expressions"), _BEAT, "flat"),
    Form("AMASS, poses alone", ("poses",), _POSES, "flat"),
    Form("SignAvatars", ("smplx",), _side_by_side("smplx"), "relative"),
    Form("SOKE prediction", ("generated",), _side_by_side("generated"), "relative"),
    Form("frames of 179 numbers", (ARRAY,), _side_by_side(ARRAY), None),
)
