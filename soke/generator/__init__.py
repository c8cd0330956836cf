"""Text to tokens: vocabulary, prompts, multi-head mBART, decoding."""

from soke.generator.decoding import generate
from soke.generator.model import MultiHeadGenerator, read_config
from soke.generator.prompts import PromptBuilder
from soke.generator.vocabulary import Vocabulary

__all__ = [
    "MultiHeadGenerator",
    "PromptBuilder",
    "Vocabulary",
    "generate",
    "read_config",
]
