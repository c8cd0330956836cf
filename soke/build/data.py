"""Corpora, clips, data sets and loaders, as the configuration says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from torch.utils.data import DataLoader

from soke.config import DEBUG_CLIPS, build_row, plain
from soke.data.annotations import Clip, IsolatedSign, read_annotations, read_isolated_signs
from soke.data.corpora import Corpus, select_corpora
from soke.data.datasets import LengthLimits, PoseDataset, TokenDataset, collate_poses
from soke.data.module import SignDataModule
from soke.data.tokens import check_folder
from soke.files import checksum
from soke.generator import PromptBuilder, Vocabulary
from soke.parts import Part, PartTable
from soke.retrieval import KeywordSearch, SignDictionary
from soke.structures import PoseBatch
from soke.tokenizer import PartTokenizer

log = logging.getLogger(__name__)


def part_table(config: DictConfig) -> PartTable:
    rows = plain(config.PARTS)
    for i, row in enumerate(rows):
        build_row(Part, row, f"PARTS[{i}]")
    return PartTable.from_rows(rows)


def corpora(config: DictConfig) -> dict[str, Corpus]:
    """The corpora that ``DATASET_NAME`` names."""
    table = corpus_table(config)
    chosen = select_corpora(config.DATASET.H2S.DATASET_NAME, table)
    return {corpus.name: corpus for corpus in chosen}


def corpus_table(config: DictConfig) -> dict[str, Corpus]:
    """All rows of ``CORPORA``.

    Raises ``ValueError`` when a corpus would write its isolated signs over another's dictionary.
    """
    table = {
        name: build_row(Corpus, {"name": name, **row}, f"CORPORA.{name}")
        for name, row in plain(config.CORPORA).items()
    }
    for name, corpus in table.items():
        shared = [o for o, other in table.items() if other.dictionary == corpus.dictionary]
        if corpus.signs is not None and shared != [name]:
            raise ValueError(
                f"CORPORA.{name} has isolated signs of its own, so its dictionary must not be "
                f"shared: {shared} all name {corpus.dictionary}"
            )
    return table


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
    config: DictConfig,
    clips: Sequence[Clip | IsolatedSign],
    tokenizer: PartTokenizer,
    crop: int | None = None,
) -> PoseDataset:
    """Clips normalised by the tokenizer's own statistics, with which it also gives poses back."""
    mean, std = tokenizer.mean.cpu(), tokenizer.std.cpu()
    return PoseDataset(clips, length_limits(config), mean, std, crop, config.DATASET.CACHE)


def pose_loader(dataset: PoseDataset, batch_size: int, num_workers: int) -> DataLoader[PoseBatch]:
    """Batches in the order of the data set."""
    return DataLoader(dataset, batch_size, collate_fn=collate_poses, num_workers=num_workers)


def pose_data(config: DictConfig, tokenizer: PartTokenizer) -> SignDataModule:
    train = read_clips(config, config.TRAIN.SPLIT)
    return SignDataModule(
        train=pose_dataset(config, train, tokenizer, config.TRAIN.CROP_FRAMES),
        val=pose_dataset(config, read_clips(config, config.EVAL.SPLIT), tokenizer),
        collate_train=collate_poses,
        collate_val=collate_poses,
        batch_size=config.TRAIN.BATCH_SIZE,
        val_batch_size=config.EVAL.BATCH_SIZE,
        num_workers=config.TRAIN.NUM_WORKERS,
        val_num_workers=config.EVAL.NUM_WORKERS,
    )


def code_folder(config: DictConfig) -> Path:
    return Path(config.DATASET.H2S.ROOT) / config.DATASET.CODE_PATH


def prompt_builder(config: DictConfig) -> PromptBuilder:
    """Vocabulary, dictionaries and templates; ``.vocabulary`` is what the generator needs."""
    parts, chosen = part_table(config), corpora(config)
    generator = config.model.generator
    vocabulary = Vocabulary(
        generator.folder,
        parts,
        text_languages=[corpus.text_language for corpus in chosen.values()],
        sign_languages=[corpus.sign_language for corpus in corpus_table(config).values()],
    )
    dictionaries = {}
    if config.RETRIEVAL.MAX_KEYWORDS:
        dictionaries = {
            name: SignDictionary.load(corpus.dictionary, parts)
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
    if not check_folder(folder, checksum(config.TRAIN.PRETRAINED_VAE)):
        log.warning("%s does not say which tokenizer its tokens come from", folder)
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
        val_num_workers=config.EVAL.NUM_WORKERS,
    )
