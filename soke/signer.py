"""Text to signing from Python:

    signer = soke.load("experiments/soke")
    signed = signer.generate("hello", "en")
    signer.render(signed, "hello.mp4")

Like `soke.assemble`, `load` reads the configuration; `Signer` takes explicit arguments.
"""

from __future__ import annotations

import difflib
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soke.assemble.modules import generator_module
from soke.assemble.process import pick_device
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.config import load_config
from soke.data.corpora import Corpus, corpus_of_language
from soke.data.motion_files import SignedText, write_motion
from soke.data.texts import typed_text
from soke.files import require
from soke.generator import PromptBuilder, Step, iterate
from soke.structures import TokenBatch, TokenSample
from soke.tokenizer.streaming import StreamingDecoder
from soke.training.generator_module import GeneratorModule
from soke.training.run_checkpoints import choose_checkpoint
from soke.visualization import TINTS
from soke.visualization.clip_video import LOOK, SYSTEMS, Look, film, note
from soke.visualization.clip_view import ClipToShow, System

log = logging.getLogger(__name__)

#: The file in which a run directory keeps its configuration.
RUN_CONFIG = "config.yaml"
#: So much of a text is its name in messages.
NAME_LETTERS = 40


class Signer:
    """A trained generator with all that turns its tokens into motion and pictures.

    ``corpora`` are the data sets of the run by name: the languages of their texts are those that
    can be signed. ``batch_size`` texts are generated at once; ``look`` says how films look.
    """

    def __init__(
        self,
        module: GeneratorModule,
        prompts: PromptBuilder,
        corpora: Mapping[str, Corpus],
        body: BodyModel,
        batch_size: int = 8,
        look: Look = LOOK,
    ) -> None:
        self.body = body
        self.batch_size = batch_size
        self.look = look
        self._module = module.eval()
        self._prompts = prompts
        self._corpora = dict(corpora)

    @property
    def languages(self) -> list[str]:
        """ISO codes of the languages whose texts can be signed."""
        return [corpus.language for corpus in self._corpora.values()]

    def generate(
        self, text: str | Sequence[str], lang: str, **decoding: Any
    ) -> SignedText | list[SignedText]:
        """Sign a text, or a list of texts, in the language ``lang`` (en, de, zh).

        ``decoding`` are options of the configured decoding (`soke.generator.generate`:
        ``temperature``, ``top_p``, ``samples``, ``seed``, ...), in place of the configured values.
        A text is signed the same alone and in a list.

        Raises ``ValueError`` for a text that cannot be signed (see `soke.data.texts.typed_text`), a
        language that the run does not have, and an unknown or wrong option.
        """
        if isinstance(text, str):
            return next(self.each([text], lang, **decoding))
        return list(self.each(text, lang, **decoding))

    def each(self, texts: Sequence[str], lang: str, **decoding: Any) -> Iterator[SignedText]:
        """As `generate`, but one result after the other, with one batch in memory.

        Texts, language and the options' names are checked at once.
        """
        samples = self._samples(texts, lang)
        fps = self._corpus(lang).fps
        _check_options(self._module.decode, decoding)
        return self._each(samples, lang, fps, partial(self._module.decode, **decoding))

    @torch.inference_mode()
    def _each(
        self, samples: list[TokenSample], lang: str, fps: float, decode: Callable[..., Any]
    ) -> Iterator[SignedText]:
        for start in range(0, len(samples), self.batch_size):
            batch = self._batch(samples[start : start + self.batch_size])
            tokens = decode(self._module.generator, batch)
            motions = self._module.decode_tokens(tokens)
            for i, motion in enumerate(motions):
                yield SignedText(
                    text=batch.texts[i],
                    language=lang,
                    tokens=tokens[i].cpu().numpy(),
                    motion=motion.cpu().numpy(),
                    keywords=batch.keywords[i],
                    missing=batch.missing[i],
                    fps=fps,
                )

    def stream(
        self,
        text: str,
        lang: str,
        look_ahead: int | None = None,
        block: int = 4,
        **decoding: Any,
    ) -> Iterator[np.ndarray]:
        """Motion [m, 133] of a text, piece by piece while its tokens are generated.

        The pieces together are the motion that `generate` gives (with one sample, if several are
        configured). Frames come out ``look_ahead`` tokens, of four frames each, behind the
        generator (fewer than the decoder's reach, which is the default, make them come earlier and
        deviate, see `soke.tokenizer.streaming.StreamingDecoder`), and ``block`` tokens at a time,
        since every piece costs the decoding of a whole window. ``decoding`` are options of
        `soke.generator.iterate`. Raises ``ValueError`` as `generate` does.
        """
        if block < 1:
            raise ValueError(f"block is {block}; it is a number of tokens above 0")
        _check_options(iterate, decoding)
        known = inspect.signature(iterate).parameters
        configured = {k: v for k, v in _bound(self._module.decode).items() if k in known}
        batch = self._batch(self._samples([text], lang))
        tokenizer = self._module.tokenizer
        steps = iterate(self._module.generator, batch, **{**configured, **decoding})
        return _stream(steps, StreamingDecoder(tokenizer, look_ahead), block)

    def render(self, signed: SignedText, path: str | Path) -> Path:
        """Write a film (.mp4, .mov, .gif) with the text below, and a contact sheet (.png) beside
        it.

        A file of that name is written over, with a warning. Returns the path of the film.
        """
        _warn_of_existing(path)
        film(self.body, self.clip(signed), path, self.look)
        return Path(path)

    def clip(self, signed: SignedText) -> ClipToShow:
        """What films, pages and exports are made of."""
        system = System(SYSTEMS[1], signed.motion, TINTS[1], signed.tokens)
        return ClipToShow(
            name=signed.text,
            text=signed.text,
            language=signed.language,
            fps=signed.fps,
            systems=(system,),
            keywords=signed.keywords,
            missing=signed.missing,
            note=note(signed.keywords, signed.missing, self.body),
            parts=tuple(part.name for part in self._module.generator.vocabulary.parts),
        )

    def save(self, signed: SignedText, path: str | Path) -> Path:
        """Write SMPL-X parameters (.npz) in the layout of `soke.data.motion_files`.

        A file of that name is written over, with a warning.
        """
        _warn_of_existing(path)
        betas = self.body.betas.cpu().numpy()
        hands = self.body.hand_mean.cpu().numpy()
        write_motion(path, signed, betas, hands, self.body.name)
        return Path(path)

    def _corpus(self, lang: str) -> Corpus:
        return corpus_of_language(lang, list(self._corpora.values()))

    def _samples(self, texts: Sequence[str], lang: str) -> list[TokenSample]:
        # What is drawn for a sample depends on its name: the same for a text wherever it stands.
        corpus = self._corpus(lang).name
        texts = [typed_text(text) for text in texts]
        return [TokenSample(text[:NAME_LETTERS], corpus, text) for text in texts]

    def _batch(self, samples: list[TokenSample]) -> TokenBatch:
        return self._prompts(samples).to(self._module.device)


def load(where: str | Path, **overrides: Any) -> Signer:
    """The trained generator of a run.

    ``where`` is a run directory (``experiments/soke``, which keeps its configuration) or a YAML
    file, as of ``--cfg``. ``overrides`` are configuration values, sections as dicts:
    ``load("configs/soke.yaml", NAME="mine", RETRIEVAL={"MAX_KEYWORDS": 0})``. As in the commands,
    paths in a configuration are relative to the working directory.

    Raises `soke.files.MissingAssetError` for what is not there, and ``ValueError`` for a
    configuration that cannot be used.
    """
    where = Path(where)
    folder = None
    if where.is_dir():
        folder = where
        where = where / RUN_CONFIG
        require(where, "The configuration of a run", "Name a run directory or a YAML file")
    changes = [f"{key}={json.dumps(value)}" for key, value in _flat(overrides)]
    return build_signer(Run(load_config(where, changes)), folder)


def build_signer(run: Run, folder: Path | None = None) -> Signer:
    """What `load` returns, from a run; ``folder`` is where its checkpoints are."""
    if run.TRAIN.STAGE == "vae":
        raise ValueError(
            "this is the configuration of a tokenizer (TRAIN.STAGE is vae); texts are signed by a "
            "generator: name its run or YAML file, such as configs/soke.yaml"
        )
    checkpoint = choose_checkpoint(run.TEST.CHECKPOINTS, folder or run.folder)
    prompts = prompt_builder(run)
    module = generator_module(run, prompts, checkpoint).to(pick_device(run))
    return Signer(
        module,
        prompts,
        run.corpora,
        module.body,
        run.TEST.BATCH_SIZE,
        Look(font=run.RENDER.FONT, background=run.RENDER.BACKGROUND),
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value) if isinstance(value, Path) else value


def _stream(steps: Iterator[Step], decoder: StreamingDecoder, block: int) -> Iterator[np.ndarray]:
    """Motion of the only clip of ``steps``, by blocks of tokens."""
    while waiting := [step.tokens for step in islice(steps, block)]:
        frames = decoder.push(torch.cat(waiting))
        if len(frames):
            yield frames.cpu().numpy()
    yield decoder.finish().cpu().numpy()


def _bound(function: Callable[..., Any]) -> dict[str, Any]:
    """The options that a partial function has bound."""
    return dict(getattr(function, "keywords", {}))


def _check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that ``function(model, batch, ...)`` does not take."""
    _, _, *known = inspect.signature(function).parameters
    for name in options:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ValueError(f"decoding takes no {name!r}; did you mean {nearest!r}? {known}")


def _warn_of_existing(path: str | Path) -> None:
    if Path(path).exists():
        log.warning("%s is there already and is written over", path)
