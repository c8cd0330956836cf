"""A sign language that the code has never heard of: one more row of CORPORA, and nothing else.

Real recordings stand in for its clips. Every step is the one that a researcher would run, from a
table of clips to generated motion.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from soke.assemble.data import read_clips
from soke.assemble.models import load_trained_tokenizer
from soke.assemble.modules import generator_module, tokenizer_module
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.assemble.training_data import pose_data, token_data
from soke.cli import pack, small_mbart, statistics, tokens
from soke.config import ConfigError, load_config
from soke.data import load_motion, read_annotations
from soke.data.corpora import corpus_of_language
from soke.structures import TokenSample
from tests.data.conftest import as_library, demo_corpora, write_arrays, write_table

ROOT = Path(__file__).parents[1]
WORDS = ("ciao", "perché", "mare", "sole", "luna", "così", "grazie", "città", "acqua", "notte")

#: All that a user writes about Italian Sign Language.
ROW = """
CORPORA:
  italian:
    layout: table
    root: {work}/italian
    text_language: it_IT
    sign_language: it_LIS
    keyword_prompt: " Parola chiave {{i}}, "
    language: it
    signs: signs.json
    dictionary: {work}/italian/word2code.json
"""
#: The rest of the run: where things lie, and that it is small.
RUN = """
BASES: [{root}/configs/default.yaml]
DEBUG: false
ACCELERATOR: cpu
OUTPUT: {{EXPERIMENTS: {work}/experiments}}
TRAIN: {{NUM_WORKERS: 0, BATCH_SIZE: 4, PRETRAINED_VAE: {work}/tokenizer.ckpt}}
EVAL: {{NUM_WORKERS: 0}}
TEST: {{NUM_WORKERS: 0}}
DATASET:
  PACKED: {work}/packed
  H2S: {{DATASET_NAME: how2sign_italian, ROOT: {work}/how2sign, STD_FLOOR: 0.2,
        MEAN_PATH: {work}/mean.pt, STD_PATH: {work}/std.pt}}
RETRIEVAL: {{MAX_TOKENS: 4}}
model:
  tokenizer: {{params: {{width: 16, code_dim: 8}}}}
  generator: {{folder: {work}/mbart, pretrained: false,
              decoding: {{params: {{max_steps: 12, min_steps: 2}}}}}}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A corpus of the benchmark's layout, and an Italian table of clips beside it."""
    demo, work = demo_corpora(tmp_path_factory), tmp_path_factory.mktemp("fourth")
    (work / "how2sign").mkdir()
    for path in (demo / "How2Sign").iterdir():
        (work / "how2sign" / path.name).symlink_to(path)
    (work / "dictionary.json").write_text("{}")
    clips = [
        clip
        for split in ("train", "val", "test")
        for clip in read_annotations("phoenix", demo / "Phoenix_2014T", split)[0]
    ]
    rows = []
    for i, word in enumerate(WORDS):
        frames, name = load_motion(clips[i]), f"clip-{i}"
        write_arrays(work / "italian" / "poses" / f"{name}.npz", as_library(frames))
        split = {8: "val", 9: "test"}.get(i, "train")
        rows.append((name, f"{word} {WORDS[i - 1]}", "it", split, 25))
    write_table(work / "italian" / "clips.csv", rows)
    signs = [
        {"name": f"sign-{i}", "label": word, "start": 4, "end": 30, "video_file": f"clip-{i}"}
        for i, word in enumerate(WORDS[:4])
    ]
    (work / "italian" / "signs.json").write_text(json.dumps(signs), encoding="utf-8")
    text = RUN.format(root=ROOT, work=work) + ROW.format(work=work)
    text += f"  how2sign: {{dictionary: {work}/dictionary.json}}\n"
    (work / "config.yaml").write_text(text, encoding="utf-8")
    return work


def run(verb, work, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [verb.__name__, "--cfg", str(work / "config.yaml"), *words])
        verb.main()


@pytest.fixture(scope="module")
def config(work):
    """The configuration, after what is run before a generator can be trained."""
    run(pack, work)
    run(statistics, work)
    config = load_config(work / "config.yaml")
    tokenizer = tokenizer_module(Run(config)).tokenizer.train()
    data = pose_data(Run(config), tokenizer)
    for batch in data.train_dataloader():
        tokenizer(batch.motion, batch.mask)  # codebooks begin with the first batch
        break
    state = {f"tokenizer.{key}": value for key, value in tokenizer.state_dict().items()}
    torch.save(
        {"state_dict": state, "soke": {"tokenizer": tokenizer.description()}},
        config.TRAIN.PRETRAINED_VAE,
    )
    run(small_mbart, work, "--d_model", "32", "--layers", "1", "--ffn", "32", "--dropout", "0")
    run(tokens, work)
    return config


@pytest.fixture(scope="module")
def prompts(config):
    return prompt_builder(Run(config))


def test_its_clips_come_beside_those_of_the_others(config, work):
    for split, count in (("train", 8), ("val", 1), ("test", 1)):
        clips = read_clips(Run(config), split)
        own = [clip for clip in clips if clip.corpus == "italian"]
        assert len(own) == count and {clip.corpus for clip in clips} == {"how2sign", "italian"}
        for clip in own:
            with np.load(work / "italian" / "poses" / f"{clip.name}.npz") as file:
                np.testing.assert_array_equal(load_motion(clip)[:, 3:66], file["body_pose"])
    assert {summary.source for summary in clips.summaries} == {"packed store"}
    batches = list(pose_data(Run(config), load_trained_tokenizer(Run(config))).val_dataloader())
    assert {corpus for batch in batches for corpus in batch.corpora} == {"how2sign", "italian"}


def test_its_tokens_and_words_are_in_the_vocabulary(config, prompts):
    vocabulary = prompts.vocabulary
    assert set(vocabulary.text_languages) == {"en_XX", "it_IT"}
    assert list(vocabulary.sign_languages) == ["en_ASL", "zh_CSL", "de_DGS", "it_LIS"]
    rows = vocabulary.encode_text("perché così, città")
    assert vocabulary.rows and 3 not in rows  # no letter is unknown
    assert 3 in vocabulary.encode_text("ŵ")
    chosen = list(Run(config).corpora.values())
    assert corpus_of_language("it", chosen).name == "italian"


def test_its_signs_are_retrieved_into_the_prompt(config, prompts, work):
    words = json.loads((work / "italian" / "word2code.json").read_text(encoding="utf-8"))
    assert set(words) == set(WORDS[:4])
    text = "Perché il mare?"
    batch = prompts([TokenSample("x", "italian", text), TokenSample("y", "how2sign", text)])
    assert batch.keywords == (("perché", "mare"), ())
    vocabulary = prompts.vocabulary
    expected = vocabulary.encode_text(text)
    for i, word in enumerate(("perché", "mare"), start=1):
        columns = [words[word][part.name] for part in vocabulary.parts]
        tokens = np.array(columns).T
        tokens = tokens[np.linspace(0, len(tokens) - 1, 4, dtype=int)]
        expected += vocabulary.encode_text(f" Parola chiave {i}, ")
        expected += vocabulary.motion_rows(torch.from_numpy(tokens)).flatten().tolist()
    expected += [2, vocabulary.text_languages["it_IT"]]
    assert batch.source[0, batch.source_mask[0]].tolist() == expected
    languages = vocabulary.sign_languages
    assert batch.sign_language.tolist() == [languages["it_LIS"], languages["en_ASL"]]


def test_a_generator_learns_it_and_signs_it(config, prompts):
    data, module = token_data(Run(config), prompts), generator_module(Run(config), prompts)
    batch = next(b for b in data.train_dataloader() if "italian" in b.corpora)
    optimizer = torch.optim.AdamW(module.generator.parameters(), lr=5e-3)
    losses = []
    for _ in range(4):
        loss = module.generator.loss(batch)[0].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    module.eval()
    asked = prompts([TokenSample("x", "italian", "ciao mare"), TokenSample("y", "how2sign", "hi")])
    tokens = module.generate_tokens(asked)
    sizes = torch.tensor([part.codebook_size for part in prompts.vocabulary.parts])
    for clip, motion in zip(tokens, module.decode_tokens(tokens)):
        assert 2 <= len(clip) <= 12 and (clip >= 0).all() and (clip < sizes).all()
        assert motion.shape == (4 * len(clip), 133) and motion.isfinite().all()


def test_a_vocabulary_without_it_is_an_error_that_says_what_to_do(config, work):
    other = load_config(work / "config.yaml", ["CORPORA.italian.text_language=fr_XX"])
    with pytest.raises(ValueError, match=r"no language token 'fr_XX'.*'it_IT'.*removed and made"):
        prompt_builder(Run(other))


def test_faults_of_its_row_are_named(work):
    def table(*overrides):
        return Run(load_config(work / "config.yaml", overrides)).corpora

    with pytest.raises(ConfigError, match=r"CORPORA\.italian: unknown key 'signz'.*'signs'"):
        table("CORPORA.italian.signz=x.json")
    with pytest.raises(ValueError, match=r"join any of .*'italian'"):
        table("DATASET.H2S.DATASET_NAME=how2sign_italiano")
    content = (work / "config.yaml").read_text(encoding="utf-8")
    for old, new, message in (
        ("    language: it\n", "", r"CORPORA\.italian lacks \['language'\]"),
        ("  italian:", "  lis_it:", r"must have no underscore: \['lis_it'\]"),
    ):
        path = work / "wrong.yaml"
        path.write_text(content.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            _ = Run(load_config(path)).corpora
    for change, message in (
        ("layout=tabelle", "the layout 'tabelle' is unknown; choose one of"),
        ("language=fr", r"clips\.csv has no text in 'fr'; it has \['it'\]"),
    ):
        changes = ["DATASET.PACKED=null", f"CORPORA.italian.{change}"]
        with pytest.raises(ValueError, match=message):
            read_clips(Run(load_config(work / "config.yaml", changes)), "train")


def test_no_code_knows_its_name():
    for path in [p for room in ("soke", "prepare") for p in (ROOT / room).rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "italian" not in text.lower() and "it_LIS" not in text, path
