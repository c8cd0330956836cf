"""Text to tokens: vocabulary, prompts, mBART with a head a part, decoding."""

from soke.generator.decoding import Sample, Step, generate, generate_samples, iterate
from soke.generator.folder import read_config
from soke.generator.model import (
    GENERATORS,
    FlattenGenerator,
    MultiHeadGenerator,
    PartGenerator,
)
from soke.generator.network import Generator
from soke.generator.prompts import PromptBuilder
from soke.generator.vocabulary import Vocabulary

__all__ = [
    "GENERATORS",
    "FlattenGenerator",
    "Generator",
    "MultiHeadGenerator",
    "PartGenerator",
    "PromptBuilder",
    "Sample",
    "Step",
    "Vocabulary",
    "generate",
    "generate_samples",
    "iterate",
    "read_config",
]
