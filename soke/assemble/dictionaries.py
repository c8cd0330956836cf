"""Sign dictionaries from the isolated signs of the corpora, through the tokenizer.

`soke tokens` and `soke dictionary` both write them. The code is here since this is the
one level that sees the configuration, the clips, the tokenizer and the body at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from soke.assemble.data import pose_dataset, pose_loader, read_signs
from soke.assemble.models import load_body
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.data.corpora import Corpus
from soke.files import checksum
from soke.metrics.medoid import medoid, recording_distances
from soke.retrieval import (
    SignDictionary,
    check_origin,
    check_replaceable,
    read_manifest,
    write_dictionary,
)
from soke.retrieval.sign_dictionary import entry_words
from soke.tokenizer import PartTokenizer, encode_batches

log = logging.getLogger(__name__)


def check_dictionaries(run: Run, replace: bool = False) -> list[Corpus]:
    """The corpora whose dictionary `write_dictionaries` writes.

    A trial run (``DEBUG``) leaves the dictionary of a real run alone. Raises ``ValueError`` where
    one that the tokenizer of ``TRAIN.PRETRAINED_VAE`` did not make would be written over, unless
    ``replace``.
    """
    wanted = [corpus for corpus in run.corpora.values() if corpus.signs is not None]
    if run.DEBUG:
        wanted = [corpus for corpus in wanted if not _is_real(_path(corpus))]
    if wanted and not replace:
        code = checksum(run.TRAIN.PRETRAINED_VAE)
        parts = run.parts
        for corpus in wanted:
            check_replaceable(_path(corpus), code, parts)
    return wanted


def write_dictionaries(
    run: Run,
    tokenizer: PartTokenizer,
    device: torch.device | str = "cpu",
    replace: bool = False,
    merge: Iterable[str | Path] = (),
) -> list[Path]:
    """Write the dictionary of every corpus that lists isolated signs; which files were written.

    ``tokenizer`` is that of ``TRAIN.PRETRAINED_VAE``. ``merge`` are further dictionary files of the
    same tokenizer: their entries are added where a corpus has none of its own.

    Raises like `check_dictionaries`, before anything is read, and ``ValueError`` where a dictionary
    to be merged comes from another tokenizer.
    """
    wanted = check_dictionaries(run, replace)
    code = checksum(run.TRAIN.PRETRAINED_VAE)
    others = [_to_merge(path, code, tokenizer) for path in merge]
    body = cache(lambda: load_body(run).to(device))
    written = []
    for corpus in wanted:
        path = _path(corpus)
        entries, recordings, chosen = _from_signs(run, corpus, tokenizer, device, body)
        if not len(entries):
            log.warning("%s has no usable isolated sign: no dictionary is written", corpus.name)
            continue
        own = len(entries)
        for other in others:
            entries = entries.merged(other)
        about = {
            "corpus": corpus.name,
            "debug": run.DEBUG,
            "recordings": recordings,
            "chosen": chosen,
            "merged": len(entries) - own,
        }
        write_dictionary(path, entries, tokenizer.parts, code, about, replace)
        log.info(
            "%s: %d signs of %d recordings (%d words have several), %d entries from other "
            "dictionaries",
            path,
            own,
            recordings,
            len(chosen),
            about["merged"],
        )
        written.append(path)
    return written


def _path(corpus: Corpus) -> Path:
    assert corpus.dictionary is not None, "checked when the run reads CORPORA"
    return Path(corpus.dictionary)


def _is_real(dictionary: Path) -> bool:
    """Whether a trial run has to leave a dictionary alone."""
    if not dictionary.exists() or (read_manifest(dictionary) or {}).get("debug"):
        return False
    log.info("%s is there: a trial run leaves it alone", dictionary)
    return True


def _to_merge(path: str | Path, code: str, tokenizer: PartTokenizer) -> SignDictionary:
    dictionary = SignDictionary.load(path, tokenizer.parts)
    if not check_origin(path, code, tokenizer.parts):
        log.warning("%s does not say which tokenizer its tokens come from", path)
    return dictionary


def _from_signs(
    run: Run,
    corpus: Corpus,
    tokenizer: PartTokenizer,
    device: torch.device | str,
    body: Callable[[], BodyModel],
) -> tuple[SignDictionary, int, dict[str, str]]:
    """The dictionary of a corpus's isolated signs; their number, and which was chosen by word."""
    signs = read_signs(run, corpus)
    if not len(signs):
        return SignDictionary({}), 0, {}
    loader = pose_loader(
        pose_dataset(run, signs, tokenizer), run.TEST.BATCH_SIZE, run.TEST.NUM_WORKERS
    )
    recordings = [tokens for _, _, tokens in encode_batches(tokenizer, loader, device)]
    entries = {}
    chosen = {}
    for word, places in _by_word([sign.text for sign in signs]).items():
        best = 0
        if len(places) > 1:
            best = representative([recordings[i] for i in places], tokenizer, body())
            chosen[word] = signs[places[best]].name
        entries[word] = recordings[places[best]]
    return SignDictionary(entries, f"isolated signs of {corpus.name}"), len(recordings), chosen


def _by_word(labels: Sequence[str]) -> Mapping[str, list[int]]:
    """Which recordings show a word, by its first spelling; case makes no difference."""
    first: dict[tuple[str, ...] | str, str] = {}
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        word = first.setdefault(entry_words(label) or label, label.strip())
        places.setdefault(word, []).append(i)
    return places


@torch.inference_mode()
def representative(
    recordings: Sequence[np.ndarray], tokenizer: PartTokenizer, body: BodyModel
) -> int:
    """Which recording, given as tokens [S, P], is the medoid.

    Their motions are decoded and compared as points in space (`recording_distances`), which are
    the same for two codes of like motion and weigh each part by what can be seen of it.
    """
    device = tokenizer.mean.device
    motions = tokenizer.decode_to_motion([torch.from_numpy(r).to(device) for r in recordings])
    points = [
        {name: value.cpu().numpy() for name, value in body.scored_points(motion).items()}
        for motion in motions
    ]
    return medoid(recording_distances(points))
