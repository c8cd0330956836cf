"""What `python -m test` can do, task by task: assembled objects in, results on disk out.

Like `soke.build` this belongs to the verbs and reads the configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from soke import build
from soke.body import BodyModel
from soke.data.annotations import Clip
from soke.data.clips import Clips
from soke.data.datasets import PoseDataset
from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.data.survey import load_motion
from soke.files import checksum
from soke.generator import PromptBuilder
from soke.metrics.reconstruction import ReconstructionMetrics
from soke.metrics.sign_reading import SignReader
from soke.parts import frames_to_features
from soke.retrieval import RetrievalReport
from soke.structures import PoseBatch, TokenBatch, TokenSample
from soke.tokenizer import FRAMES_PER_TOKEN, PADDING, CodebookUse, PartTokenizer
from soke.training.checkpoints import choose_checkpoint
from soke.training.evaluation import (
    READING_POINTS,
    GenerationEvaluator,
    Reference,
    nearest_clips,
    random_clips,
    summarize,
    write_results,
)
from soke.training.generator_module import GeneratorModule

log = logging.getLogger(__name__)


def results_folder(config: DictConfig) -> Path:
    return Path(config.TEST.FOLDER) / config.NAME


def test_clips(config: DictConfig) -> Clips:
    """The clips of the test split, reported beside the results."""
    clips = build.read_clips(config, config.TEST.SPLIT)
    build.report_data(results_folder(config), clips)
    return clips


@torch.inference_mode()
def reconstruction(config: DictConfig) -> None:
    """The tokenizer's error on the test split, in millimetres.

    Clips are measured batch by batch, so that no more than a batch of motions is in memory.
    """
    if config.TRAIN.STAGE == "vae":
        run = build.run_directory(config)
        config.TRAIN.PRETRAINED_VAE = str(choose_checkpoint(config.TEST.CHECKPOINTS, run))
    checkpoint = Path(config.TRAIN.PRETRAINED_VAE)
    device = build.device(config)
    tokenizer, body = build.trained_tokenizer(config).to(device), build.body_model(config)
    dataset = build.pose_dataset(config, test_clips(config), tokenizer)
    metrics = ReconstructionMetrics(body.to(device), list(build.corpora(config)))
    loader = build.pose_loader(dataset, config.TEST.BATCH_SIZE, config.TEST.NUM_WORKERS)
    use = CodebookUse([part.codebook_size for part in tokenizer.parts]).to(device)
    rows = []
    for batch in track(loader, "measuring"):
        batch = batch.to(device)
        tokens = tokenizer.encode(batch.motion, batch.lengths)
        use.update(tokens, tokens[..., 0] != PADDING)
        for i, generated in enumerate(decoded(tokenizer, tokens, batch)):
            reference = tokenizer.denormalize(batch.motion[i, : len(generated)])
            clip = {"corpus": batch.corpora[i], "name": batch.names[i], "text": batch.texts[i]}
            rows.append(clip | metrics(generated, reference, batch.corpora[i]))
    about = _about(config, body, checkpoint, "reconstruction (mm)")
    about["codebooks"] = _codebook_use(tokenizer, use)
    write_results(results_folder(config), about, metrics.compute(), {}, pd.DataFrame(rows))


def text_to_motion(config: DictConfig) -> None:
    """Generated signing on the test split beside its baselines."""
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    prompts = build.prompt_builder(config)
    module = build.generator_module(config, prompts, checkpoint).eval().to(build.device(config))
    tokenizer, body = build.trained_tokenizer(config), build.body_model(config)
    dataset = build.pose_dataset(config, test_clips(config), tokenizer)
    references = [
        Reference(clip.name, clip.corpus, clip.text, dataset.parameters(i))
        for i, clip in enumerate(track(dataset.clips, "reading references"))
    ]
    generated = generate_motions(config, prompts, module, references)

    readers = sign_readers(config, body) if "reading" in config.METRIC.TYPE else {}
    evaluator = GenerationEvaluator(body, references, readers, "ranks" in config.METRIC.TYPE)
    tables = {"generated": evaluator.score("generated", generated)}
    if "baselines" in config.METRIC.TYPE:
        for name, draws in baselines(config, tokenizer, dataset, references).items():
            tables[name] = pd.concat(evaluator.score(name, motions) for motions in draws)
    summaries = {name: summarize(table) for name, table in tables.items()}
    scores = summaries.pop("generated")
    clips = pd.concat(tables.values())
    about = _about(config, body, checkpoint, "generated")
    write_results(results_folder(config), about, scores, summaries, clips)


def generate_motions(
    config: DictConfig, prompts: PromptBuilder, module: GeneratorModule, references: list[Reference]
) -> list[Tensor]:
    """A motion [T, 133] for the text of every reference.

    Logs what was retrieved for them, and saves the predictions if ``TEST.SAVE_PREDICTIONS``.
    """
    samples = [TokenSample(r.name, r.corpus, r.text) for r in references]
    loader = DataLoader(samples, config.TEST.BATCH_SIZE, collate_fn=prompts)
    report, generated = RetrievalReport(), []
    for batch in track(loader, "generating"):
        report.add(batch.retrievals)
        tokens = module.generate_tokens(batch.to(module.device))
        motions = [motion.cpu() for motion in module.decode_tokens(tokens)]
        if config.TEST.SAVE_PREDICTIONS:
            start = len(generated)
            shown = references[start : start + len(motions)]
            _save_predictions(results_folder(config), batch, tokens, motions, shown)
        generated += motions
    report.log()
    return generated


def _save_predictions(
    folder: Path,
    batch: TokenBatch,
    tokens: Sequence[Tensor],
    motions: Sequence[Tensor],
    references: Sequence[Reference],
) -> None:
    """Write the prediction of every clip of a batch, with all that was retrieved for it."""
    for i, reference in enumerate(references):
        keywords = batch.retrievals[i].keywords
        prediction = Prediction(
            reference.name, reference.corpus, reference.text, batch.keywords[i],
            tokens[i].cpu().numpy(), motions[i].numpy(), reference.motion.numpy(),
            missing=batch.missing[i],
            codes=tuple(keyword.tokens for keyword in keywords),
            matches=tuple(keyword.match for keyword in keywords),
        )  # fmt: skip
        path = prediction_path(folder, reference.corpus, reference.name)
        write_prediction(path, prediction)


def baselines(
    config: DictConfig,
    tokenizer: PartTokenizer,
    dataset: PoseDataset,
    references: list[Reference],
) -> dict[str, list[list[Tensor]]]:
    """Motions that put a score into proportion, by name: per draw one motion a reference."""
    train = build.read_clips(config, config.TRAIN.SPLIT)
    limits = build.length_limits(config)

    def read(clips: Sequence[Clip]) -> list[Tensor]:
        return [
            frames_to_features(torch.from_numpy(limits.apply(load_motion(clip))))
            for clip in track(clips, "reading baselines")
        ]

    seeds = range(config.SEED_VALUE, config.SEED_VALUE + config.TEST.REPLICATION_TIMES)
    return {
        "random_clip": [read(random_clips(references, train, seed)) for seed in seeds],
        "nearest_text": [read(nearest_clips(references, train))],
        "tokenizer": [through_tokenizer(config, tokenizer, dataset)],
        "ground_truth": [[reference.motion for reference in references]],
    }


def _codebook_use(tokenizer: PartTokenizer, use: CodebookUse) -> dict[str, dict[str, float]]:
    """For every part the size of its codebook, the share of it in use and the perplexity."""
    found = use.compute()
    return {
        part.name: {
            "codes": part.codebook_size,
            "in_use": float(found["codes_used"][p]),
            "perplexity": float(found["perplexity"][p]),
        }
        for p, part in enumerate(tokenizer.parts)
    }


@torch.inference_mode()
def through_tokenizer(
    config: DictConfig, tokenizer: PartTokenizer, dataset: PoseDataset
) -> list[Tensor]:
    """Every clip encoded and decoded, as SMPL-X parameters [T, 133]."""
    device = build.device(config)
    tokenizer = tokenizer.to(device).eval()
    loader = build.pose_loader(dataset, config.TEST.BATCH_SIZE, config.TEST.NUM_WORKERS)
    return [
        motion.cpu()
        for batch in track(loader, "through the tokenizer")
        for motion in encoded_and_decoded(tokenizer, batch.to(device))
    ]


def encoded_and_decoded(tokenizer: PartTokenizer, batch: PoseBatch) -> list[Tensor]:
    """SMPL-X parameters [T, 133] of every clip of a batch, through the tokenizer."""
    return decoded(tokenizer, tokenizer.encode(batch.motion, batch.lengths), batch)


def decoded(tokenizer: PartTokenizer, tokens: Tensor, batch: PoseBatch) -> list[Tensor]:
    """SMPL-X parameters [T, 133] of the tokens [B, S, P] of a batch."""
    steps = (batch.lengths // FRAMES_PER_TOKEN).tolist()
    return tokenizer.decode_to_motion([row[:n] for row, n in zip(tokens, steps)])


def sign_readers(config: DictConfig, body: BodyModel) -> dict[str, SignReader]:
    """Readers of the isolated signs of every corpus that has them."""
    readers = {}
    for name, corpus in build.corpora(config).items():
        signs = build.read_signs(config, corpus)
        if signs:
            motions = [frames_to_features(torch.from_numpy(load_motion(sign))) for sign in signs]
            points = [body.scored_points(motion) for motion in motions]
            templates = [point_sets[READING_POINTS].numpy() for point_sets in points]
            readers[name] = SignReader([sign.text for sign in signs], templates)
    return readers


def _about(config: DictConfig, body: BodyModel, checkpoint: Path, system: str) -> dict[str, object]:
    return {
        "name": config.NAME,
        "system": system,
        "body": body.name,
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": checksum(checkpoint),
        "split": config.TEST.SPLIT,
        "seed": config.SEED_VALUE,
    }


TASKS: dict[str, Callable[[DictConfig], None]] = {
    "reconstruction": reconstruction,
    "t2m": text_to_motion,
}
