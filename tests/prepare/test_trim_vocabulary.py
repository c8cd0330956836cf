"""A full mBART is cut to the texts; what it computes for them stays the same."""

import pickle
from pathlib import Path

import pytest
import torch
from transformers import MBartConfig, MBartForConditionalGeneration, MBartModel

from soke.assemble.cut_vocabulary import choose, count_pieces, read_texts, trim
from soke.cli.trim_vocabulary import main
from soke.generator import Vocabulary
from soke.generator.mbart.text_tokenizer import open_pieces
from soke.generator.vocabulary import UNK
from soke.parts import PartTable
from tests.generator.mbart import (
    CODES,
    full_mbart,
    mbart_ids,
    processor,
    settings,
    tokenizer_json,
)
from tests.helpers import THREE_PARTS

ROOT = Path(__file__).parents[2]
PARTS = PartTable.from_rows(THREE_PARTS)
TEXTS = ["the quick fox", "the oﬃce dog", "schöne grüße", "今天天气"]


@pytest.mark.parametrize("weights", ["safetensors", "shards", "bin"])
@pytest.mark.parametrize("kind", ["cc25", "mbart50"])
@torch.no_grad()
def test_the_encoder_gives_the_same_states(tmp_path, kind, weights):
    full_mbart(tmp_path / "full", kind, weights)
    full = MBartModel.from_pretrained(tmp_path / "full").eval()
    languages = ["en_XX", "de_DE", *(["sl_SI"] if kind == "mbart50" else [])]
    trim(tmp_path / "full", tmp_path / "cut", TEXTS, languages)
    cut, report = MBartModel.from_pretrained(tmp_path / "cut", output_loading_info=True)
    assert not report["missing_keys"] and not report["mismatched_keys"], report
    cut.eval()
    vocabulary = Vocabulary(tmp_path / "cut", PARTS, languages, [])
    assert vocabulary.text_size == cut.config.vocab_size < full.config.vocab_size
    first = len(processor()) + 1
    for text in TEXTS:
        code = CODES[kind].index(languages[-1])
        before = torch.tensor([[*mbart_ids(text), 2, first + code]])
        after = torch.tensor(
            [[*vocabulary.encode_text(text), 2, vocabulary.text_languages[languages[-1]]]]
        )
        assert UNK not in after
        one, other = full.encoder(input_ids=before), cut.encoder(input_ids=after)
        assert torch.equal(one.last_hidden_state, other.last_hidden_state)


@torch.no_grad()
def test_heads_and_bias_are_cut_alike(tmp_path):
    theirs = full_mbart(tmp_path / "full", tied=False)
    kept = trim(tmp_path / "full", tmp_path / "cut", TEXTS, ["en_XX"])
    cut, report = MBartForConditionalGeneration.from_pretrained(
        tmp_path / "cut", output_loading_info=True
    )
    assert not any(report.values()), report
    index = torch.tensor(kept.ids)
    assert torch.equal(cut.final_logits_bias, theirs.final_logits_bias[:, index])
    assert torch.equal(cut.lm_head.weight, theirs.lm_head.weight[index])
    before, after = index[None, 4:12], torch.arange(4, 12)[None]
    one = theirs.eval()(input_ids=before, decoder_input_ids=before).logits[..., index]
    other = cut.eval()(input_ids=after, decoder_input_ids=after).logits
    torch.testing.assert_close(other, one)


def test_what_is_kept(tmp_path, caplog):
    full_mbart(tmp_path / "full")
    caplog.set_level("INFO")
    kept = trim(tmp_path / "full", tmp_path / "cut", TEXTS, ["de_DE", "en_XX"])
    model, first = processor(), len(processor()) + 1
    occurring = {i for text in TEXTS for i in mbart_ids(text)}
    letters = {letter for i in occurring for letter in model.id_to_piece(i - 1)}
    single = {model.piece_to_id(letter) + 1 for letter in letters}
    specials, codes = [0, 1, 2, 3], [first + 2, first + 3, first + 25]
    assert set(kept.ids) == {*specials, *occurring, *single, *codes}
    assert kept.ids[:4] == (0, 1, 2, 3) and kept.ids[-3:] == tuple(codes)
    assert kept.tokens == kept.whole == sum(len(mbart_ids(text)) for text in TEXTS)
    assert pickle.loads((tmp_path / "cut" / "map_ids.pkl").read_bytes()) == kept.rows
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {
        "config.json",
        "map_ids.pkl",
        "model.safetensors",
        "sentencepiece.bpe.model",
    }
    assert f"kept {kept.pieces} of {len(model) - 3} pieces" in caplog.text
    assert f"{kept.tokens} tokens in the texts: 100.00 % are kept pieces" in caplog.text
    config = MBartConfig.from_json_file(tmp_path / "cut" / "config.json")
    assert (config.pad_token_id, config.eos_token_id, config.vocab_size) == (1, 2, len(kept.ids))


def test_rare_pieces_are_written_with_their_letters(tmp_path):
    full_mbart(tmp_path / "full")
    texts = [*TEXTS, *["the dog"] * 20]
    kept = trim(tmp_path / "full", tmp_path / "cut", texts, ["en_XX"], minimum=10)
    every = trim(tmp_path / "full", tmp_path / "every", texts, ["en_XX"])
    assert kept.pieces < every.pieces and kept.whole < kept.tokens
    vocabulary = Vocabulary(tmp_path / "cut", PARTS, ["en_XX"], [])
    model = processor()
    written = {row: model.id_to_piece(i - 1) for i, row in kept.rows.items() if 3 < i <= len(model)}
    for text in texts:
        rows = vocabulary.encode_text(text)
        assert UNK not in rows
        normal = "".join(model.encode(text, out_type=str))
        assert "".join(written[row] for row in rows) == normal
    assert vocabulary.encode_text("the dog") == [kept.rows[i] for i in mbart_ids("the dog")]


def test_counts_are_of_the_template_where_a_piece_is_most_frequent(tmp_path):
    full_mbart(tmp_path / "full")
    pieces = open_pieces(tmp_path / "full", 0)
    slot = "<Caption_Placeholder>"
    counts = count_pieces(pieces, ["the dog", "the dog", "fox"], [slot, f"sign this: {slot}"])
    (the,) = {i for i in mbart_ids("the") if processor().id_to_piece(i - 1).startswith("▁t")} or {0}
    assert counts[the] == max(
        2 * mbart_ids("the dog").count(the) + mbart_ids("fox").count(the),
        2 * mbart_ids("sign this: the dog").count(the) + mbart_ids("sign this: fox").count(the),
    )
    kept = choose(pieces, counts, ["en_XX"])
    assert set(mbart_ids("sign this: fox")) <= set(kept.ids)


def test_a_tokenizer_json_serves_too(tmp_path):
    full_mbart(tmp_path / "full", "mbart50")
    trim(tmp_path / "full", tmp_path / "one", TEXTS, ["pl_PL"])
    (tmp_path / "full" / "sentencepiece.bpe.model").unlink()
    (tmp_path / "full" / "tokenizer.json").write_text(tokenizer_json("mbart50"), encoding="utf-8")
    trim(tmp_path / "full", tmp_path / "other", TEXTS, ["pl_PL"])
    names = ("map_ids.pkl", "model.safetensors", "config.json")
    for name in names:
        one, other = ((tmp_path / which / name).read_bytes() for which in ("one", "other"))
        assert one == other, name
    assert (tmp_path / "other" / "tokenizer.json").exists()
    one, other = (Vocabulary(tmp_path / w, PARTS, ["pl_PL"], []) for w in ("one", "other"))
    assert one.mask_row == other.mask_row and one.text_languages == other.text_languages
    assert [one.encode_text(t) for t in TEXTS] == [other.encode_text(t) for t in TEXTS]


def test_nothing_half_done_is_left(tmp_path):
    full_mbart(tmp_path / "full")
    full, out = tmp_path / "full", tmp_path / "cut"

    def refused(message, *arguments):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            trim(*arguments)
        assert {path.name for path in tmp_path.iterdir()} - {"taken"} == {"full"}

    (tmp_path / "taken").mkdir()
    refused("taken exists and is left alone", full, tmp_path / "taken", TEXTS, ["en_XX"])
    refused("The full mBART not found", tmp_path / "none", out, TEXTS, ["en_XX"])
    refused("there are no texts.*--texts", full, out, ["", " "], ["en_XX"])
    refused("no language code 'pl_PL'; it has", full, out, TEXTS, ["pl_PL"])
    config = MBartConfig.from_json_file(full / "config.json")
    settings(full, vocab_size=config.vocab_size - 1)
    refused(
        r"embedding has 142 rows but config.json says vocab_size 141", full, out, TEXTS, ["en_XX"]
    )
    settings(full, vocab_size=config.vocab_size + 90)
    refused("the files are not of the same mBART", full, out, TEXTS, ["en_XX"])
    settings(full, vocab_size=config.vocab_size, tokenizer_class="MBart50Tokenizer")
    refused("142 rows but 169 ids are in use", full, out, TEXTS, ["en_XX"])
    (full / "map_ids.pkl").write_bytes(pickle.dumps({0: 0}))
    refused("cut already", full, out, TEXTS, ["en_XX"])


def test_text_files_are_read_line_by_line(tmp_path):
    (tmp_path / "a.txt").write_text("今天天气\nschöne grüße\n", encoding="utf-8")
    assert read_texts([tmp_path / "a.txt"]) == ["今天天气", "schöne grüße"]
    (tmp_path / "b.txt").write_bytes("schöne".encode("latin-1"))
    with pytest.raises(ValueError, match=r"b\.txt is not UTF-8"):
        read_texts([tmp_path / "b.txt"])
    with pytest.raises(FileNotFoundError, match="Correct --texts"):
        read_texts([tmp_path / "c.txt"])


def test_the_command(tmp_path, caplog):
    full_mbart(tmp_path / "full")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    # The data sets are not there: the texts are those of the file, and the prompts.
    rows = "".join(
        f"  {name}: {{root: {tmp_path}/none}}\n" for name in ("how2sign", "csl", "phoenix")
    )
    (tmp_path / "run.yaml").write_text(
        f"BASES: [{ROOT}/configs/soke.yaml]\nCORPORA:\n{rows}"
        f"model: {{generator: {{folder: {tmp_path}/deep/cut}}}}\n"
    )
    cfg, source = ["--cfg", str(tmp_path / "run.yaml")], ["--source", str(tmp_path / "full")]
    texts = ["--texts", str(tmp_path / "texts.txt")]
    with pytest.raises(ValueError, match="there are no texts"):
        main([*cfg, *source])
    caplog.set_level("INFO")
    main([*cfg, *source, *texts])
    assert "100.00 % are kept pieces" in caplog.text
    vocabulary = Vocabulary(tmp_path / "deep" / "cut", PARTS, ["en_XX", "de_DE", "zh_CN"], [])
    for text in [*TEXTS, " Key word 1, ", "Sign this sentence: "]:
        assert vocabulary.encode_text(text).count(UNK) == mbart_ids(text).count(UNK)
    with pytest.raises(ValueError, match="exists and is left alone"):
        main([*cfg, *source, *texts])
