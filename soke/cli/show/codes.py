"""A part's codebook to look at: one picture a code, with how often the code occurs.

What a picture shows: the code repeated, decoded; its middle frame; every other feature in the mean
pose of the training data. Far from the ends a repeated code decodes to a pose that stands still
(the decoder is a convolution of a constant), so one still says all: movement comes from unlike
neighbours. The mean pose holds a signer's hands where they can be seen, is the same in every cell
and needs no token files, whereas the other parts' most frequent codes are often a rest or a
pointing arm that hides the hand.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from soke.assemble.models import load_body, load_trained_tokenizer
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.cli.show.output import output_folder
from soke.data.token_files import CodeUsage, check_folder, count_codes, token_files
from soke.files import checksum
from soke.parts import FEATURE_SIZE, Part
from soke.tokenizer import FRAMES_PER_TOKEN, PartTokenizer
from soke.visualization import (
    FRAMINGS,
    TINTS,
    Frame,
    Rasterizer,
    body_colors,
    cameras,
    contact_sheet,
    text_strip,
    write_image,
)
from soke.visualization.captions import INK
from soke.visualization.clip_video import SYSTEMS
from soke.visualization.scene import PAGE, PALE_INK

log = logging.getLogger(__name__)

#: How often a code is repeated: from about five on, the middle hardly feels the ends.
REPEATS = 7
#: A view is a close-up of a region if so much of what the part moves lies in it.
CLOSE_UP_SHARE = 0.95
OTHERWISE = "upper_body"
CELL, GAP, CAPTION, BAR = 144, 6, 14, 4  # pixels: a picture, between cells, letters, the bar
SHEET_ASPECT = 4 / 3  # columns to rows
TINT = TINTS[SYSTEMS.index("generated")]
FADED = 0.3  # what is left of the colours of a code that never occurs


def render_codebook(run: Run, name: str, folder: Path | None = None) -> Path:
    """Write the contact sheet ``codebook-<part>.png`` of the part called ``name``.

    Frequencies are those of the token files of the configured corpora; where there are none, codes
    come in the order of their numbers and the sheet says why. Raises ``ValueError`` for an unknown
    part, or for token files that are not of this tokenizer.
    """
    parts = run.parts
    if name not in parts.names:
        raise ValueError(
            f"--codebook is {name!r}; choose one of the parts: {', '.join(parts.names)}"
        )
    index = parts.names.index(name)
    tokenizer = load_trained_tokenizer(run)
    body = load_body(run)
    tokens = run.token_folder
    same_tokenizer = check_folder(tokens, checksum(run.TRAIN.PRETRAINED_VAE), parts)
    paths = [path for corpus in run.corpora for path in token_files(tokens, corpus)]
    usages = count_codes(track(paths, "counting codes", disable=not paths), parts)
    usage = usages[index] if usages else None
    if usage and not same_tokenizer:
        log.warning("%s does not say which tokenizer its tokens come from", tokens)
    pictures = draw_codes(code_poses(tokenizer, index), body, choose_view(parts[index], body))
    heading = describe(parts[index], usage, tokens)
    path = (folder or output_folder(run)) / f"codebook-{name}.png"
    write_image(path, lay_out(pictures, usage, heading, body.name, run.RENDER.FONT))
    log.info("%s", heading)
    log.info("wrote %s", path)
    return path


@torch.no_grad()
def code_poses(tokenizer: PartTokenizer, index: int) -> Tensor:
    """SMPL-X parameters [K, 133] of the K codes of part ``index``, see the top of this file."""
    part = tokenizer.parts[index]
    tokens = torch.zeros(part.codebook_size, REPEATS, len(tokenizer.parts), dtype=torch.long)
    tokens[..., index] = torch.arange(part.codebook_size)[:, None]
    middle = FRAMES_PER_TOKEN * REPEATS // 2
    decoded = torch.stack([motion[middle] for motion in tokenizer.decode_to_motion(list(tokens))])
    poses = tokenizer.mean.expand(len(decoded), -1).clone()
    poses[:, part.indices] = decoded[:, part.indices]
    return poses


def choose_view(part: Part, body: BodyModel) -> str:
    """The close-up of `FRAMINGS` that shows what the part's features move, else the upper body."""
    poses = torch.zeros(2, FEATURE_SIZE)
    poses[1, part.indices] = 0.3
    rest, moved = body.vertices(poses)
    distance = (moved - rest).norm(dim=-1)  # [V]
    for name, row in FRAMINGS.items():
        shown = {int(v) for region in row.regions for v in body.regions[region]}
        if distance[sorted(shown)].sum() > CLOSE_UP_SHARE * distance.sum():
            return name
    return OTHERWISE


def draw_codes(poses: Tensor, body: BodyModel, view: str) -> list[Frame]:
    """One picture [CELL, CELL, 3] a pose, all at one scale."""
    vertices = body.vertices(poses).numpy()  # [K, V, 3]
    colors = body_colors(vertices.shape[1], body.regions, TINT, body.faces)
    # At this size a cast shadow hides more of a thumb or an arm than it tells.
    renderer = Rasterizer(body.faces, supersampling=3, shadow=False)
    seen = cameras(view, list(vertices[:, None]), body.regions, CELL, CELL)
    return [renderer.render(pose, path[0], colors) for pose, path in zip(vertices, seen)]


def describe(part: Part, usage: CodeUsage | None, folder: Path) -> str:
    """The line above the sheet."""
    codes = f"{part.name}: {part.codebook_size} codes"
    if usage is None:
        return (
            f"{codes}, frequencies unknown: there are no token files in {folder} "
            "(python -m get_motion_code writes them)"
        )
    return (
        f"{codes}, {usage.in_use} in use ({usage.in_use / part.codebook_size:.0%}), perplexity "
        f"{usage.perplexity:.1f} over {usage.counts.sum()} steps of {usage.clips} clips"
    )


def lay_out(
    pictures: list[Frame], usage: CodeUsage | None, heading: str, note: str, font: str | None = None
) -> Frame:
    """The sheet [H, W, 3]: ``heading`` and ``note`` above one cell a code."""
    order = range(len(pictures)) if usage is None else usage.order
    cells = [_cell(k, pictures[k], usage, font) for k in order]
    columns = max(round((len(cells) * SHEET_ASPECT) ** 0.5), 1)
    sheet = contact_sheet(cells, columns, gap=GAP)
    lines = ((heading, 2 * CAPTION, INK), (note, round(1.4 * CAPTION), PALE_INK))
    strips = [
        text_strip(text, sheet.shape[1], size, color=color, padding=size // 2, font=font)
        for text, size, color in lines
    ]
    return np.concatenate([*strips, sheet])


def _cell(code: int, picture: Frame, usage: CodeUsage | None, font: str | None) -> Frame:
    """A picture above its code's number and frequency, with a bar as long as it is frequent."""
    width = picture.shape[1]
    bar = np.full((BAR, width, 3), PAGE, np.uint8)
    caption = str(code)
    ink = INK
    if usage is not None and usage.counts[code]:
        caption = f"{code}  ·  {_percent(usage.share[code])}"
        bar[:, : max(round(width * usage.counts[code] / usage.counts.max()), 1)] = TINT
    elif usage is not None:
        caption = f"{code}  ·  unused"
        ink = PALE_INK
        picture = (FADED * picture + (1 - FADED) * np.array(PAGE)).round().astype(np.uint8)
    strip = text_strip(caption, width, CAPTION, color=ink, padding=1, font=font)
    return np.concatenate([picture, bar, strip])


def _percent(share: float) -> str:
    return f"{share:.2%}" if share >= 1e-4 else "< 0.01%"
