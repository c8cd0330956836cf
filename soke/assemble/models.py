"""Body and tokenizer, as the configuration says."""

from __future__ import annotations

import logging
from pathlib import Path

from soke.assemble.run import Run
from soke.body import BodyModel, locate_body_model
from soke.config import check_params, plain
from soke.data.pose_statistics import load_statistics
from soke.tokenizer import PartTokenizer, load_tokenizer

log = logging.getLogger(__name__)


def load_body(run: Run) -> BodyModel:
    body = BodyModel(locate_body_model(run.BODY.MODEL_DIR))
    log.info("body: %s", body.name)
    return body


def load_trained_tokenizer(run: Run) -> PartTokenizer:
    """The tokenizer of ``TRAIN.PRETRAINED_VAE``; its parts must be the configured ones.

    A published checkpoint, which has no statistics, takes the configured ones.
    """
    h2s = run.DATASET.H2S
    mean = std = None
    if Path(h2s.MEAN_PATH).exists() and Path(h2s.STD_PATH).exists():
        mean, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    tokenizer = load_tokenizer(run.TRAIN.PRETRAINED_VAE, mean, std)
    if not tokenizer.parts.same_codes(run.parts):
        raise ValueError(
            f"the tokenizer {run.TRAIN.PRETRAINED_VAE} was trained with another part table: "
            f"{tokenizer.parts.to_rows()}; make PARTS agree or train a tokenizer"
        )
    return tokenizer


def new_tokenizer(run: Run) -> PartTokenizer:
    """The configured tokenizer with random weights and the statistics of the poses."""
    h2s = run.DATASET.H2S
    node = run.model.tokenizer
    mean, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    params = plain(node.params)
    return check_params(node.target, params)(run.parts, mean=mean, std=std, **params)
