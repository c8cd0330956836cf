"""From a configuration to objects.

Besides the verbs and `soke.config` this is the only file that reads a configuration: the verbs
share it, so that each of them stays a page. Everything below it takes explicit arguments.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import lightning as L
import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from soke.body import BodyModel, locate_body_model
from soke.config import DEBUG_CLIPS, check_params, plain
from soke.data.annotations import Clip, IsolatedSign, read_annotations, read_isolated_signs
from soke.data.corpora import Corpus, select_corpora
from soke.data.datasets import LengthLimits, PoseDataset, TokenDataset, collate_poses
from soke.data.module import SignDataModule
from soke.data.statistics import load_statistics
from soke.generator import MultiHeadGenerator, PromptBuilder, Vocabulary, read_config
from soke.parts import PartTable
from soke.retrieval import KeywordSearch, SignDictionary
from soke.structures import PoseBatch
from soke.tokenizer import PartTokenizer, load_tokenizer
from soke.training.callbacks import RenderSample, checkpoint_callbacks
from soke.training.checkpoints import load_weights
from soke.training.generator_module import GeneratorModule
from soke.training.tokenizer_module import TokenizerModule

log = logging.getLogger(__name__)


def prepare_process(config: DictConfig) -> None:
    """Logging, seeds and threads."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    L.seed_everything(config.SEED_VALUE, workers=True, verbose=False)
    if config.NUM_THREADS is not None:
        torch.set_num_threads(config.NUM_THREADS)


def run_directory(config: DictConfig) -> Path:
    return Path(config.TRAIN.RESUME or f"{config.OUTPUT.EXPERIMENTS}/{config.NAME}")


def part_table(config: DictConfig) -> PartTable:
    return PartTable.from_rows(plain(config.PARTS))


def corpora(config: DictConfig) -> dict[str, Corpus]:
    """The corpora that ``DATASET_NAME`` names."""
    table = {name: Corpus(name=name, **row) for name, row in plain(config.CORPORA).items()}
    chosen = select_corpora(config.DATASET.H2S.DATASET_NAME, table)
    return {corpus.name: corpus for corpus in chosen}


def read_clips(config: DictConfig, split: str) -> list[Clip]:
    """The clips of a split over all chosen corpora; a debug run takes the first few."""
    clips: list[Clip] = []
    for corpus in corpora(config).values():
        found, _ = read_annotations(corpus.layout, corpus.root, split, corpus.name)
        clips += found[:DEBUG_CLIPS] if config.DEBUG else found
    if not clips:
        raise ValueError(f"no clip of the split {split!r} can be used; the log says why")
    return clips


def read_signs(config: DictConfig, corpus: Corpus) -> list[IsolatedSign]:
    """The isolated signs of a corpus, or none where it lists none."""
    if corpus.signs is None:
        return []
    return read_isolated_signs(corpus.layout, corpus.root, corpus.signs, corpus.name)[0]


def length_limits(config: DictConfig) -> LengthLimits:
    h2s = config.DATASET.H2S
    return LengthLimits(h2s.MIN_MOTION_LEN, h2s.MAX_MOTION_LEN, h2s.UNIT_LEN)


def pose_dataset(
    config: DictConfig, clips: Sequence[Clip | IsolatedSign], crop: int | None = None
) -> PoseDataset:
    h2s = config.DATASET.H2S
    mean, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    return PoseDataset(clips, length_limits(config), mean, std, crop, config.DATASET.CACHE)


def pose_loader(dataset: PoseDataset, batch_size: int, num_workers: int) -> DataLoader[PoseBatch]:
    """Batches in the order of the data set."""
    return DataLoader(dataset, batch_size, collate_fn=collate_poses, num_workers=num_workers)


def pose_data(config: DictConfig) -> SignDataModule:
    train = read_clips(config, config.TRAIN.SPLIT)
    return SignDataModule(
        train=pose_dataset(config, train, config.TRAIN.CROP_FRAMES),
        val=pose_dataset(config, read_clips(config, config.EVAL.SPLIT)),
        collate_train=collate_poses,
        collate_val=collate_poses,
        batch_size=config.TRAIN.BATCH_SIZE,
        val_batch_size=config.EVAL.BATCH_SIZE,
        num_workers=config.TRAIN.NUM_WORKERS,
    )


def body_model(config: DictConfig) -> BodyModel:
    body = BodyModel(locate_body_model(config.BODY.MODEL_DIR))
    log.info("body: %s", body.name)
    return body


def code_folder(config: DictConfig) -> Path:
    return Path(config.DATASET.H2S.ROOT) / config.DATASET.CODE_PATH


def trained_tokenizer(config: DictConfig) -> PartTokenizer:
    """The tokenizer of ``TRAIN.PRETRAINED_VAE``; its part table must be the configured one."""
    tokenizer = load_tokenizer(config.TRAIN.PRETRAINED_VAE)
    if tokenizer.parts != part_table(config):
        raise ValueError(
            f"the tokenizer {config.TRAIN.PRETRAINED_VAE} was trained with another part table: "
            f"{tokenizer.parts.to_rows()}; make PARTS agree or train a tokenizer"
        )
    return tokenizer


def dictionary_path(config: DictConfig, corpus: Corpus) -> Path:
    """Where a corpus's ``word2code.json`` lies; a debug run keeps its own beside it."""
    path = Path(corpus.dictionary)
    if config.DEBUG and corpus.signs is not None:
        return path.with_name(f"{path.stem}-debug{path.suffix}")
    return path


def prompt_builder(config: DictConfig) -> PromptBuilder:
    """Vocabulary, dictionaries and templates; ``.vocabulary`` is what the generator needs."""
    parts, chosen = part_table(config), corpora(config)
    generator = config.model.generator
    vocabulary = Vocabulary(
        generator.folder,
        parts,
        text_languages=[corpus.text_language for corpus in chosen.values()],
        sign_languages=[row.sign_language for row in config.CORPORA.values()],
    )
    dictionaries = {}
    if config.RETRIEVAL.MAX_KEYWORDS:
        dictionaries = {
            name: SignDictionary.load(dictionary_path(config, corpus), parts)
            for name, corpus in chosen.items()
            if corpus.dictionary is not None
        }
    search = KeywordSearch(
        dictionaries,
        config.RETRIEVAL.MAX_KEYWORDS,
        config.RETRIEVAL.MAX_TOKENS,
        config.RETRIEVAL.SPELL_UNKNOWN,
    )
    stage = config.TRAIN.STAGE if config.TRAIN.STAGE in config.PROMPTS else "lm_pretrain"
    templates = plain(config.PROMPTS[stage])
    return PromptBuilder(vocabulary, chosen, search, generator.max_source, templates)


def token_data(config: DictConfig, prompts: PromptBuilder) -> SignDataModule:
    folder, parts = code_folder(config), part_table(config)
    cache = config.DATASET.CACHE
    train = read_clips(config, config.TRAIN.SPLIT)
    val = read_clips(config, config.EVAL.SPLIT)
    return SignDataModule(
        train=TokenDataset(train, folder, parts, augment=True, cache=cache),
        val=TokenDataset(val, folder, parts, cache=cache),
        collate_train=partial(prompts, training=True),
        collate_val=prompts,
        batch_size=config.TRAIN.BATCH_SIZE,
        val_batch_size=config.EVAL.BATCH_SIZE,
        num_workers=config.TRAIN.NUM_WORKERS,
    )


def _factories(config: DictConfig) -> dict[str, object]:
    """Optimizer and schedule, with their parameters bound."""
    factories = {}
    for name, section in (("optimizer", "OPTIM"), ("scheduler", "LR_SCHEDULER")):
        node = config.TRAIN[section]
        params = plain(node.params)
        factories[name] = partial(check_params(node.target, params), **params)
    return factories


def tokenizer_module(config: DictConfig) -> TokenizerModule:
    """A new tokenizer, ready to train."""
    h2s, node = config.DATASET.H2S, config.model.tokenizer
    mean, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    params = plain(node.params)
    tokenizer = check_params(node.target, params)(part_table(config), mean=mean, std=std, **params)
    if config.TRAIN.PRETRAINED:
        load_weights(tokenizer, config.TRAIN.PRETRAINED, "tokenizer")
    return TokenizerModule(
        tokenizer,
        body_model(config),
        list(corpora(config)),
        **_factories(config),
        loss_kind=config.LOSS.ABLATION.RECONS_LOSS,
        feature_weight=config.LOSS.LAMBDA_FEATURE,
        velocity_weight=config.LOSS.LAMBDA_VELOCITY,
        commitment_weight=config.LOSS.LAMBDA_COMMIT,
    )


def generator_module(
    config: DictConfig, prompts: PromptBuilder, checkpoint: str | Path | None = None
) -> GeneratorModule:
    """The generator; from ``checkpoint`` if given, else as the configuration says."""
    node = config.model.generator
    generator = MultiHeadGenerator(prompts.vocabulary, read_config(node.folder))
    if checkpoint is not None:
        load_weights(generator, checkpoint, "generator")
    elif config.TRAIN.PRETRAINED:
        load_weights(generator, config.TRAIN.PRETRAINED, "generator")
    elif node.pretrained:
        generator.load_backbone(node.folder)
    params = plain(node.decoding.params)
    return GeneratorModule(
        generator,
        trained_tokenizer(config),
        body_model(config),
        list(corpora(config)),
        **_factories(config),
        decode=partial(check_params(node.decoding.target, params), **params),
        loss_weight=config.LOSS.LAMBDA_CLS,
    )


def _loggers(config: DictConfig, run: Path) -> list[L.pytorch.loggers.Logger]:
    loggers: list[L.pytorch.loggers.Logger] = []
    for kind in config.LOGGER.TYPE:
        if kind == "tensorboard":
            loggers.append(L.pytorch.loggers.TensorBoardLogger(run, name="", version="logs"))
        elif kind == "wandb":
            loggers.append(L.pytorch.loggers.WandbLogger(config.NAME, save_dir=run))
        else:
            raise ValueError(f"LOGGER.TYPE has {kind!r}; choose from tensorboard and wandb")
    return loggers


def trainer(
    config: DictConfig, module: TokenizerModule | GeneratorModule, data: SignDataModule
) -> L.Trainer:
    """A Lightning trainer for a run: checkpoints, logs, a progress bar, a rendered sample."""
    run = run_directory(config)
    every = min(config.LOGGER.VAL_EVERY_STEPS, config.TRAIN.END_EPOCH)
    monitor = f"val/{config.TRAIN.MONITOR or module.monitor}"
    on_cpu = config.ACCELERATOR == "cpu" or not torch.cuda.is_available()
    devices = config.DEVICE if isinstance(config.DEVICE, int) else list(config.DEVICE)
    if on_cpu and not isinstance(devices, int):
        devices = len(devices)
    return L.Trainer(
        default_root_dir=run,
        accelerator="cpu" if on_cpu else config.ACCELERATOR,
        devices=devices,
        num_nodes=config.NUM_NODES,
        precision=config.PRECISION,
        max_epochs=config.TRAIN.END_EPOCH,
        check_val_every_n_epoch=every,
        gradient_clip_val=config.TRAIN.GRADIENT_CLIP,
        log_every_n_steps=min(10, len(data.train_dataloader())),
        num_sanity_val_steps=0,
        logger=_loggers(config, run),
        callbacks=[
            *checkpoint_callbacks(run, monitor, every),
            L.pytorch.callbacks.LearningRateMonitor("step"),
            RenderSample(module._body[0]),
        ],
    )


def check_new_run(config: DictConfig) -> None:
    """Refuse to train over an existing run; a debug run may be written over.

    Raises ``ValueError`` that says how to continue or where to write instead.
    """
    run = run_directory(config)
    if (run / "checkpoints").exists() and not config.TRAIN.RESUME and not config.DEBUG:
        raise ValueError(
            f"{run} holds a run already. TRAIN.RESUME={run} goes on with it; NAME=... starts "
            "another beside it; or remove the folder"
        )
