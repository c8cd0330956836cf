"""The same recordings by every route: frame pickles, clip pickles, own files, packed.

Real clips of the demo are converted to every layout. What the loaders give is compared with a plain
reading of the frame pickles, in one process, with workers, and on two ranks. One long file, since
its tests share what takes seconds to make.
"""

import csv
import gzip
import json
import os
import pickle
import subprocess
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from soke.assemble.data import read_clips
from soke.assemble.run import Run
from soke.assemble.training_data import pose_data
from soke.cli import pack
from soke.config import load_config
from soke.data import load_motion
from soke.parts import PARAMETERS
from tests.data.conftest import (
    as_library,
    as_parameters,
    demo_corpora,
    dump,
    snapshot,
    write_arrays,
    write_table,
)
from tests.helpers import small_tokenizer

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "val", "test")
ROOTS = {"how2sign": "How2Sign", "csl": "CSL-Daily", "phoenix": "Phoenix_2014T"}
KEYS = {"how2sign": "ROOT", "csl": "CSL_ROOT", "phoenix": "PHOENIX_ROOT"}
LANGUAGE = {"how2sign": "en", "csl": "zh", "phoenix": "de"}
CLIP_FILES = {
    "how2sign": "poses_video_level/{split}/poses/{name}.pkl",
    "csl": "poses_video_level/{name}.pkl",
    "phoenix": "poses_video_level/{name}.pkl",
}
TABLES = ("keys", "library", "frames")
SOURCES = ("release1", "release2", *TABLES)
ROUTES = (*SOURCES, "packed-release1", "packed-release2", "packed-keys")


def annotation(root, corpus, split):
    """(name, text) of the clips of a split, in the order of the file."""
    if corpus == "how2sign":
        path = root / split / "re_aligned" / f"how2sign_realigned_{split}_preprocessed_fps.csv"
        with path.open(encoding="utf-8", newline="") as file:
            return [(row["SENTENCE_NAME"], row["SENTENCE"]) for row in csv.DictReader(file)]
    name = {"csl": f"csl_clean.{split}", "phoenix": f"phoenix14t.{split}".replace("val", "dev")}
    content = pickle.loads(gzip.decompress((root / name[corpus]).read_bytes()))
    return [(row["name"], row["text"]) for row in content]


def read_plainly(root, corpus, split, name):
    """Frames [T, 179] of a clip of release 1, as they lie there."""
    folder = {
        "how2sign": root / split / "poses" / name,
        "csl": root / "poses" / name,
        "phoenix": root / name,
    }[corpus]
    frames = []
    for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
        frame = pickle.loads(path.read_bytes())
        frames.append(np.concatenate([frame[key] for key, _ in PARAMETERS]))
    return np.stack(frames)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demo_corpora(tmp_path_factory)


@pytest.fixture(scope="module")
def recorded(demo):
    """(corpus, split, name, text, frames as recorded at 25 a second) of every clip, in order."""
    return [
        (corpus, split, name, text, read_plainly(demo / folder, corpus, split, name))
        for corpus, folder in ROOTS.items()
        for split in SPLITS
        for name, text in annotation(demo / folder, corpus, split)
    ]


@pytest.fixture(scope="module")
def expected(recorded):
    """The frames that are used, by (corpus, name): How2Sign is thinned to 24 a second."""
    kept = {}
    for corpus, _, name, _, frames in recorded:
        if corpus == "how2sign":
            count = int(24 * len(frames) / 25)
            frames = frames[[i * len(frames) // count for i in range(count)]]
        kept[corpus, name] = frames
    return kept


@pytest.fixture(scope="module")
def sources(demo, recorded, expected, tmp_path_factory):
    """The folders of every source: one of each corpus below each.

    A table is resampled between frames where the releases are thinned, so it has the frames that
    are left, at the rate that they are left at.
    """
    out = tmp_path_factory.mktemp("sources")
    (out / "release1").symlink_to(demo)
    rows = {}
    for corpus, split, name, text, frames in recorded:
        clip = CLIP_FILES[corpus].format(split=split, name=name)
        dump(out / "release2" / ROOTS[corpus] / clip, as_parameters(frames))
        for kind, convert in zip(TABLES, (as_parameters, as_library, lambda frames: frames)):
            ending = ".npy" if kind == "frames" else ".npz"
            path = out / kind / ROOTS[corpus] / "poses" / f"{name}{ending}"
            write_arrays(path, convert(expected[corpus, name]))
        rate = 24 if corpus == "how2sign" else 25
        rows.setdefault(corpus, []).append((name, text, LANGUAGE[corpus], split, rate))
    for corpus, folder in ROOTS.items():
        for kind in TABLES:
            write_table(out / kind / folder / "clips.csv", rows[corpus])
        for path in annotations(demo / folder):
            target = out / "release2" / folder / path.relative_to(demo / folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return out


def annotations(root):
    return [*root.glob("*/re_aligned/*.csv"), *root.glob("csl_clean.*"), *root.glob("phoenix14t.*")]


def write_config(path, sources, route, workers):
    """A configuration file that says nothing but where a route's data lie."""
    kind = route.removeprefix("packed-")
    content = {
        "BASES": [str(ROOT / "configs" / "default.yaml")],
        "NAME": route,
        "DEBUG": False,
        "ACCELERATOR": "cpu",
        "OUTPUT": {"EXPERIMENTS": str(path.parent / "experiments")},
        "TRAIN": {"NUM_WORKERS": workers, "BATCH_SIZE": 8},
        "EVAL": {"NUM_WORKERS": workers, "BATCH_SIZE": 4},
        "DATASET": {
            "PACKED": str(path.parent / "store") if route.startswith("packed") else None,
            "H2S": {KEYS[name]: str(sources / kind / folder) for name, folder in ROOTS.items()},
        },
    }
    if kind in TABLES:
        content["CORPORA"] = {corpus: {"layout": "table"} for corpus in ROOTS}
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(content), path)
    return path


@pytest.fixture(scope="module")
def config_file(sources, tmp_path_factory):
    """The configuration of a route; what it needs packed is packed by the script."""
    out, packed = tmp_path_factory.mktemp("routes"), set()

    def make(route, workers=0):
        path = write_config(out / route / f"{workers}.yaml", sources, route, workers)
        if route.startswith("packed") and route not in packed:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["pack_poses", "--cfg", str(path)])
                pack.main()
            packed.add(route)
        return path

    return make


@pytest.fixture(scope="module")
def configured(config_file):
    return lambda route, workers=0: load_config(config_file(route, workers))


@pytest.fixture(scope="module")
def tokenizer():
    return small_tokenizer()


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_gives_the_same_numbers(configured, sources, recorded, expected, route):
    kind = route.removeprefix("packed-")
    before = snapshot((sources / kind).resolve())
    config = configured(route)
    for split in SPLITS:
        clips = read_clips(Run(config), split)
        told = [(corpus, name, text) for corpus, s, name, text, _ in recorded if s == split]
        assert [(clip.corpus, clip.name, clip.text) for clip in clips] == told
        assert {clip.split for clip in clips} == {split}
        for clip, length in zip(clips, clips.lengths):
            frames = expected[clip.corpus, clip.name]
            np.testing.assert_array_equal(load_motion(clip), frames, strict=True)
            assert length == len(frames)
        packed = {summary.source == "packed store" for summary in clips.summaries}
        assert packed == {route.startswith("packed")}
        assert not any(summary.dropped for summary in clips.summaries)
        assert sum(summary.kept for summary in clips.summaries) == len(told)
    assert snapshot((sources / kind).resolve()) == before


def features(tokenizer, frames):
    """A clip as the networks see it: the length rule, the 133 columns, normalised."""
    size = len(frames)
    if size < 40 or size > 400:
        kept = np.linspace(0, size - 1, 40 if size < 40 else 400, dtype=int)
    else:
        kept = (size % 4) // 2 + np.arange(size // 4 * 4)
    frames = torch.from_numpy(frames[kept])
    columns = torch.cat([frames[:, 36:159], frames[:, 169:179]], dim=1)
    return (columns - tokenizer.mean) / tokenizer.std


def check_batch(batch, tokenizer, expected):
    for i, (corpus, name, length) in enumerate(zip(batch.corpora, batch.names, batch.lengths)):
        motion = features(tokenizer, expected[corpus, name])
        assert torch.equal(batch.motion[i, :length], motion)
        assert not batch.motion[i, length:].any() and batch.mask[i, :length].all()
    assert batch.motion.shape[1] == batch.lengths.max()


def keys(batches):
    return [[*zip(batch.corpora, batch.names)] for batch in batches]


@pytest.fixture(scope="module")
def first_batches(configured, tokenizer):
    """The batches of two epochs of training, and of validation, by the first route."""
    return epochs(pose_data(Run(configured(ROUTES[0])), tokenizer))


def epochs(data):
    loader, found = data.train_dataloader(), []
    for epoch in (0, 1):
        loader.batch_sampler.set_epoch(epoch)
        found.append(list(loader))
    return [*found, list(data.val_dataloader())]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("workers", [0, 2])
def test_every_route_gives_the_same_batches(
    configured, sources, recorded, expected, tokenizer, first_batches, route, workers
):
    before = snapshot((sources / route.removeprefix("packed-")).resolve())
    found = epochs(pose_data(Run(configured(route, workers)), tokenizer))
    for batch in chain(*found):
        check_batch(batch, tokenizer, expected)
    for ours, first in zip(found, first_batches):
        assert keys(ours) == keys(first)
        assert all(torch.equal(a.motion, b.motion) for a, b in zip(ours, first))
        assert all(a.texts == b.texts for a, b in zip(ours, first))
    one, two, val = map(keys, found)
    assert one != two
    for epoch in (one, two):  # once at most; those that fill no batch are left out
        clips = list(chain(*epoch))
        assert len(set(clips)) == len(clips)
    held = [(corpus, name) for corpus, split, name, *_ in recorded if split == "val"]
    assert list(chain(*val)) == held
    assert snapshot((sources / route.removeprefix("packed-")).resolve()) == before


@pytest.mark.parametrize("route", ["release1", "packed-release1"])
@pytest.mark.parametrize("workers", [0, 2])
def test_two_ranks_share_the_clips(configured, recorded, expected, tokenizer, route, workers):
    train, val = [], []
    for rank in range(2):
        data = pose_data(Run(configured(route, workers)), tokenizer)
        data.trainer = SimpleNamespace(world_size=2, global_rank=rank)
        train.append(list(data.train_dataloader()))
        val.append(list(data.val_dataloader()))
    for batch in chain(*train, *val):
        check_batch(batch, tokenizer, expected)
    held = sorted((corpus, name) for corpus, split, name, *_ in recorded if split == "val")
    assert sorted(chain(*chain(*map(keys, val)))) == held
    seen = list(chain(*chain(*map(keys, train))))
    assert len(set(seen)) == len(seen) and len(train[0]) == len(train[1])
    assert abs(len(held) // 2 - sum(map(len, keys(val[0])))) <= 1


#: Trains and validates in two processes; what each sees goes into a file.
_SCRIPT = """
import json, sys
from pathlib import Path
import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from soke.assemble.run import Run
from soke.assemble.training_data import pose_data
from soke.config import load_config
from soke.training.callbacks import EpochSeed
from tests.helpers import small_tokenizer

class Witness(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
    def note(self, stage, batch):
        totals = batch.motion.double().sum((1, 2)).tolist()
        line = json.dumps([stage, self.current_epoch, [*zip(batch.corpora, batch.names, totals)]])
        with (Path(sys.argv[2]) / f"{self.global_rank}.jsonl").open("a") as file:
            file.write(line + "\\n")
    def training_step(self, batch, _):
        self.note("train", batch)
        return self.weight.sum() * batch.motion.mean()
    def validation_step(self, batch, _):
        self.note(self.trainer.state.fn, batch)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

config = load_config(sys.argv[1])
module, data = Witness(), pose_data(Run(config), small_tokenizer())
trainer = L.Trainer(
    accelerator="cpu", devices=2, max_epochs=2, use_distributed_sampler=False, logger=False,
    strategy=DDPStrategy(broadcast_buffers=False, start_method="fork"), num_sanity_val_steps=0,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    callbacks=[EpochSeed(config.SEED_VALUE)],
)
trainer.fit(module, data)
trainer.validate(module, data, verbose=False)
"""


def test_two_processes_see_each_validation_clip_once(
    config_file, sources, recorded, expected, tokenizer, tmp_path
):
    before, path = snapshot((sources / "release1").resolve()), config_file("packed-release1", 2)
    (tmp_path / "script.py").write_text(_SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", path, tmp_path],
        check=False,
        text=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [
        (rank, *json.loads(line))
        for rank in range(2)
        for line in (tmp_path / f"{rank}.jsonl").read_text().splitlines()
    ]

    def seen(stage, at, on):
        """The batches of a stage in an epoch, on some ranks."""
        return [
            [(corpus, name) for corpus, name, _ in batch]
            for rank, where, epoch, batch in steps
            if rank in on and (where, epoch) == (stage, at)
        ]

    held = sorted((corpus, name) for corpus, split, name, *_ in recorded if split == "val")
    for stage, epoch in (("fit", 0), ("fit", 1), ("validate", 0)):
        shares = [list(chain(*seen(stage, epoch, [rank]))) for rank in range(2)]
        assert sorted(chain(*shares)) == held and abs(len(shares[0]) - len(shares[1])) <= 1
    for epoch in (0, 1):
        batches = [seen("train", epoch, [rank]) for rank in range(2)]
        clips = list(chain(*chain(*batches)))
        assert len(batches[0]) == len(batches[1]) > 1
        assert len(set(clips)) == len(clips) == 2 * 8 * len(batches[0])
    assert seen("train", 0, [0, 1]) != seen("train", 1, [0, 1])
    for corpus, name, total in chain(*(batch for *_, batch in steps)):
        motion = features(tokenizer, expected[corpus, name])
        assert total == pytest.approx(float(motion.double().sum()), abs=1e-6)
    assert snapshot((sources / "release1").resolve()) == before
