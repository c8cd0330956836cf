"""From motions to a row of numbers per clip: generated clips and baselines by the same code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from soke.body import BodyModel
from soke.data.corpora import Corpus
from soke.evaluation.references import Reference, Signing
from soke.evaluation.stopwatch import Stopwatch
from soke.generator import reference_text
from soke.metrics.diversity import diversity
from soke.metrics.dtw import dtw_jpe, dtw_jpe_matrix
from soke.metrics.generation import generation_errors_of_clips
from soke.metrics.motion_statistics import motion_ratios
from soke.metrics.ranking import ranks
from soke.metrics.sign_reading import SignReader
from soke.metrics.text_scores import translation_statistics
from soke.metrics.token_scores import token_statistics
from soke.parts import FEATURE_SIZE
from soke.retrieval import spell

#: The point set whose DTW error ranks the references.
RANKING_POINTS = "rhand"
#: The point set in which signs are read back.
READING_POINTS = "rhand"

Points = dict[str, np.ndarray]
#: Tokens [S, P] and the names of their corpora to texts.
Translate = Callable[[list[np.ndarray], list[str]], list[str]]


@dataclass(frozen=True)
class Truth:
    """What is known of the references at some places."""

    places: Sequence[int]
    motions: list[Tensor]  # [T, 133] each
    points: list[Points]
    tokens: list[np.ndarray] | None  # [S, P] each


class ClipScorer:
    """Scores motions against the references of their texts.

    Args:
        body: turns motion into points.
        references: all of them.
        motions: reads the reference motions [T, 133] at some places.
        tokens: finds the tokens [S, P] of places and their motions; without it tokens are not
            compared.
        parts: names of the parts, in the order of tokens.
        readers: by corpus, readers of the isolated signs that texts are spelled with.
        gallery: each clip is ranked among this many references and its own; 0: no ranks.
        window: of the warping, see `soke.metrics.dtw`.
        translate: turns tokens and names of corpora into texts, which are compared with those of
            the references.
        corpora: by name, for ``translate``.
    """

    def __init__(
        self,
        body: BodyModel,
        references: Sequence[Reference],
        motions: Callable[[Sequence[int]], list[Tensor]],
        *,
        tokens: Callable[[Sequence[int], list[Tensor]], list[np.ndarray]] | None = None,
        parts: Sequence[str] = (),
        readers: Mapping[str, SignReader] | None = None,
        gallery: int = 0,
        window: float | None = None,
        translate: Translate | None = None,
        corpora: Mapping[str, Corpus] | None = None,
    ) -> None:
        self.body = body
        self.references = list(references)
        self.motions = motions
        self.tokens = tokens
        self.parts = list(parts)
        self.readers = dict(readers or {})
        self.window = window
        self.translate = translate
        self.corpora = dict(corpora or {})
        self.gallery = gallery_places(self.references, gallery)
        self.device = body.betas.device
        self.watch = Stopwatch(self.device)
        self._latest: Truth | None = None

    def truth(self, places: Sequence[int]) -> Truth:
        """Read the references at ``places``; the latest ones are kept for the next system."""
        if self._latest is not None and self._latest.places == places:
            return self._latest
        motions = self.motions(places)
        for place, motion in zip(places, motions):
            self._check(place, motion, "reference")
        tokens = self.tokens(places, motions) if self.tokens else None
        points = [self._points(motion) for motion in motions]
        self._latest = Truth(places, motions, points, tokens)
        return self._latest

    def score(self, truth: Truth, signings: Sequence[Signing]) -> list[dict[str, object]]:
        """One row per clip. Raises ``ValueError`` that names a clip that cannot be scored."""
        for place, signing in zip(truth.places, signings, strict=True):
            self._check(place, signing.motion, "generated")
        with self.watch.measure("body_model"):
            points = [self._points(signing.motion) for signing in signings]
        errors = self._errors(truth, points)
        ranks = self._ranks(truth, points) if self.gallery else [None] * len(points)
        compared = self._compared_tokens(truth, signings)
        translations = self._translations(truth, signings)
        rows = []
        for i, signing in enumerate(signings):
            reference = self.references[truth.places[i]]
            row = {
                "corpus": reference.corpus,
                "name": reference.name,
                "text": reference.text,
                "keywords": " ".join(signing.keywords),
                **errors[i],
                "length_ratio": len(signing.motion) / len(truth.motions[i]),
                **motion_ratios(points[i], truth.points[i]),
                **compared[i],
            }
            if signing.samples:
                row["diversity"] = self._diversity(signing.samples)
            rank = ranks[i]
            if rank is not None:
                row["rank"] = int(rank)
            row |= self._read(reference, points[i])
            translation = translations[i]
            if translation is not None:
                row |= translation_columns(translation, reference, self.corpora)
            rows.append(row)
        return rows

    def _points(self, motion: Tensor) -> Points:
        points = self.body.scored_points(motion.to(self.device), all_joints=True)
        return {name: value.cpu().numpy() for name, value in points.items()}

    def _ranked(self, motion: Tensor) -> np.ndarray:
        return self._points(motion)[RANKING_POINTS]

    def _diversity(self, samples: Sequence[Tensor]) -> float:
        return diversity([self._ranked(motion) for motion in samples], window=self.window)

    def _check(self, place: int, motion: Tensor, side: str) -> None:
        reference = self.references[place]
        where = f"the {side} motion of {reference.corpus}/{reference.name}"
        if motion.ndim != 2 or motion.shape[1] != FEATURE_SIZE or not len(motion):
            raise ValueError(
                f"{where} has shape {list(motion.shape)}; expected at least one frame of "
                f"{FEATURE_SIZE} features"
            )
        if not torch.isfinite(motion).all():
            frame = int((~torch.isfinite(motion)).any(dim=1).nonzero()[0])
            raise ValueError(f"{where} has numbers that are not finite, first in frame {frame}")

    def _errors(self, truth: Truth, points: Sequence[Points]) -> list[dict[str, float]]:
        clips = (self.references[place] for place in truth.places)
        names = [f"{reference.corpus}/{reference.name}" for reference in clips]
        pairs = zip(points, truth.points)
        return list(generation_errors_of_clips(pairs, self.window, names))

    def _compared_tokens(self, truth: Truth, signings: Sequence[Signing]) -> list[dict[str, int]]:
        if truth.tokens is None:
            return [{}] * len(signings)
        references = (self.references[place] for place in truth.places)
        return [
            {} if own.tokens is None else self._token_columns(reference, own.tokens, tokens)
            for reference, own, tokens in zip(references, signings, truth.tokens)
        ]

    def _token_columns(
        self, reference: Reference, tokens: np.ndarray, truth: np.ndarray
    ) -> dict[str, int]:
        for side, found in (("generated", tokens), ("reference", truth)):
            if found.ndim != 2 or found.shape[1] != len(self.parts):
                raise ValueError(
                    f"the {side} tokens of {reference.corpus}/{reference.name} have shape "
                    f"{list(found.shape)}; the part table has {len(self.parts)} parts "
                    f"({', '.join(self.parts)}): use the configuration of the run that made them"
                )
        try:
            return token_statistics(tokens, truth, self.parts)
        except ValueError as error:
            raise ValueError(f"{reference.corpus}/{reference.name}: {error}") from error

    @cached_property
    def _gallery_points(self) -> list[np.ndarray]:
        found = []
        for start in range(0, len(self.gallery), 64):
            found += [self._ranked(m) for m in self.motions(self.gallery[start : start + 64])]
        return found

    def _ranks(self, truth: Truth, points: Sequence[Points]) -> list[int]:
        """Ranks of the clips' own references, as `soke.metrics.ranking.ranks` counts them."""
        queries = [of[RANKING_POINTS] for of in points]
        pairs = zip(queries, truth.points)
        window = self.window
        own = np.array([dtw_jpe(q, right[RANKING_POINTS], window=window) for q, right in pairs])
        distances = dtw_jpe_matrix(queries, self._gallery_points, window=window)  # [Q, R]
        # A clip's own reference may also be in the gallery: count it once.
        distances[np.array(truth.places)[:, None] == np.array(self.gallery)] = np.inf
        last = distances.shape[1]
        return ranks(np.column_stack([distances, own]), np.full(len(own), last)).tolist()

    def _read(self, reference: Reference, points: Points) -> dict[str, object]:
        """Signs read back from the motion, where the text is spelled with signs."""
        reader = self.readers.get(reference.corpus)
        if reader is None:
            return {}
        spelled = spell(reference.text.lower(), set(reader.labels))
        if spelled is None:
            return {}
        read = reader.read(points[READING_POINTS])
        return {
            "read": " ".join(read),
            "truth": " ".join(spelled),
            "edits": Levenshtein.distance(read, spelled),
            "letters": len(spelled),
        }

    def _translations(self, truth: Truth, signings: Sequence[Signing]) -> list[str | None]:
        texts: list[str | None] = [None] * len(signings)
        known = {i: s.tokens for i, s in enumerate(signings) if s.tokens is not None}
        if self.translate is not None and known:
            clips = [self.references[truth.places[i]] for i in known]
            try:
                found = self.translate(list(known.values()), [clip.corpus for clip in clips])
            except ValueError as error:
                names = ", ".join(f"{clip.corpus}/{clip.name}" for clip in clips)
                raise ValueError(f"one of {names} cannot be read: {error}") from error
            for i, text in zip(known, found, strict=True):
                texts[i] = text
        return texts


def translation_columns(
    translation: str, reference: Reference, corpora: Mapping[str, Corpus]
) -> dict[str, object]:
    """A text read from signs, compared with the reference's."""
    corpus = corpora[reference.corpus]
    truth = reference_text(reference.text, corpus)
    return {
        "translation": translation,
        **translation_statistics(translation, truth, corpus.language),
    }


def gallery_places(references: Sequence[Reference], count: int) -> list[int]:
    """Places of ``count`` references, chosen by a hash of their names: alike for every system."""

    def code(place: int) -> str:
        reference = references[place]
        return hashlib.sha256(f"{reference.corpus}/{reference.name}".encode()).hexdigest()

    return sorted(sorted(range(len(references)), key=code)[:count])
