"""Write the page: one HTML file that contains its style, its script, the body and the motions.

The page loads nothing: its content security policy forbids that, and allows only the script written
here. Texts are stored as data and displayed as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from soke.body import BodyModel
from soke.files import atomic_path
from soke.tokenizer import FRAMES_PER_TOKEN
from soke.viewer.array_block import Block
from soke.viewer.clip_data import SkinningError, check, describe, distinct_tints
from soke.viewer.skin import PageSkin
from soke.visualization.camera import FRAMINGS, Camera
from soke.visualization.clip_view import ClipToShow
from soke.visualization.renderer import Lighting
from soke.visualization.scene import body_colors

#: The files of the page's script, in the order in which they are joined.
SCRIPTS = (
    "arrays",
    "skin",
    "geometry",
    "shaders",
    "stage",
    "words",
    "player",
    "timeline",
    "controls",
    "main",
)
#: The first view of a page.
FIRST_VIEW = "upper_body"
#: Cameras of the combined view: the main one, then the lower left and right insets.
COMBINED = ("upper_body", "right_hand", "left_hand")


def write_page(
    path: str | Path, clips: Sequence[ClipToShow], body: BodyModel, *, title: str = "Signing"
) -> Path:
    """Write a page that shows ``clips`` on ``body``; any browser opens it from disk.

    The bodies of a clip are side by side and move together. ``title`` is the page's heading. The
    page names the body model, and states the maximum and mean distance of its vertices from that
    model over all frames. Returns ``path``.

    Raises ``ValueError`` before anything is written if there are no clips, or if the fps, motion or
    tokens of a clip cannot be shown.
    """
    if not clips:
        raise ValueError("there are no clips to put on a page")
    for clip in clips:
        check(clip)
    skin = PageSkin(body, (np.asarray(s.motion) for clip in clips for s in clip.systems))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        head, tail = _frame(title)
        file.write(head)
        data = _write_blocks(file, clips, body, skin)
        file.write(f'<script type="application/json" id="data">{_inert_json(data)}</script>\n')
        file.write(tail)
    return Path(path)


def _write_blocks(
    file: TextIO, clips: Sequence[ClipToShow], body: BodyModel, skin: PageSkin
) -> dict[str, Any]:
    """Write the arrays, clip by clip, and return the data that describes them."""
    tints = distinct_tints(clips)
    error = SkinningError()
    entries = []
    block = skin.pack()
    for i, tint in enumerate(tints):
        colors = body_colors(len(skin.template), body.regions, tint, body.faces)
        block.add(f"colors{i}", (255 * colors).round().astype(np.uint8))
    _write_block(file, "arrays-body", block)
    for i, clip in enumerate(clips):
        entry, arrays = describe(clip, body, skin, error)
        _write_block(file, f"arrays-{i}", arrays)
        entries.append(entry)
    return {
        "body": {"name": body.name, "arrays": block.index, "tints": tints},
        "error": {"maximum": 1000 * error.maximum, "mean": 1000 * error.mean},  # millimetres
        "framesPerToken": FRAMES_PER_TOKEN,
        "views": _views(),
        "lens": Camera((0.0, 0.0, 0.0), 1.0, 1, 1).lens,
        "light": _light(Lighting()),
        "clips": entries,
    }


def _views() -> list[dict[str, Any]]:
    """The rows of `FRAMINGS` and the combined view, each with its cameras, main one first."""

    def cameras(*names: str) -> list[dict[str, Any]]:
        return [{"name": name, "fade": FRAMINGS[name].fade} for name in names]

    views: list[dict[str, Any]] = [{"name": name, "cameras": cameras(name)} for name in FRAMINGS]
    views.insert(0, {"name": "combined", "cameras": cameras(*COMBINED)})
    return sorted(views, key=lambda view: view["name"] != FIRST_VIEW)


def _light(light: Lighting) -> dict[str, object]:
    return {
        "key": [*light.key_direction, light.key],
        "fill": [*light.fill_direction, light.fill],
        "around": [light.sky, light.floor, light.edge],
    }


def _write_block(file: TextIO, identity: str, block: Block) -> None:
    file.write(f'<script type="text/plain" id="{identity}">{block.text()}</script>\n')


def _frame(title: str) -> tuple[str, str]:
    """The page before and after its data."""
    folder = files("soke.viewer") / "page"
    style = (folder / "style.css").read_text(encoding="utf-8")
    pieces = [(folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(pieces) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = (folder / "page.html").read_text(encoding="utf-8")
    page = page.replace("{{policy}}", policy).replace("{{style}}", style)
    head, tail = page.split("{{data}}")
    return head.replace("{{title}}", html.escape(title)), tail.replace("{{script}}", script)


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _inert_json(data: object) -> str:
    """JSON that an HTML parser never takes for markup, whatever texts it contains."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
