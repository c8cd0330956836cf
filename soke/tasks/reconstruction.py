"""The tokenizer's error on the test split, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor

from soke import assemble as build
from soke.data.datasets import PoseDataset, collate_poses
from soke.evaluation.journal import Journal, Record, missing_portions, portions
from soke.evaluation.loop import clip_table
from soke.evaluation.references import Reference
from soke.evaluation.results import write_results
from soke.evaluation.summary import intervals, score_list, summarize
from soke.metrics.reconstruction import ReconstructionMetrics
from soke.structures import PoseBatch
from soke.tasks.common import about, results_folder, share, test_clips
from soke.tokenizer import FRAMES_PER_TOKEN, PADDING, CodebookUse, PartTokenizer
from soke.training.checkpoints import choose_checkpoint

SYSTEM = "reconstruction (mm)"


def reconstruction(config: DictConfig) -> None:
    """Measure every clip of the test split through the tokenizer.

    Clips are measured portion by portion, so that no more than one of motions is in memory.
    """
    if config.TRAIN.STAGE == "vae":
        run = build.run_directory(config)
        config.TRAIN.PRETRAINED_VAE = str(choose_checkpoint(config.TEST.CHECKPOINTS, run))
    fabric = build.processes(config)
    tokenizer = build.trained_tokenizer(config).to(fabric.device).eval()
    body = build.body_model(config).to(fabric.device)
    dataset = build.pose_dataset(config, test_clips(config), tokenizer)
    metrics = ReconstructionMetrics(body, list(build.corpora(config)))
    described = about(config, body, SYSTEM, checkpoint=Path(config.TRAIN.PRETRAINED_VAE))
    references = [Reference(clip.name, clip.corpus, clip.text) for clip in dataset.clips]
    cut = portions(len(dataset), config.TEST.BATCH_SIZE)

    @torch.inference_mode()
    def work(journal: Journal, before: Sequence[Record]) -> None:
        left = missing_portions(before, [(SYSTEM, 0)], len(cut))
        mine = left[fabric.global_rank :: fabric.world_size]
        for key in track(mine, "measuring", disable=not fabric.is_global_zero or not mine):
            journal.append(_measure(key[2], cut[key[2]], dataset, tokenizer, metrics))

    def write(records: Sequence[Record]) -> None:
        rows = clip_table(records, [(SYSTEM, 0)], references)
        scores = score_list(rows.columns)
        told = {**described, "codebooks": _codebook_use(tokenizer, records)}
        write_results(
            results_folder(config), told, summarize(rows, scores), {}, rows,
            intervals(rows, scores), units={score.name: score.unit for score in scores},
        )  # fmt: skip

    share(config, fabric, described, references, work, write)


def _measure(
    portion: int,
    places: Sequence[int],
    dataset: PoseDataset,
    tokenizer: PartTokenizer,
    metrics: ReconstructionMetrics,
) -> Record:
    device = next(tokenizer.parameters()).device
    batch = collate_poses([dataset[place] for place in places]).to(device)
    tokens = tokenizer.encode(batch.motion, batch.lengths)
    use = CodebookUse([part.codebook_size for part in tokenizer.parts]).to(device)
    use.update(tokens, tokens[..., 0] != PADDING)
    rows = []
    for i, generated in enumerate(decoded(tokenizer, tokens, batch)):
        reference = tokenizer.denormalize(batch.motion[i, : len(generated)])
        clip = {"corpus": batch.corpora[i], "name": batch.names[i], "text": batch.texts[i]}
        errors = metrics(generated, reference, batch.corpora[i])
        rows.append(clip | errors | {"frames": len(generated)})
    return Record(SYSTEM, 0, portion, rows, counts=use.counts.tolist())


def _codebook_use(
    tokenizer: PartTokenizer, records: Sequence[Record]
) -> dict[str, dict[str, float]]:
    """For every part the size of its codebook, the share of it in use and the perplexity."""
    use = CodebookUse([part.codebook_size for part in tokenizer.parts])
    use.counts += torch.tensor(np.sum([record.counts for record in records], axis=0))
    found = use.compute()
    return {
        part.name: {
            "codes": part.codebook_size,
            "in_use": float(found["codes_used"][p]),
            "perplexity": float(found["perplexity"][p]),
        }
        for p, part in enumerate(tokenizer.parts)
    }


def decoded(tokenizer: PartTokenizer, tokens: Tensor, batch: PoseBatch) -> list[Tensor]:
    """SMPL-X parameters [T, 133] of the tokens [B, S, P] of a batch."""
    steps = (batch.lengths // FRAMES_PER_TOKEN).tolist()
    return tokenizer.decode_to_motion([row[:n] for row, n in zip(tokens, steps)])
