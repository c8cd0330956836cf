import json
import pickle

import pytest
import sentencepiece
import torch
from transformers import MBart50Tokenizer, MBartTokenizer

from soke.assemble.new_mbart import kept_ids
from soke.generator import Vocabulary
from soke.generator.vocabulary import BOS, EOS, PAD, UNK
from soke.parts import PartTable
from tests.generator.mbart import CODES, mbart_ids, pieces_model, processor, tokenizer_json
from tests.helpers import THREE_PARTS, mbart_folder

PARTS = PartTable.from_rows(THREE_PARTS)
SIGN_LANGUAGES = ["en_ASL", "zh_CSL", "de_DGS"]
LIGATURES = "the ﬁne oﬃce"
READ = [
    "the fox",
    "schöne grüße aus köln",
    "今天天气很好，你好！",
    "  1,\t2 \u3000 3, ",
    LIGATURES,
    "ｆｉｎｅ Ⅳ ½ ①",
    "</s> en_XX <mask>",
    "",
    "   ",
]


def build(folder, **options):
    return Vocabulary(folder, PARTS, ["en_XX", "de_DE"], SIGN_LANGUAGES, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mbart_folder(tmp_path_factory.mktemp("mbart"))


@pytest.fixture(scope="module")
def vocabulary(folder):
    return build(folder)


def write(folder, files="sentencepiece", kind="cc25", dropped=(), codes=("en_XX", "de_DE"), mask=1):
    """A folder with the pieces of a full mBART; returns its mBART id -> row."""
    folder.mkdir(parents=True, exist_ok=True)
    if files == "sentencepiece":
        (folder / "sentencepiece.bpe.model").write_bytes(pieces_model())
    else:
        (folder / "tokenizer.json").write_text(tokenizer_json(kind), encoding="utf-8")
    first = len(processor()) + 1
    ids = [i for i in range(first) if i not in dropped]
    ids += [first + CODES[kind].index(code) for code in codes]
    ids += [first + len(CODES[kind])] * mask
    rows = {index: row for row, index in enumerate(ids)}
    (folder / "map_ids.pkl").write_bytes(pickle.dumps(rows))
    return rows


@pytest.mark.parametrize("files", ["sentencepiece", "tokenizer"])
@pytest.mark.parametrize("text", READ)
def test_ids_are_those_of_the_sentencepiece_library(tmp_path, files, text):
    rows = write(tmp_path, files)
    assert build(tmp_path).encode_text(text) == [rows[i] for i in mbart_ids(text)]


@pytest.mark.parametrize("kind", ["cc25", "mbart50"])
def test_ids_are_those_of_transformers_where_it_is_right(tmp_path, kind):
    codes = ("en_XX", "de_DE", "zh_CN", *(["af_ZA", "sl_SI"] if kind == "mbart50" else []))
    rows = write(tmp_path, kind=kind, codes=codes)
    theirs = {"cc25": MBartTokenizer, "mbart50": MBart50Tokenizer}[kind].from_pretrained(tmp_path)
    ours = Vocabulary(tmp_path, PARTS, codes, SIGN_LANGUAGES)
    for text in ("the fox", "schöne grüße aus köln", "今天天气很好"):
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode_text(text) == [rows[i] for i in ids]
    for code in codes:
        assert ours.text_languages[code] == rows[theirs.convert_tokens_to_ids(code)]
    assert ours.mask_row == rows[theirs.mask_token_id]
    if kind == "cc25":  # its own reading loses the normalisation, so it is no reference for this
        assert 3 in theirs(LIGATURES)["input_ids"] and UNK not in ours.encode_text(LIGATURES)


def test_both_files_number_alike_and_sentencepiece_is_preferred(tmp_path):
    write(tmp_path, "tokenizer", "mbart50", codes=["en_XX", "pl_PL"])
    alone = Vocabulary(tmp_path, PARTS, ["en_XX", "pl_PL"], [])
    write(tmp_path, "sentencepiece", "mbart50", codes=["en_XX", "pl_PL"])
    (tmp_path / "tokenizer.json").write_text("damaged")
    both = Vocabulary(tmp_path, PARTS, ["en_XX", "pl_PL"], [])
    assert alone.text_languages == both.text_languages and alone.mask_row == both.mask_row
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"sentencepiece\.bpe\.model cannot be read"):
        build(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").unlink()
    with pytest.raises(ValueError, match=r"tokenizer\.json is not JSON"):
        build(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"text pieces.*soke vocabulary"):
        build(tmp_path)


def test_a_tokenizer_without_normalisation_is_warned_of(tmp_path, caplog):
    write(tmp_path, "tokenizer")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    build(tmp_path)
    assert "does not normalise" in caplog.text
    content["model"]["vocab"][1][0] = "<padding>"
    content["added_tokens"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"is not of an mBART.*\[0, None, 2, 3\]"):
        build(tmp_path)


def test_which_mbart_it_is(tmp_path):
    first = len(processor()) + 1
    # The largest id tells: <mask> of mBART-50, or one of its later languages.
    write(tmp_path / "mask", kind="mbart50")
    assert Vocabulary(tmp_path / "mask", PARTS, ["en_XX"], []).mask_row == first + 2
    write(tmp_path / "late", kind="mbart50", codes=["en_XX", "gl_ES"], mask=0)
    late = Vocabulary(tmp_path / "late", PARTS, ["gl_ES"], [])
    assert late.text_languages == {"gl_ES": first + 1} and late.mask_row is None
    # Where neither is there, the folder's class does; without it the id is <mask> of cc25.
    write(tmp_path / "told", kind="mbart50", codes=["en_XX", "af_ZA"], mask=0)
    assert Vocabulary(tmp_path / "told", PARTS, ["en_XX"], []).mask_row == first + 1
    (tmp_path / "told" / "config.json").write_text('{"tokenizer_class": "MBart50TokenizerFast"}')
    told = Vocabulary(tmp_path / "told", PARTS, ["af_ZA"], [])
    assert told.text_languages == {"af_ZA": first + 1} and told.mask_row is None
    write(tmp_path / "cc25")
    with pytest.raises(ValueError, match=r"no language token 'af_ZA'; it has \['de_DE', 'en_XX'\]"):
        Vocabulary(tmp_path / "cc25", PARTS, ["af_ZA"], [])


def test_a_small_mbart_may_have_any_language(tmp_path):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(pieces_model())
    for languages in (["en_XX", "it_IT"], ["en_XX", "pl_PL"]):
        rows = kept_ids(len(processor()), languages)
        (tmp_path / "map_ids.pkl").write_bytes(pickle.dumps(rows))
        vocabulary = Vocabulary(tmp_path, PARTS, languages, [])
        size = len(processor()) + 1
        assert list(vocabulary.text_languages.values()) == [size, size + 1]
        assert vocabulary.mask_row == size + 2 == vocabulary.text_size - 1
    with pytest.raises(ValueError, match="no language code 'xx_YY'; it has"):
        kept_ids(20, ["xx_YY"])


def test_pieces_that_were_cut_away_are_written_with_what_was_kept(tmp_path):
    model = processor()
    long = max((model.encode(t, out_type=str) for t in ("the fox", "office")), key=len)
    piece = max(model.encode("the quick office", out_type=str), key=len)
    assert len(piece) > 2 and long, "the model needs a piece of several letters"
    index = model.piece_to_id(piece) + 1
    rows = write(tmp_path / "a", dropped=[index])
    got = build(tmp_path / "a").encode_text(piece.replace("▁", " "))
    pieces = {row: model.id_to_piece(i - 1) for i, row in rows.items() if 3 < i <= len(model)}
    assert len(got) > 1 and "".join(pieces[row] for row in got) == piece
    # The longest first piece that there is.
    first = max((p for p in pieces.values() if piece.startswith(p)), key=len)
    assert pieces[got[0]] == first
    # Without its letters it is one unknown.
    letters = [i for i in range(4, len(model) + 1) if set(model.id_to_piece(i - 1)) & set(piece)]
    write(tmp_path / "b", dropped=letters)
    assert build(tmp_path / "b").encode_text(piece.replace("▁", " ")) == [UNK]


def test_unknown_letters_become_unk(vocabulary):
    assert UNK in vocabulary.encode_text("the ☃ fox")


@pytest.mark.parametrize("files", ["sentencepiece", "tokenizer"])
def test_odd_texts_give_rows_of_the_table(tmp_path, files):
    write(tmp_path, files)
    vocabulary = build(tmp_path)
    for text in (
        "x" * 10_000,
        "😀" * 50,
        "a\0b\x07\x1b[1m",
        "half \ud83d a pair",
        "שלום the 今天",
        "\U0010ffff0",
    ):
        rows = vocabulary.encode_text(text)
        assert rows and all(3 <= row < vocabulary.text_size for row in rows)


def test_rows_do_not_collide(vocabulary):
    sizes = [part.codebook_size for part in vocabulary.parts]
    assert vocabulary.size == vocabulary.text_size + 3 + sum(size + 3 for size in sizes)
    codes = [set(range(o, o + n)) for o, n in zip(vocabulary.part_offsets, sizes)]
    shared = set(vocabulary.shared_head_rows())
    assert not codes[0] & codes[1] and not codes[1] & codes[2]
    assert not shared & set().union(*codes)
    assert {BOS, PAD, EOS, UNK} <= shared and vocabulary.mask_row in shared
    assert max(codes[2]) < vocabulary.size
    assert vocabulary.describe_rows().endswith("text + 3 language + 19 body + 11 lhand + 15 rhand")


def test_motion_rows_and_heads_agree(vocabulary):
    tokens = torch.tensor([[0, 0, 0], [15, 7, 11]])
    rows = vocabulary.motion_rows(tokens)
    for p, head in enumerate(vocabulary.head_rows()):
        assert torch.equal(head[tokens[:, p]], rows[:, p])
        assert head[vocabulary.parts[p].codebook_size + EOS] == EOS


def test_motion_rows_go_back_to_tokens(vocabulary):
    sizes = [part.codebook_size for part in vocabulary.parts]
    tokens = torch.stack([torch.randint(0, size, (4, 7)) for size in sizes], dim=-1)
    rows = vocabulary.motion_rows(tokens)
    assert torch.equal(vocabulary.motion_tokens(rows), tokens)
    # No row is the code of two parts, and what is no code of any part is none of this one.
    every = torch.arange(vocabulary.size)[:, None].expand(-1, 3)
    found = vocabulary.motion_tokens(every)
    for row in range(vocabulary.size):
        for p, (offset, size) in enumerate(zip(vocabulary.part_offsets, sizes)):
            expected = row - offset if offset <= row < offset + size else -1
            assert found[row, p] == expected


def test_text_rows_look_ids_up(tmp_path):
    dropped = [9, 11]
    rows = write(tmp_path, dropped=dropped)
    found = build(tmp_path).text_rows(torch.tensor([[0, 9, 11], [5, 10, 12]]))
    assert found.tolist() == [[0, UNK, UNK], [rows[5], rows[10], rows[12]]]


def test_part_languages(folder, vocabulary):
    own = build(folder, part_languages=True)
    n = own.text_size
    assert own.sign_languages == vocabulary.sign_languages
    assert own.part_language_rows == {
        "en_ASL": [n, n + 3, n + 6],
        "zh_CSL": [n + 1, n + 4, n + 7],
        "de_DGS": [n + 2, n + 5, n + 8],
    }
    assert own.part_offsets[0] == n + 9 and own.size == vocabulary.size + 6
    assert {*range(n, n + 9)} <= set(own.shared_head_rows())
    assert own.shared_head_rows()[: len(vocabulary.shared_head_rows())] == (
        vocabulary.shared_head_rows()
    )
    chosen = torch.tensor([own.sign_languages["de_DGS"], own.sign_languages["en_ASL"]])
    assert own.language_rows(chosen).tolist() == [[n + 2, n + 5, n + 8], [n, n + 3, n + 6]]
    assert vocabulary.language_rows(chosen).tolist() == [[n + 2] * 3, [n] * 3]
    assert vocabulary.part_language_rows["zh_CSL"] == [n + 1] * 3
    heads = [head.tolist() for head in own.head_rows()]
    assert all(len(set(head)) == len(head) for head in heads)


def test_look_ups_follow_the_device_and_survive_copies(folder):
    vocabulary = build(folder)
    tokens = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    assert vocabulary.motion_rows(tokens).device.type == "meta"
    assert vocabulary.language_rows(tokens[:, 0]).shape == (2, 3)
    held = vocabulary._tensors.on(tokens.device)
    assert vocabulary._tensors.on(torch.zeros(1, device="meta").device) is held
    copy = pickle.loads(pickle.dumps(vocabulary))  # as for a worker that loads data
    assert copy.encode_text(READ[1]) == vocabulary.encode_text(READ[1])
    ours = torch.ones(2, 3, dtype=torch.int64)
    assert torch.equal(copy.motion_rows(ours), vocabulary.motion_rows(ours))
    assert "meta" not in str(copy.__dict__["_tensors"].__dict__)


def test_look_ups_made_in_inference_serve_in_training(folder):
    vocabulary = build(folder)
    language = torch.tensor([vocabulary.sign_languages["en_ASL"]])
    with torch.inference_mode():
        vocabulary.language_rows(language)
    table = torch.randn(vocabulary.size, 4, requires_grad=True)
    offsets = vocabulary._tensors.on(language.device)["offsets"]
    table[offsets].sum().backward()  # saves the rows for the way back
    assert table.grad.sum() == 12


def test_missing_things_are_named(folder, vocabulary, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"soke small-mbart"):
        Vocabulary(tmp_path / "none", vocabulary.parts, ["en_XX"], ["en_ASL"])
    with pytest.raises(ValueError, match=r"no language token 'fr_XX'; it has \['de_DE', 'en_XX'"):
        Vocabulary(folder, vocabulary.parts, ["fr_XX"], ["en_ASL"])
    (tmp_path / "sentencepiece.bpe.model").write_bytes(pieces_model())
    with pytest.raises(FileNotFoundError, match=r"table of kept pieces.*soke vocabulary"):
        Vocabulary(tmp_path, vocabulary.parts, ["en_XX"], ["en_ASL"])


SPECIALS = {0: 0, 1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([0, 1, 2, 3], "it holds <class 'list'>"),
        ({}, "it holds nothing"),
        ({**SPECIALS, "4": 4}, "it has '4': 4"),
        ({**SPECIALS, 4: 4.0}, "it has 4: 4.0"),
        ({**SPECIALS, 4: True}, "it has 4: True"),
        ({**SPECIALS, 4: -1}, "it has 4: -1"),
        ({**SPECIALS, -4: 4}, "it has -4: 4"),
        ({**SPECIALS, 4: 4, 7: 4}, "the ids 4 and 7 both have the row 4"),
        ({**SPECIALS, 4: 4, 7: 6}, "of its 6 rows none is 5, but one is 6"),
        ({0: 0, 1: 1, 3: 2, 4: 3}, r"</s> \(id 2\) must have the row 2, it has None"),
        ({0: 1, 1: 0, 2: 2, 3: 3}, r"<s> \(id 0\) must have the row 0, it has 1"),
        ({**SPECIALS, 10**12: 4}, "the id 1000000000000 is in use"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, content, message):
    (tmp_path / "sentencepiece.bpe.model").write_bytes(pieces_model())
    (tmp_path / "map_ids.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        build(tmp_path)


def test_tables_of_numpy_numbers_and_hostile_ones(tmp_path):
    import numpy as np

    rows = write(tmp_path)
    as_numpy = {np.int64(index): np.int32(row) for index, row in rows.items()}
    (tmp_path / "map_ids.pkl").write_bytes(pickle.dumps(as_numpy))
    assert build(tmp_path).text_size == len(rows)
    (tmp_path / "map_ids.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match="not a file that SOKE reads"):
        build(tmp_path)


def test_the_demo_folder_agrees_with_sentencepiece_too(folder, vocabulary):
    pieces = sentencepiece.SentencePieceProcessor(
        model_file=str(folder / "sentencepiece.bpe.model")
    )
    rows = pickle.loads((folder / "map_ids.pkl").read_bytes())
    for text in ("the fox", "schöne grüße aus köln", "今天天气", "1, 2"):
        expected = [rows[i + 1] for i in pieces.encode(text)]
        assert vocabulary.encode_text(text) == expected and UNK not in expected
