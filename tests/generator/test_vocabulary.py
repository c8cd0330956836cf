import pickle

import pytest
import sentencepiece
import torch

from soke.generator import Vocabulary
from soke.generator.vocabulary import BOS, EOS, PAD, UNK
from soke.parts import PartTable
from tests.helpers import THREE_PARTS, mbart_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mbart_folder(tmp_path_factory.mktemp("mbart"))


@pytest.fixture(scope="module")
def vocabulary(folder):
    parts = PartTable.from_rows(THREE_PARTS)
    return Vocabulary(folder, parts, ["en_XX", "de_DE"], ["en_ASL", "zh_CSL", "de_DGS"])


@pytest.mark.parametrize("text", ["the fox", "schöne grüße aus köln", "今天天气", "1, 2"])
def test_text_rows_are_sentencepiece_ids_shifted_by_one(folder, vocabulary, text):
    pieces = sentencepiece.SentencePieceProcessor(
        model_file=str(folder / "sentencepiece.bpe.model")
    )
    rows = pickle.loads((folder / "map_ids.pkl").read_bytes())
    expected = [rows[i + 1] for i in pieces.encode(text)]
    assert vocabulary.encode_text(text) == expected and UNK not in expected


def test_unknown_letters_and_trimmed_pieces_become_unk(folder, vocabulary, tmp_path):
    assert UNK in vocabulary.encode_text("the ☃ fox")
    rows = pickle.loads((folder / "map_ids.pkl").read_bytes())
    dropped = next(i for i, row in rows.items() if row == vocabulary.encode_text("x")[-1])
    trimmed = {i: row for i, row in rows.items() if i != dropped}
    for name in ("sentencepiece.bpe.model", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "map_ids.pkl").write_bytes(pickle.dumps(trimmed))
    other = Vocabulary(tmp_path, vocabulary.parts, ["en_XX"], ["en_ASL"])
    assert other.encode_text("x")[-1] == UNK


def test_rows_do_not_collide(vocabulary):
    sizes = [part.codebook_size for part in vocabulary.parts]
    assert vocabulary.size == vocabulary.text_size + 3 + sum(size + 3 for size in sizes)
    codes = [set(range(o, o + n)) for o, n in zip(vocabulary.part_offsets, sizes)]
    shared = set(vocabulary.shared_head_rows())
    assert not codes[0] & codes[1] and not codes[1] & codes[2]
    assert not shared & set().union(*codes)
    assert {BOS, PAD, EOS, UNK} <= shared and vocabulary.mask_row in shared
    assert max(codes[2]) < vocabulary.size


def test_motion_rows_and_heads_agree(vocabulary):
    tokens = torch.tensor([[0, 0, 0], [15, 7, 11]])
    rows = vocabulary.motion_rows(tokens)
    for p, head in enumerate(vocabulary.head_rows()):
        assert torch.equal(head[tokens[:, p]], rows[:, p])
        assert head[vocabulary.parts[p].codebook_size + EOS] == EOS


def test_missing_things_are_named(folder, vocabulary, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"small_mbart"):
        Vocabulary(tmp_path / "none", vocabulary.parts, ["en_XX"], ["en_ASL"])
    with pytest.raises(ValueError, match=r"no language token 'fr_XX'; it has \['de_DE', 'en_XX'"):
        Vocabulary(folder, vocabulary.parts, ["fr_XX"], ["en_ASL"])
