"""The one reader of whole-body SMPL-X motion, in the forms that the tools of the field write.

Whatever the form (`soke.data.motion.forms`), the result is ``[T, 179]`` in the order of
`soke.parts.PARAMETERS`, hands relative to the relaxed hand (`soke.data.motion.hands`).
Translation, eyes and gender are not modelled and are passed over; of betas and expression the
first ten count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from soke.data.listing.entries import MAX_RATE, MIN_RATE
from soke.data.motion.forms import ARRAY, FORMS, Form, Place
from soke.data.motion.hands import HANDS, Hands
from soke.data.motion.resampling import matrices_to_axis_angle
from soke.parts import FEATURE_COLUMNS, FEATURE_SIZE, FRAME_SIZE, PARAMETERS, frame_slices
from soke.unpickling import Unread, safe_load_pickle, safe_loads

#: What a file holds: values by key. A file that is one array has it under `ARRAY`.
Content = dict[str, object]

_SIZES = dict(PARAMETERS)
#: Why hands are read as they are, where neither the form nor the poses were asked.
AS_CONFIGURED = "as configured"
_RATES = ("mocap_frame_rate", "mocap_framerate", "fps", "frame_rate")


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of one file, and what the file says of it."""

    frames: np.ndarray  # [T, 179] float32, hands relative to the relaxed hand
    form: str
    hands: str  # the file's convention, "flat" or "relative"
    reason: str  # why that convention
    fps: float | None = None
    text: str = ""
    language: str = ""
    gloss: str = ""
    segments: np.ndarray | None = None  # [T], 0 between signs, 2 where a sign begins, 1 within it
    tokens: np.ndarray | None = None  # [S, P]
    keywords: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def recognised(self) -> str:
        """One line: form, frame rate, convention of the hands and why."""
        rate = "" if self.fps is None else f", {self.fps:g} frames/s"
        return f"{self.form}{rate}, hands {self.hands} ({self.reason})"


def read_motion_file(path: str | Path, hands: Hands | None = None) -> Motion:
    """Read a file with a whole clip, whatever its form; its name does not matter.

    ``hands`` says how hand poses are read where the form leaves it open; without it they are taken
    to be relative, and a form with flat hands is refused.

    Raises ``ValueError`` that names the file, and the key as the file has it, for a file of no
    known form, for wrong sizes and lengths and for values that are not finite numbers.
    """
    path = Path(path)
    return motion_from_content(path, load_content(path), hands)


def motion_from_content(where: object, content: object, hands: Hands | None = None) -> Motion:
    """`read_motion_file` for what a file holds; ``where`` is what errors call it."""
    content = _as_content(where, content)
    if "expressions" in content:  # both names are in use
        content = {"expression": content["expressions"], **content}
    form = _recognise(where, content)
    motion = Motion(
        frames=_join(where, form, content),
        form=form.name,
        hands=form.hands or "relative",
        reason=f"as in {form.name}" if form.hands else AS_CONFIGURED,
        fps=_rate(where, content),
        text=_text(content, "text"),
        language=_text(content, "language"),
        tokens=_tokens(content),
        keywords=_words(content, "keywords"),
        missing=_words(content, "missing"),
    )
    if "hand_mean" in content:  # the relaxed hand that the file was written with
        relaxed = _array(where, "hand_mean", content["hand_mean"]).ravel()
        if relaxed.shape != (90,) or not np.isfinite(relaxed).all():
            raise ValueError(f"{where}: 'hand_mean' has to be 90 finite numbers")
        hands = Hands("auto", tuple(relaxed.tolist()))
    if motion.hands == "flat":
        return replace(motion, frames=relative_to(where, hands, motion.frames))
    if form.hands is None and hands is not None:
        return with_recognised_hands(motion, hands)
    return motion


def with_recognised_hands(motion: Motion, hands: Hands) -> Motion:
    """A motion of a form that leaves the convention open, by ``hands``: configured or measured."""
    convention = hands.convention
    reason = AS_CONFIGURED
    if convention == "auto":
        convention, reason = hands.recognise(motion.frames[:, HANDS])
    motion = replace(motion, hands=convention, reason=reason)
    if convention == "flat":
        return replace(motion, frames=relative_to(motion.form, hands, motion.frames))
    return motion


def relative_to(where: object, hands: Hands | None, frames: np.ndarray) -> np.ndarray:
    """Frames with flat hands ``[T, 179]`` as frames with hands relative to the relaxed hand."""
    if hands is None:
        raise ValueError(
            f"{where} has flat hands; a body model is needed to relate them to its relaxed hand"
        )
    frames = frames.copy()
    frames[:, HANDS] -= np.asarray(hands.relaxed, np.float32)
    return frames


def load_content(path: Path) -> object:
    """What a file holds, values by key or an array. Nothing of it is executed."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected a file with a clip")
    with path.open("rb") as file:
        start = file.read(9)
    if start[:2] == b"PK":
        return _load_npz(path)
    suffix = path.suffix.lower()
    if start[:6] == b"\x93NUMPY":
        return _load_npy(path)
    if start == b"HIERARCHY" or suffix in (".bvh", ".fbx", ".glb"):
        raise ValueError(
            f"{path} moves another skeleton ({suffix or 'BVH'}); expected SMPL-X parameters "
            "(.npz, .npy or .pkl): retarget it to SMPL-X first"
        )
    if suffix in (".npz", ".npy"):
        raise ValueError(
            f"{path} cannot be read as {suffix}: it is damaged, empty or of another format"
        )
    return safe_load_pickle(path)


def _as_content(where: object, value: object) -> Content:
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {ARRAY: value}
    raise ValueError(f"{where}: expected a dict of pose arrays, found {type(value).__name__}")


def _load_npz(path: Path) -> Content:
    content: Content = {}
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            for key in arrays.files:
                content[key] = _member(arrays, key)
    except Exception as error:
        # A damaged file can raise almost anything from inside its reader.
        raise ValueError(
            f"{path} cannot be read as .npz ({type(error).__name__}: {error})"
        ) from error
    return content


def _member(arrays: Mapping[str, np.ndarray], key: str) -> object:
    try:
        return arrays[key]
    except ValueError as error:
        if "allow_pickle" in str(error):
            return Unread("an array of objects")
        raise


def _load_npy(path: Path) -> object:
    """The array of a file, or what an array of one object holds."""
    try:
        with path.open("rb") as file:
            try:
                return np.lib.format.read_array(file, allow_pickle=False)
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
                content = file.read()  # the header has been read
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as .npy ({type(error).__name__}: {error})"
        ) from error
    value = safe_loads(content, path)
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def _recognise(where: object, content: Content) -> Form:
    for form in FORMS:
        if all(key in content for key in form.needed):
            return form
    if "hand_pose" in content or "mano" in content:
        raise ValueError(
            f"{where} holds hands alone (MANO, as WiLoR and HaMeR write them); whole bodies are "
            "needed"
        )
    nearest = max(FORMS, key=lambda form: sum(key in content for key in form.needed))
    lacking = [key for key in nearest.needed if key not in content]
    found = sorted(content)[:20]
    if len(lacking) < len(nearest.needed):
        names = ", ".join(map(repr, lacking))
        raise ValueError(f"{where} ({nearest.name}): {names} is missing; there are {found}")
    known = "; ".join(f"{form.name} ({', '.join(form.needed)})" for form in FORMS)
    raise ValueError(f"{where} is of no known form; there are {found}. Known are: {known}")


def _join(where: object, form: Form, content: Content) -> np.ndarray:
    """The parameters of a file side by side, ``[T, 179]``; what may be absent is zeros."""
    values = {
        parameter: _parameter(where, content[place.key], place, _SIZES[parameter])
        for parameter, place in form.places.items()
        if place.key in content and not _is_odd_shape(place, parameter, content[place.key])
    }
    lengths = {form.places[parameter].key: len(value) for parameter, value in values.items()}
    length = max(lengths.values())
    # A single value holds for the whole clip.
    if not all(found in (1, length) for found in lengths.values()) or not length:
        raise ValueError(f"{where}: the keys need one number of frames above 0, found {lengths}")
    frames = np.zeros((length, FRAME_SIZE), np.float32)
    columns = frame_slices()
    with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
        for parameter, value in values.items():
            frames[:, columns[parameter]] = value
    if not np.isfinite(frames).all():
        row, column = np.argwhere(~np.isfinite(frames))[0]
        parameter = next(key for key, at in columns.items() if at.start <= column < at.stop)
        place = form.places[parameter]
        key = parameter if place.width == FRAME_SIZE else place.key
        raise ValueError(
            f"{where}: {key!r} holds {frames[row, column]} in frame {row} of the clip; poses have "
            "to be finite numbers"
        )
    return frames


def _is_odd_shape(place: Place, parameter: str, value: object) -> bool:
    """Whether a value is a signer's shape that cannot be read; none is modelled."""
    if parameter != "smplx_shape" or place.width is not None:
        return False
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        return True
    return value.ndim not in (1, 2, 3) or not value.size or not np.isfinite(value).all()


def _parameter(where: object, value: object, place: Place, size: int) -> np.ndarray:
    """One parameter ``[T, size]``, or ``[1, size]`` where one value holds for the clip."""
    array = _array(where, place.key, value)
    if place.width is None:
        return _coefficients(where, place.key, array, size)
    if array.ndim > 2 and array.shape[-2:] == (3, 3):
        array = matrices_to_axis_angle(array)
    if place.width == FRAME_SIZE:
        array = _whole_frames(array)
    count = array.size // place.width
    batched = array.ndim == 3 and 1 in array.shape[:2]
    counts = (1, *(array.shape[:2] if batched else array.shape[:1]))
    if array.size != count * place.width or count not in counts or not array.ndim:
        raise ValueError(_shape_message(where, place, array, size))
    return array.reshape(count, place.width)[:, place.start : place.start + size]


def _whole_frames(array: np.ndarray) -> np.ndarray:
    """Arrays ``[..., 182]`` without their translation, and features ``[..., 133]`` filled up."""
    width = array.shape[-1] if array.ndim else 0
    if width == FRAME_SIZE + 3:
        return array[..., :FRAME_SIZE]
    if width == FEATURE_SIZE:
        frames = np.zeros((*array.shape[:-1], FRAME_SIZE), array.dtype)
        frames[..., list(FEATURE_COLUMNS)] = array
        return frames
    return array


def _coefficients(where: object, key: str, array: np.ndarray, size: int) -> np.ndarray:
    """The first ``size`` coefficients of every frame; those that are not there are zero."""
    if not array.ndim or array.ndim > 3 or not array.shape[-1]:
        raise ValueError(f"{where}: {key!r} has shape {list(array.shape)}, not [T, {size}]")
    array = array.reshape(-1, array.shape[-1])[:, :size]
    missing = size - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing))) if missing else array


def _array(where: object, key: str, value: object) -> np.ndarray:
    if isinstance(value, Unread):
        raise ValueError(
            f"{where}: {key!r} holds {value.name}, which is not read; save it as a numpy array"
        )
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        kind = getattr(value, "dtype", type(value).__name__)
        raise ValueError(f"{where}: {key!r} has to be an array of numbers, found {kind}")
    return value


def _shape_message(where: object, place: Place, array: np.ndarray, size: int) -> str:
    message = f"{where}: {place.key!r} has shape {list(array.shape)}, not [T, {place.width}]"
    if size == 45 and array.ndim and array.shape[-1] < 45:
        message += "; coefficients of PCA are not whole hands: save them with use_pca=False"
    return message


def _rate(where: object, content: Content) -> float | None:
    for key in _RATES:
        value = content.get(key)
        if isinstance(value, int | float | np.ndarray | np.generic) and np.size(value) == 1:
            array = np.asarray(value)
            if array.dtype.kind in "fiu":
                return _checked_rate(where, key, float(array.item()))
    return None


def _checked_rate(where: object, key: str, rate: float) -> float:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(
            f"{where}: {key!r} is {rate:g}; expected frames per second, from {MIN_RATE:g} to "
            f"{MAX_RATE:g}"
        )
    return rate


def _text(content: Content, key: str) -> str:
    value = content.get(key, "")
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    return value if isinstance(value, str) else ""


def _tokens(content: Content) -> np.ndarray | None:
    value = content.get("tokens")
    is_table = isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind in "iu"
    return value if is_table else None


def _words(content: Content, key: str) -> tuple[str, ...]:
    value = content.get(key)
    is_words = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == "U"
    return tuple(value.tolist()) if is_words else ()
