"""Text to tokens: vocabulary, prompts, mBART with one head per part, decoding."""

from soke.generator.decoding.loop import Sample, Step, generate, generate_samples, iterate
from soke.generator.decoding.translation import reference_text, translate
from soke.generator.mbart.folder import read_config
from soke.generator.network import Generator
from soke.generator.prompts import PromptBuilder
from soke.generator.sign_to_text import SignToText, sign_batch
from soke.generator.variants import (
    GENERATORS,
    FlattenGenerator,
    MultiHeadGenerator,
    PartGenerator,
)
from soke.generator.vocabulary import Vocabulary

__all__ = [
    "GENERATORS",
    "FlattenGenerator",
    "Generator",
    "MultiHeadGenerator",
    "PartGenerator",
    "PromptBuilder",
    "Sample",
    "SignToText",
    "Step",
    "Vocabulary",
    "generate",
    "generate_samples",
    "iterate",
    "read_config",
    "reference_text",
    "sign_batch",
    "translate",
]
