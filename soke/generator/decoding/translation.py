"""From signs to texts: the decoding of `soke.generator.sign_to_text.SignToText`."""

from __future__ import annotations

import unicodedata

import torch
import torch.nn.functional as F
from torch import Tensor

from soke.data.corpora import Corpus
from soke.generator.decoding.beam import BeamSearch
from soke.generator.decoding.loop import Decoding
from soke.generator.decoding.sampling import Sampling
from soke.generator.sign_to_text import SignToText
from soke.generator.vocabulary import EOS
from soke.retrieval import clean
from soke.structures import TokenBatch


def translate(
    model: SignToText,
    batch: TokenBatch,
    max_pieces: int = 100,
    beams: int = 1,
    length_penalty: float = 1.0,
    int8: bool = False,
) -> list[str]:
    """The text of every clip of the batch, each as if it were alone.

    The likeliest piece at each step, or, with several ``beams``, the best text that
    `soke.generator.decoding.beam.BeamSearch` finds. A text ends by ``</s>``, which is not its first
    piece, or after ``max_pieces``. Only pieces of text can be said: no special piece, no language
    token. ``int8`` as in `soke.generator.generate`; it has no use with several beams.

    Raises ``ValueError`` for options out of range and for more pieces than the model has positions.
    """
    if int8 and beams > 1:
        raise ValueError(f"int8 follows one text at a time, not {beams} beams: leave one off")
    if beams == 1:
        run = Decoding(model, batch, max_pieces, 1, Sampling(), int8, heads=PieceHead)
    else:
        run = BeamSearch(model, batch, max_pieces, beams, length_penalty, PieceHead)
    rows = run.heads.rows
    return [model.vocabulary.decode_text(rows[said[:, 0]].tolist()) for said in run.collect()]


def reference_text(text: str, corpus: Corpus) -> str:
    """A text as a perfect translation writes it: cleaned, NFKC, single spaces, the corpus's case.

    SentencePiece brings all that a model reads into this form.
    """
    text = " ".join(unicodedata.normalize("NFKC", clean(text)).split())
    return text.lower() if corpus.lowercase else text


class PieceHead:
    """The head in decoding: the pieces of text, and ``</s>`` behind them, in float32."""

    def __init__(self, model: SignToText) -> None:
        self.model = model
        self.rows = torch.tensor([*model.vocabulary.pieces, EOS], device=model.table.device)
        self.end = len(self.rows) - 1
        ((weight, bias),) = model.heads()
        self.weight = weight[self.rows].float()
        self.bias = bias[self.rows].float()

    def logits(self, states: Tensor, turn: int) -> Tensor:
        """[n, 1, V] from states [n, 1, D]."""
        return F.linear(states, self.weight, self.bias)

    def embed(self, tokens: Tensor, turn: int) -> Tensor:
        """What the decoder reads next [n, 1, D], after tokens [n, 1]."""
        return self.model.embed_target(self.rows[tokens]).float()
