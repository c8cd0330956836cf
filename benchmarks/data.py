"""Speed and memory of the data layer against one pickle a frame: ``python -m benchmarks.data``.

    python -m benchmarks.data [--check] [--work FOLDER]

The plain way opens a pickle for every frame. 50 clips of 100 frames are read in chance order, each
way in a process of its own that has read a clip of another folder before. Cold means that the pages
of the files were dropped first, which is verified (the folder has to lie on a disk); what the
system knows of folders and names stays. Warm times are the best of many for each clip, cold ones
the best pass over all clips. A packed store is opened before, which has a row of its own: opening
may start to read ahead.

``--check`` exits with 1 when a goal is missed. It takes about 1 GB and some minutes. Set
OMP_NUM_THREADS=1 while others use the machine: threads that wait for each other make training steps
many times longer, which flatters the loader. The file is long because ratios count only within one
run over the same clips.

Long, since every measurement stands beside the plain reader that it is compared with.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import io
import json
import mmap
import os
import pickle
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import Report, apart, options_of
from soke.assemble.run import Run
from soke.config import check_params, load_config, plain
from soke.data.clips import Clips, Group
from soke.data.datasets import LengthLimits, PoseDataset, collate_poses
from soke.data.listing.annotations import Clip
from soke.data.listing.sources import Source
from soke.data.loader import SignDataModule
from soke.data.packing import pack
from soke.data.samplers import TrainingBatches, padding_share
from soke.data.scan import load_motion
from soke.data.store import FRAMES, INDEX, LINES, MANIFEST, VERSION, Shard, shard_folder
from soke.parts import FEATURE_SIZE, FRAME_SIZE, PARAMETERS, frame_slices
from soke.tokenizer import reconstruction_loss

LENGTH = 100  # frames of a clip
FEW = 50  # clips that are read one by one, each way
MANY, AS_FRAMES = 2000, 300  # clips that are trained on; those that are packed from frames
BATCH, LIMITS = 32, LengthLimits()
LONGEST_EPOCH = 60  # seconds, after which an epoch is left
DEMO = Path(__file__).parents[1] / "configs" / "demo" / "deto.yaml"
DEMO_STORE = Path(__file__).parents[1] / "deps" / "fingerspelling" / "packed"
SENTENCE = "so we are going to take a look at how the frame of the door is cut and put together, {}"
LIBC = ctypes.CDLL(None, use_errno=True)


# Files


def name_of(index):
    return f"clip-{index:05d}"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def source_at(root, count):
    """A data set in the layout of CSL-Daily with so many clips."""
    records = [{"name": name_of(i), "text": SENTENCE.format(i)} for i in range(count)]
    write(root / "csl_clean.train", gzip.compress(pickle.dumps(records)))
    return Source("csl", "csl", str(root), "train", fps=25)


def write_clips(root, count, as_frames, seed):
    """Motion as a pickle a clip and, of the first clips, as a pickle a frame."""
    rng, slices = np.random.default_rng(seed), frame_slices()
    for i in range(count):
        frames = rng.normal(scale=0.3, size=(LENGTH, FRAME_SIZE)).astype(np.float32)
        clip = {key: frames[:, place] for key, place in slices.items()}
        write(clip_path(root, i), pickle.dumps(clip))
        for t in range(LENGTH if i < as_frames else 0):
            frame = {key: value[t] for key, value in clip.items()}
            write(frame_folder(root, i) / f"{t:06d}.pkl", pickle.dumps(frame))


def clip_path(root, index):
    return root / "clips" / "poses_video_level" / f"{name_of(index)}.pkl"


def frame_folder(root, index):
    return root / "frames" / "poses" / name_of(index)


def store_folder(root):
    return shard_folder(root / "packed", "csl", "train")


# Reading


def read_plainly(folder):
    """The usual way: open, unpickle and join frame by frame."""
    frames = []
    for name in sorted(os.listdir(folder)):  # noqa: PTH208
        with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123
            content = pickle.load(file)
        frames.append(np.concatenate([content[key] for key, _ in PARAMETERS]))
    return np.stack(frames).astype(np.float32, copy=False)


def plain_reader(root):
    return lambda i: read_plainly(str(frame_folder(root, i)))


def frame_reader(root):
    return lambda i: load_motion(Clip(name_of(i), "csl", "", "train", frame_folder(root, i)))


def clip_reader(root):
    return lambda i: load_motion(Clip(name_of(i), "csl", "", "train", clip_path(root, i)))


def packed_reader(root):
    shard = Shard(store_folder(root))
    return lambda i: load_motion(shard[i])


def seconds_of_clips(reader, root, other, count, passes):
    """Seconds of what is done once a process, and of each clip, in chance order [passes, clips]."""
    reader(other)(0)  # so that the code is loaded
    start = time.perf_counter()
    read, times = reader(root), np.empty((passes, count))
    opening = time.perf_counter() - start
    for seed, row in enumerate(times):
        for i in np.random.default_rng(seed).permutation(count).tolist():
            start = time.perf_counter()
            read(i)
            row[i] = time.perf_counter() - start
    return opening, times


def check_equal(root):
    """All ways give the same numbers."""
    readers = [reader(root) for reader in (plain_reader, frame_reader, clip_reader, packed_reader)]
    for i in range(FEW):
        expected, *others = (read(i) for read in readers)
        assert all(np.array_equal(expected, other) for other in others)


def drop_pages(paths):
    """Have the system forget the content of files; the share of it that stays in memory."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)
    return np.concatenate([pages_in_memory(path) for path in paths]).mean()


def pages_in_memory(path):
    """For each page of a file whether it is in memory."""
    content = np.memmap(path, np.uint8, "r")  # maps, but touches nothing
    found = np.zeros(-(-len(content) // mmap.PAGESIZE), np.uint8)
    start, result = (ctypes.c_void_p(array.ctypes.data) for array in (content, found))
    if LIBC.mincore(start, ctypes.c_size_t(len(content)), result):
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return found & 1


def measure_reading(report, few, many):
    frames = [path for i in range(FEW) for path in sorted(frame_folder(few, i).iterdir())]
    clips = [clip_path(few, i) for i in range(FEW)]
    packed, larger = (sorted(store_folder(root).iterdir()) for root in (few, many))
    rows = [  # name, reader, folder and another one, files, clips, passes, goals warm and cold
        ("a pickle a frame, plain", plain_reader, few, many, frames, FEW, 15, None, None),
        ("a pickle a frame, safe", frame_reader, few, many, frames, FEW, 5, None, None),
        ("a pickle a clip, safe", clip_reader, few, many, clips, FEW, 100, 30, None),
        ("packed store", packed_reader, few, many, packed, FEW, 200, 40, 100),
        (f"packed store of {MANY}", packed_reader, many, few, larger, MANY, 10, None, None),
    ]
    apart(check_equal, few)
    print(f"reading a clip of {LENGTH} frames; goals against the first row")
    first = {}
    for name, reader, root, other, files, count, passes, *goals in rows:
        _, times = apart(seconds_of_clips, reader, root, other, count, passes)
        warm = times.min(axis=0).mean()
        openings, cold, stayed = [], [], 0.0
        for _ in range(10):
            stayed = max(stayed, drop_pages(files))
            opening, times = apart(seconds_of_clips, reader, root, other, count, 1)
            openings.append(opening)
            cold.append(times.mean())
        for how, value, goal in zip(("warm", "cold"), (warm, min(cold)), goals):
            ratio = first.setdefault(how, value) / value
            is_cold = how == "warm" or stayed < 0.01
            if not is_cold:
                print(f"  not cold: {100 * stayed:.0f} % of the pages stay in memory, see --work")
            reached = None if goal is None else bool(is_cold and ratio >= goal)
            report.row(f"{name}, {how}", f"{1000 * value:.3f} ms", ratio, f">= {goal} x", reached)
        if reader is packed_reader:
            report.row(f"{name}, opened cold", f"{1000 * min(openings):.3f} ms")


# Packing


def pack_seconds(root, count, store):
    """Listing and packing with two processes."""
    source = source_at(root, count)
    start = time.perf_counter()
    clips, dropped = source.list_clips()
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bar
        shard = pack(store, source, clips, dropped, workers=2)
    assert len(shard) == count
    return time.perf_counter() - start


def measure_packing(report, few, many):
    """Leaves the stores of all clips in place."""
    print("packing, two processes, source in the page cache")
    apart(pack_seconds, few / "clips", FEW, few / "packed")
    clips = apart(pack_seconds, many / "clips", MANY, many / "packed")
    seconds = []
    for _ in range(3):
        seconds.append(apart(pack_seconds, many / "frames", AS_FRAMES, many / "again"))
        shutil.rmtree(many / "again")
    rate = 60 * AS_FRAMES / min(seconds)
    report.row("from a pickle a frame", f"{rate:.0f} clips/min", None, ">= 1500", rate >= 1500)
    report.row("from a pickle a clip", f"{60 * MANY / clips:.0f} clips/min")


# Training


def data_module(clips, crop, workers=0):
    lengths = LIMITS.sizes(clips.lengths).clip(max=crop)
    mean, std = torch.zeros(FEATURE_SIZE), torch.ones(FEATURE_SIZE)
    dataset = PoseDataset(clips, LIMITS, mean, std, crop)
    return SignDataModule(
        dataset, dataset, collate_poses, collate_poses, BATCH, BATCH, workers, lengths=lengths
    )


def training_step(config):
    """What the demo does with a batch: forward, backward, AdamW."""
    node, params = config.model.tokenizer, plain(config.model.tokenizer.params)
    tokenizer = check_params(node.target, params)(Run(config).parts, **params)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), **plain(config.TRAIN.OPTIM.params))

    def step(batch):
        output = tokenizer(batch.motion, batch.mask)
        kind = config.LOSS.ABLATION.RECONS_LOSS
        loss = reconstruction_loss(kind, output.reconstruction, batch.motion, batch.mask)
        loss = loss + config.LOSS.LAMBDA_COMMIT * output.commitment.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def epochs(root, workers, count):
    """Of the fastest epoch the steps, seconds a step and, of them, those of waiting for data."""
    torch.manual_seed(0)
    config = load_config(DEMO)
    step, found = training_step(config), []
    clips = Clips([Shard(store_folder(root)).group()])
    loader = data_module(clips, config.TRAIN.CROP_FRAMES, workers).train_dataloader()
    for _ in range(count):
        steps, waited, start = 0, 0.0, time.perf_counter()
        batches, asked = iter(loader), start  # starting the workers counts as waiting
        while (batch := next(batches, None)) is not None:
            waited += time.perf_counter() - asked
            step(batch)
            steps, asked = steps + 1, time.perf_counter()
            if asked - start > LONGEST_EPOCH:
                break
        waited += time.perf_counter() - asked
        found.append((steps, (time.perf_counter() - start) / steps, waited / steps))
    return min(found, key=lambda epoch: epoch[1])


def measure_training(report, many):
    print(
        f"an epoch of the demo tokenizer over {MANY} packed clips, {torch.get_num_threads()} "
        "threads: share of the time that waits for data"
    )
    own = load_config(DEMO).TRAIN.NUM_WORKERS
    for workers in dict.fromkeys((own, 2)):
        steps, seconds, waited = apart(epochs, many, workers, 3)
        share = 100 * waited / seconds
        name = f"{workers} workers, {steps} of {MANY // BATCH} steps of {1000 * seconds:.0f} ms"
        reached = share < 5 if workers == own else None  # others start anew for each short epoch
        report.row(name, f"{share:.1f} %", None, "< 5 %", reached)


# Memory and padding


def sentence_lengths(count):
    """Frames of clips like spoken sentences: lognormal, median 110, sigma 0.5, under 30 s."""
    draw = np.random.default_rng(0).lognormal(np.log(110), 0.5, count)
    return draw.astype(int).clip(4, 719)


def simulate(folder, count):
    """A packed store whose frames are zeros that take no room on the disk."""
    folder.mkdir(parents=True)
    lengths = sentence_lengths(count)
    starts, rows, end = np.cumsum(lengths) - lengths, [], 0
    with (folder / LINES).open("wb") as lines:
        for i, frames in enumerate(zip(starts.tolist(), lengths.tolist())):
            record = {
                "name": name_of(i),
                "corpus": "csl",
                "text": SENTENCE.format(i),
                "split": "train",
                "fps": 25.0,
                "target_fps": 25.0,
                "numbers": None,
                "source": f"poses/{name_of(i)}",
                "stamp": f"{i:016x}",
                "frames": frames,
                "missing": 0,
            }
            size = lines.write(json.dumps(record).encode() + b"\n")
            rows.append([end, end + size, *frames])
            end += size
    np.save(folder / INDEX, np.array(rows, dtype=np.int64))
    size = int(lengths.sum()) * FRAME_SIZE * 4
    with (folder / FRAMES).open("wb") as file:
        file.truncate(size)
    manifest = {
        "version": VERSION,
        "source": {"corpus": "csl", "split": "train"},
        "clips": count,
        "frames": int(lengths.sum()),
        "gaps": 0,
        "missing": 0,
        "dropped": {},
        "faults": [],
        "bytes": size,
        "sha256": {},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def own_memory():
    """MB that belong to this process alone or in part (Pss), and those no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {key: int(value.split()[0]) for key, value in (line.split(":") for line in lines)}
    return np.array([sizes["Pss"], sizes["Anonymous"]]) / 1024


def memory_of(folder, listed, batches=20):
    """MB by which a process grows (Pss, of it not backed by files), and MB of a pickled dataset.

    ``listed`` makes all clips at once.
    """
    before = own_memory()
    group = Shard(folder).group()
    if listed:
        group = Group(list(group.clips), group.lengths, group.summary)
    module = data_module(Clips([group]), crop=64)
    for _ in zip(range(batches), module.train_dataloader()):
        pass
    grown = own_memory() - before
    return *grown.tolist(), len(pickle.dumps(module.train)) / 2**20


def measure_memory(report, work):
    print("memory of opening a store, dataset, loader and 20 batches (MB that no file backs)")
    grown = {}
    for count in (1000, 35000):
        folder = work / str(count)
        simulate(folder, count)
        for listed in (False, True):
            runs = [apart(memory_of, folder, listed, start="spawn") for _ in range(3)]
            pss, own, pickled = min(runs, key=lambda run: run[1])
            grown[count, listed] = own
            name = f"{count} clips{', made all at once' if listed else ''}"
            report.row(name, f"{own:.1f} MB")
            print(f"    with the mapped pages {pss:.1f} MB; a pickled dataset {pickled:.2f} MB")
    more = grown[35000, False] - grown[1000, False]
    report.row("35000 clips more than 1000", f"{more:.1f} MB", None, "< 5 MB", more < 5)


def measure_padding():
    print(f"padding in batches of {BATCH}: left to chance, grouped, frames saved")
    lengths = sentence_lengths(35000)
    rows = {"lognormal, median 110, sigma 0.5": LIMITS.sizes(lengths)}
    shards = [Shard(path.parent) for path in sorted(DEMO_STORE.glob(f"*/train/{MANIFEST}"))]
    if shards:
        demo = LIMITS.sizes(np.concatenate([shard.lengths for shard in shards]))
        crop = load_config(DEMO).TRAIN.CROP_FRAMES
        rows |= {"demo clips, whole": demo, f"demo clips, {crop} frames": demo.clip(max=crop)}
    for name, lengths in rows.items():
        chance, grouped = (
            padding_share(lengths, TrainingBatches(len(lengths), by, BATCH).steps()[:, 0])
            for by in (None, lengths)
        )
        saved = 1 - (1 - chance) / (1 - grouped)
        print(f"  {name:38}{100 * chance:9.1f} %{100 * grouped:9.1f} %{100 * saved:9.1f} %")


def main(arguments: Sequence[str] | None = None):
    parser = options_of(__doc__)
    parser.add_argument("--work", type=Path, default=Path(), help="a folder on a disk")
    options = parser.parse_args(arguments)
    report = Report()
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}"
    )
    with tempfile.TemporaryDirectory(prefix=".benchmark-data-", dir=options.work) as folder:
        work = Path(folder)
        few, many = work / "few", work / "many"
        write_clips(few, FEW, FEW, seed=0)
        write_clips(many, MANY, AS_FRAMES, seed=1)
        measure_packing(report, few, many)
        os.sync()  # pages can be dropped once they are written out
        measure_reading(report, few, many)
        measure_training(report, many)
        measure_memory(report, work)
    measure_padding()
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
