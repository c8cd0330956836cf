"""Motion to text: a text decoder reads the tokens of the references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soke.data.token_files import read_tokens, token_path
from soke.evaluation.journal import Record
from soke.evaluation.references import Reference
from soke.evaluation.scorer import translation_columns
from soke.files import require
from soke.parts import PartTable
from soke.training.text_module import TextModule, back_translate

REFERENCES = "references"


@dataclass(frozen=True)
class MotionToText:
    """Reads clips as text and compares it with theirs.

    Args:
        module: the text decoder.
        references: one per clip.
        folder: that of the token files.
        parts: the part table of the tokens.
    """

    module: TextModule
    references: Sequence[Reference]
    folder: Path
    parts: PartTable

    def measure(self, portion: int, places: Sequence[int]) -> Record:
        """Raises `soke.files.MissingAssetError` for a clip without tokens."""
        chosen = [self.references[place] for place in places]
        tokens = []
        for reference in chosen:
            path = token_path(self.folder, reference.corpus, reference.name)
            remedy = "Write them with `python -m get_motion_code` and the same configuration"
            require(path, f"The tokens of {reference.corpus}/{reference.name}", remedy)
            tokens.append(read_tokens(path, self.parts))
        texts = back_translate(self.module, tokens, [reference.corpus for reference in chosen])
        rows = [
            {"corpus": reference.corpus, "name": reference.name, "text": reference.text}
            | translation_columns(text, reference, self.module.corpora)
            for reference, text in zip(chosen, texts)
        ]
        return Record(REFERENCES, 0, portion, rows)
