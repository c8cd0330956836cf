"""Signing to text: a text decoder on the references of the test split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import track

from soke import assemble as build
from soke.data.tokens import check_folder, read_tokens, token_path
from soke.evaluation.journal import Journal, Record, missing_portions, portions
from soke.evaluation.loop import clip_table
from soke.evaluation.references import Reference
from soke.evaluation.results import write_results
from soke.evaluation.scorer import translation_columns
from soke.evaluation.summary import intervals, named, score_list, summarize
from soke.files import checksum, require
from soke.tasks.common import about, results_folder, share, test_clips
from soke.training.checkpoints import choose_checkpoint
from soke.training.text_module import TextModule, back_translate

log = logging.getLogger(__name__)

SYSTEM = "references"


def motion_to_text(config: DictConfig) -> None:
    """Read the tokens of every clip of the test split as text, and compare it with the clip's."""
    fabric = build.processes(config)
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    module = build.text_decoder(config, checkpoint).to(fabric.device)
    _check_tokens(config)
    clips, body = test_clips(config), build.body_model(config)
    references = [Reference(clip.name, clip.corpus, clip.text) for clip in clips]
    described = about(
        config, body, SYSTEM, checkpoint=checkpoint, tokenizer=Path(config.TRAIN.PRETRAINED_VAE)
    )
    cut = portions(len(references), config.TEST.BATCH_SIZE)

    @torch.inference_mode()
    def work(journal: Journal, before: Sequence[Record]) -> None:
        left = missing_portions(before, [(SYSTEM, 0)], len(cut))
        mine = left[fabric.global_rank :: fabric.world_size]
        for _, _, portion in track(mine, "reading", disable=not fabric.is_global_zero or not mine):
            chosen = [references[place] for place in cut[portion]]
            tokens = [_tokens(config, reference) for reference in chosen]
            texts = back_translate(module, tokens, [r.corpus for r in chosen])
            rows = [
                {"corpus": reference.corpus, "name": reference.name, "text": reference.text}
                | translation_columns(text, reference, module.corpora)
                for reference, text in zip(chosen, texts)
            ]
            journal.append(Record(SYSTEM, 0, portion, rows))

    def write(records: Sequence[Record]) -> None:
        rows = clip_table(records, [(SYSTEM, 0)], references)
        scores = score_list(rows.columns)
        summary = summarize(rows, scores)
        write_results(
            results_folder(config), described, summary, {}, rows, intervals(rows, scores),
            named=named(summary), clips=len(rows),
        )  # fmt: skip

    share(config, fabric, described, references, work, write)


def translator(config: DictConfig) -> TextModule:
    """The text decoder of ``METRIC.TRANSLATOR``, by which generated signs are read.

    Raises what `translator_checkpoint` raises, and ``ValueError`` for a text decoder that was
    trained on the tokens of another tokenizer.
    """
    return build.text_decoder(config, translator_checkpoint(config))


def translator_checkpoint(config: DictConfig) -> Path:
    """The checkpoint of the text decoder.

    Raises ``ValueError`` when the metric is asked for and no text decoder is named, and
    `soke.files.MissingAssetError` for a run without a checkpoint.
    """
    if config.METRIC.TRANSLATOR is None:
        raise ValueError(
            "METRIC.TYPE has back_translation: name the run of a text decoder with "
            "METRIC.TRANSLATOR (train one by `python -m train --cfg configs/m2t.yaml --nodebug`)"
        )
    return choose_checkpoint("", Path(config.METRIC.TRANSLATOR))


def _check_tokens(config: DictConfig) -> None:
    """Refuse token files of another tokenizer than the text decoder's."""
    folder, parts = build.code_folder(config), build.part_table(config)
    if not check_folder(folder, checksum(config.TRAIN.PRETRAINED_VAE), parts):
        log.warning("%s does not say which tokenizer its tokens come from", folder)


def _tokens(config: DictConfig, reference: Reference) -> np.ndarray:
    path = token_path(build.code_folder(config), reference.corpus, reference.name)
    require(path, f"The tokens of {reference.corpus}/{reference.name}", _REMEDY)
    return read_tokens(path, build.part_table(config))


_REMEDY = "Write them with `python -m get_motion_code` and the same configuration"
