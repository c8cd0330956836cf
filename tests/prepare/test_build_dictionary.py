import json
import sys

import numpy as np
import pytest
import torch

from soke.assemble.data import pose_dataset, pose_loader, read_signs
from soke.assemble.dictionaries import representative, write_dictionaries
from soke.assemble.models import load_body, load_trained_tokenizer
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.cli import dictionary as build_dictionary
from soke.cli import tokens as tokens_command
from soke.config import load_config
from soke.files import checksum
from soke.metrics.medoid import recording_distances
from soke.retrieval import SignDictionary
from soke.tokenizer import save_safetensors
from tests.data.conftest import demo_corpora
from tests.helpers import THREE_PARTS, mbart_folder, small_tokenizer

#: Words and the letters whose recordings stand in for them; "ja" has four.
SIGNS = [("ja", "a"), ("nein", "n"), ("ja", "e"), ("JA", "s"), ("Straße", "t"), ("ja", "b")]
RUN = """
ACCELERATOR: cpu
DEBUG: false
PARTS: {parts}
TRAIN: {{NUM_WORKERS: 0, PRETRAINED_VAE: {work}/tokenizer.safetensors}}
EVAL: {{NUM_WORKERS: 0}}
TEST: {{NUM_WORKERS: 0, BATCH_SIZE: 4}}
DATASET:
  PACKED: null
  CODE_PATH: {work}/TOKENS
  H2S: {{DATASET_NAME: phoenix, ROOT: {work}, PHOENIX_ROOT: {demo}/Phoenix_2014T}}
CORPORA:
  phoenix: {{signs: {work}/signs.json, dictionary: {work}/words.json}}
model: {{generator: {{folder: {work}/mbart}}}}
"""


@pytest.fixture
def work(tmp_path, tmp_path_factory):
    demo = demo_corpora(tmp_path_factory)
    listed = json.loads((demo / "Phoenix_2014T" / "isolated_signs.json").read_text())
    letters = {sign["label"]: sign for sign in listed}
    signs = [{**letters[letter], "label": word} for word, letter in SIGNS]
    (tmp_path / "signs.json").write_text(json.dumps(signs), encoding="utf-8")
    save_safetensors(small_tokenizer(), tmp_path / "tokenizer.safetensors")
    mbart_folder(tmp_path / "mbart")
    text = RUN.format(work=tmp_path, demo=demo, parts=json.dumps(THREE_PARTS))
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def run(work, *words):
    build_dictionary.main(["--cfg", str(work / "run.yaml"), *words])


def recordings(config):
    """The tokens of every isolated sign, each encoded by itself."""
    tokenizer = load_trained_tokenizer(Run(config))
    signs = read_signs(Run(config), Run(config).corpora["phoenix"])
    dataset = pose_dataset(Run(config), signs, tokenizer)
    batches = pose_loader(dataset, 1, 0)
    with torch.inference_mode():
        return [tokenizer.encode(batch.motion, batch.lengths)[0].numpy() for batch in batches]


def test_several_recordings_of_a_word_become_their_medoid(work):
    run(work)
    config = load_config(work / "run.yaml")
    parts, tokens = Run(config).parts, recordings(config)
    words = SignDictionary.load(work / "words.json", parts)
    assert list(words.entries) == ["Straße", "ja", "nein"]
    assert np.array_equal(words.entries["nein"], tokens[1])
    assert np.array_equal(words.entries["Straße"], tokens[4])

    tokenizer, body = load_trained_tokenizer(Run(config)), load_body(Run(config))
    places = [0, 2, 3, 5]
    with torch.inference_mode():
        motions = [tokenizer.decode_to_motion([torch.from_numpy(tokens[i])])[0] for i in places]
        points = [{n: v.numpy() for n, v in body.scored_points(m).items()} for m in motions]
    sums = [
        sum(recording_distances([one, other])[0, 1] for other in points if other is not one)
        for one in points
    ]
    best = places[int(np.argmin(sums))]
    assert np.array_equal(words.entries["ja"], tokens[best])
    assert representative([tokens[i] for i in places], tokenizer, body) == places.index(best)

    manifest = json.loads((work / "words.manifest.json").read_text(encoding="utf-8"))
    assert manifest["tokenizer"] == checksum(work / "tokenizer.safetensors")
    assert manifest["recordings"] == 6 and manifest["entries"] == 3 and manifest["merged"] == 0
    assert list(manifest["chosen"]) == ["ja"]


def test_get_motion_code_writes_the_same(work, monkeypatch):
    run(work)
    before = (work / "words.json").read_bytes(), (work / "words.manifest.json").read_bytes()
    for path in work.glob("words*"):
        path.unlink()
    monkeypatch.setattr(sys, "argv", ["get_motion_code", "--cfg", str(work / "run.yaml")])
    tokens_command.main()
    assert before == (
        (work / "words.json").read_bytes(),
        (work / "words.manifest.json").read_bytes(),
    )


def test_a_published_dictionary_is_left_alone(work, monkeypatch):
    sign = {part["name"]: [1] for part in THREE_PARTS}
    (work / "words.json").write_text(json.dumps({"hallo": sign, "ja": sign}))
    before = (work / "words.json").read_bytes()
    with pytest.raises(ValueError, match=r"words\.json was not made here.*--replace_dictionary"):
        run(work)
    monkeypatch.setattr(sys, "argv", ["get_motion_code", "--cfg", str(work / "run.yaml")])
    with pytest.raises(ValueError, match="was not made here"):
        tokens_command.main()
    assert (work / "words.json").read_bytes() == before
    assert not list((work / "TOKENS").rglob("*.npy"))  # said before any clip is encoded

    (work / "published.json").write_bytes(before)
    run(work, "--replace_dictionary", "--merge", str(work / "published.json"))
    words = json.loads((work / "words.json").read_text(encoding="utf-8"))
    assert set(words) == {"hallo", "ja", "nein", "Straße"}
    assert words["hallo"] == sign and words["ja"] != sign
    assert json.loads((work / "words.manifest.json").read_text())["merged"] == 1
    run(work)  # its own it may write over


def files(work):
    return {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}


def test_a_second_tokenizer_writes_over_nothing(work, monkeypatch):
    def tokens(*words):
        arguments = ["get_motion_code", "--cfg", str(work / "run.yaml"), *words]
        monkeypatch.setattr(sys, "argv", arguments)
        tokens_command.main()

    tokens()
    other = small_tokenizer()
    other.mean += 1
    save_safetensors(other, work / "other.safetensors")
    second = f"TRAIN.PRETRAINED_VAE={work}/other.safetensors"
    elsewhere = f"DATASET.CODE_PATH={work}/OTHER"
    before = files(work)
    sums = [checksum(work / f"{name}.safetensors")[:12] for name in ("tokenizer", "other")]
    for write in (lambda: tokens(second, elsewhere), lambda: run(work, second)):
        with pytest.raises(ValueError, match="of another tokenizer") as error:
            write()
        for named in (*sums, str(work / "words.json"), "--replace_dictionary"):
            assert named in str(error.value)
        assert files(work) == before
    tokens()  # its own it refreshes
    tokens(second, elsewhere, "CORPORA.phoenix.dictionary=${DATASET.CODE_PATH}/words.json")
    assert {path: files(work)[path] for path in before} == before
    assert (work / "OTHER" / "words.json").exists() and (work / "OTHER" / "phoenix").is_dir()
    tokens(second, elsewhere, "--replace_dictionary")
    assert json.loads((work / "words.manifest.json").read_text())["tokenizer"] == checksum(
        work / "other.safetensors"
    )


def test_a_trial_run_leaves_the_dictionary_of_a_real_one(work):
    run(work)
    config = load_config(work / "run.yaml")
    tokenizer, before = load_trained_tokenizer(Run(config)), (work / "words.json").read_bytes()
    config.DEBUG = True
    assert write_dictionaries(Run(config), tokenizer) == []
    assert (work / "words.json").read_bytes() == before
    config.CORPORA.phoenix.dictionary = str(work / "trial.json")
    assert write_dictionaries(Run(config), tokenizer) == [work / "trial.json"]
    assert write_dictionaries(Run(config), tokenizer) == [work / "trial.json"]
    config.DEBUG = False
    assert write_dictionaries(Run(config), tokenizer) == [work / "trial.json"]


def test_a_dictionary_of_another_tokenizer_is_not_used(work):
    run(work)
    config = load_config(work / "run.yaml")
    prompts = prompt_builder(Run(config))
    assert [k.word for k in prompts.search("Ja, die Strasse!", "phoenix").keywords] == [
        "ja",
        "Straße",
    ]
    other = small_tokenizer()
    other.mean += 1
    save_safetensors(other, work / "other.safetensors")
    config.TRAIN.PRETRAINED_VAE = str(work / "other.safetensors")
    with pytest.raises(ValueError, match="a dictionary of another tokenizer"):
        prompt_builder(Run(config))
    with pytest.raises(ValueError, match="a dictionary of another tokenizer"):
        write_dictionaries(Run(config), other, merge=[work / "words.json"])


def test_without_isolated_signs_it_says_so(work):
    with pytest.raises(ValueError, match=r"CORPORA\.<name>\.signs"):
        run(work, "CORPORA.phoenix.signs=null")
