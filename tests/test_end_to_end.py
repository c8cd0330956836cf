"""The whole system at the smallest size that still trains, by the commands of the README."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import MBartForConditionalGeneration

from soke.data.predictions import read_predictions

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


def python(*words, expect=0):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == expect, output[-4000:]
    return output


def overrides(work):
    data = work / "data"
    return [
        f"DATASET.H2S.ROOT={data / 'How2Sign'}",
        f"DATASET.H2S.CSL_ROOT={data / 'CSL-Daily'}",
        f"DATASET.H2S.PHOENIX_ROOT={data / 'Phoenix_2014T'}",
        f"DATASET.H2S.MEAN_PATH={data / 'mean.pt'}",
        f"DATASET.H2S.STD_PATH={data / 'std.pt'}",
        "DATASET.H2S.DATASET_NAME=how2sign_csl_phoenix",
        f"DATASET.PACKED={work / 'packed'}",
        f"OUTPUT.EXPERIMENTS={work / 'experiments'}",
        f"OUTPUT.VISUALIZE={work / 'visualize'}",
        f"TEST.FOLDER={work / 'results'}",
        f"model.generator.folder={work / 'mbart'}",
        "model.tokenizer.params.width=16",
        "model.tokenizer.params.code_dim=8",
        "TRAIN.BATCH_SIZE=8",
        "TRAIN.END_EPOCH=2",
        "LOGGER.VAL_EVERY_STEPS=1",
        "RENDER.CLIPS=1",
        "model.generator.decoding.params.max_steps=15",
    ]


@pytest.mark.slow
def test_text_in_signing_avatar_out(work):
    changes = overrides(work)
    deto = ["--cfg", "configs/demo/deto.yaml", "--nodebug", *changes]
    soke = ["--cfg", "configs/demo/soke.yaml", "--nodebug", *changes]

    make_and_pack_the_data(work, deto)
    train_the_tokenizer(work, deto)
    python("test", *deto)
    check_reconstruction(work / "results" / "demo-deto")
    written = write_tokens_and_dictionaries(work, soke)
    python("prepare.small_mbart", *soke)
    python("train", *soke)
    log = python("test", *soke, "--task", "t2m")
    assert "retrieval: " in log and " signs in the prompts (spelled " in log
    check_generation(work / "results" / "demo-soke")
    check_predictions(work / "results" / "demo-soke")
    score_saved_predictions(work / "results", soke)
    read_signs_as_text(work, changes)
    compare_and_report(work / "results")
    ask_the_dictionary(work)
    export_the_generator(work, soke)
    show_signing(work / "visualize" / "demo-soke", soke)
    try_in_short(work, deto, soke)
    assert written == ages(work)  # a trial leaves the tokens of the real run alone


def make_and_pack_the_data(work, deto):
    python(
        "prepare.fingerspelling",
        "--out",
        work / "data",
        "--words",
        "how2sign=14",
        "phoenix=14",
        "csl=14",
        "--held-out",
        "2",
    )
    table = python("soke", "pack", *deto)
    assert "packed store" in table and (work / "packed/csl/signs/frames.f32").exists()
    again = python("soke", "pack", *deto)
    assert "phoenix test is packed already" in again


def train_the_tokenizer(work, deto):
    missing = python("test", *deto, expect=1)
    assert "checkpoint not found" in missing and "python -m train" in missing

    python("train", *deto)
    run = work / "experiments" / "demo-deto"
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (run / "config.yaml").exists() and list((run / "logs").glob("events*"))
    assert "TRAIN.RESUME" in python("train", *deto, expect=1)  # refuses to write over it
    python("train", *deto, f"TRAIN.RESUME={run}", "TRAIN.END_EPOCH=3")
    assert "packed store" in (run / "data.txt").read_text()
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["epoch"] == 2


def check_reconstruction(results):
    errors = json.loads((results / "metrics.json").read_text())
    assert set(errors["scores"]) == {"how2sign", "csl", "phoenix", "total"}
    assert errors["scores"]["total"]["MPVPE_hand"] > errors["scores"]["total"]["PA_MPVPE_hand"] > 0
    assert "stand-in" in errors["body"]


def codes(work):
    return work / "data" / "How2Sign" / "TOKENS"


def ages(work):
    """When each of the token files of a data set was written."""
    return {file: file.stat().st_mtime_ns for file in (codes(work) / "how2sign").glob("*.npy")}


def write_tokens_and_dictionaries(work, soke):
    python("get_motion_code", *soke)
    before = ages(work)
    assert np.load(min(before)).ndim == 3 and (codes(work) / "phoenix").is_dir()
    dictionary = json.loads((codes(work) / "word2code_phoenix.json").read_text())
    assert {"a", "ß", "ü"} <= set(dictionary)
    python("get_motion_code", *soke)
    assert before == ages(work)  # nothing is done twice
    return before


def check_generation(results):
    results = json.loads((results / "metrics.json").read_text())
    assert set(results["baselines"]) == {"random_clip", "nearest_text", "tokenizer", "ground_truth"}
    for system in (results["scores"], *results["baselines"].values()):
        assert {"DTW_JPE_rhand", "DTW_JPE_body", "R@1", "R@5"} <= set(system["total"])
    truth = results["baselines"]["ground_truth"]["total"]
    assert truth["DTW_JPE_hands"] < 1e-5 and truth["R@1"] == 1
    assert results["baselines"]["ground_truth"]["how2sign"]["sign_error_rate"] < 0.3


def check_predictions(results):
    """Words are spelled by the signs of their letters; Chinese ones have no letters."""
    for corpus, spelled in (("how2sign", True), ("csl", False), ("phoenix", True)):
        predictions = read_predictions(results, corpus)
        assert predictions
        for prediction in predictions:
            word = prediction.text
            assert prediction.keywords == (("-".join(word),) if spelled else ())
            assert prediction.matches == (("spelled",) if spelled else ())
            assert prediction.missing == (() if spelled else (word,))
            sizes = [sign.shape for sign in prediction.codes]
            assert sizes == ([(3 * len(word), 3)] if spelled else [])  # RETRIEVAL.MAX_TOKENS


def score_saved_predictions(results, soke):
    """Without the models, the scores are the same."""
    python("test", *soke, "--predictions", results / "demo-soke", "NAME=saved")
    one, other = (
        json.loads((results / name / "metrics.json").read_text()) for name in ("demo-soke", "saved")
    )
    # Clips come in another order, hence in other batches, which the last bits of poses follow.
    for key in ("scores", "intervals"):
        ours, theirs = (pd.json_normalize(run[key]).T[0].sort_index() for run in (one, other))
        assert list(ours.index) == list(theirs.index) and len(ours) > 20
        values = (np.array(side.tolist(), float) for side in (ours, theirs))
        np.testing.assert_allclose(*values, rtol=1e-5)
    assert one["checkpoint_sha256"] != other["predictions_sha256"] and not other["baselines"]


def read_signs_as_text(work, changes):
    m2t = ["--cfg", "configs/demo/m2t.yaml", "--nodebug", *changes]
    python("train", *m2t)
    python("test", *m2t)
    found = json.loads((work / "results" / "demo-m2t" / "metrics.json").read_text())
    assert found["system"] == "references" and found["clips"] > 0
    assert {"BLEU-4", "chrF", "ROUGE-L"} <= set(found["scores"]["total"])
    rows = pd.read_csv(work / "results" / "demo-m2t" / "clips.csv")
    assert len(rows) == found["clips"] and "translation" in rows


def compare_and_report(results):
    one, other = results / "demo-soke", results / "saved"
    table = python("soke", "compare", other, one)
    assert "how2sign: " in table and "DTW_PA_JPE_hands" in table
    assert "better" not in table.partition('"better" where')[0]  # equal in every score
    assert (one / "compare-saved.png").exists()
    python("soke", "report", one)
    page = (one / "report.html").read_text(encoding="utf-8")
    assert "not comparable" in page.lower() and "data:video/mp4" in page


def ask_the_dictionary(work):
    table = python(
        "soke.retrieval",
        "fox",
        "--lang",
        "en",
        "--cfg",
        "configs/demo/soke.yaml",
        "--dictionary",
        codes(work) / "word2code_how2sign.json",
    )
    assert "f-o-x" in table and "spelled" in table


def export_the_generator(work, soke):
    python("soke", "export", "generator", *soke, "--out", work / "export")
    model = MBartForConditionalGeneration.from_pretrained(work / "export")
    rows = json.loads((work / "export" / "rows.json").read_text())
    assert model.get_input_embeddings().num_embeddings == rows["size"]


def show_signing(pictures, soke):
    python("vis_mesh", *soke, "--demo_dataset", "csl")
    python("vis_mesh", *soke, "--text", "hello", "--lang", "en")
    written = sorted((pictures / "text").iterdir())
    assert {path.suffix for path in written} == {".npy", ".npz", ".mp4", ".png"}
    assert {path.stem for path in written} == {"hello-en"}
    for folder in ("csl", "text"):
        (video,) = (pictures / folder).glob("*.mp4")
        check_video(video)
        assert video.with_suffix(".png").exists()
    python("vis_mesh", *soke, "--codebook", "lhand")
    assert (pictures / "codebook-lhand.png").exists()
    error = python("vis_mesh", *soke, "--text", "hello", "--lang", "fr", expect=1)
    assert "choose one of ['en', 'zh', 'de']" in error


def check_video(path):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) >= 40
    colored = np.ptp(frames[0], axis=2) > 25  # the body: page and ground are grey
    assert 0.03 < colored.mean() < 0.6
    assert any(not np.array_equal(frames[0], frame) for frame in frames[1:])


def try_in_short(work, deto, soke):
    """Both stages without --nodebug."""
    python("train", *[word for word in deto if word != "--nodebug"])
    assert (work / "experiments" / "debug" / "demo-deto" / "checkpoints" / "best.ckpt").exists()
    python("get_motion_code", *[word for word in soke if word != "--nodebug"])
    assert 0 < len(list((work / "data/How2Sign/TOKENS-debug/how2sign").glob("*.npy"))) <= 24


def test_a_missing_data_set_is_one_message(work):
    output = python("train", "--cfg", "configs/deto.yaml", expect=1)
    assert output.strip().splitlines()[-1].startswith("error: ")
    assert "deps/mean.pt" in output and "Traceback" not in output
