"""Motion to tokens and back, one VQ-VAE a part."""

from soke.tokenizer.encoding import encode_batches
from soke.tokenizer.network import FRAMES_PER_TOKEN
from soke.tokenizer.quantizer import EMAResetQuantizer
from soke.tokenizer.tokenizer import (
    PADDING,
    PartTokenizer,
    load_tokenizer,
    reconstruction_loss,
)

__all__ = [
    "FRAMES_PER_TOKEN",
    "PADDING",
    "EMAResetQuantizer",
    "PartTokenizer",
    "encode_batches",
    "load_tokenizer",
    "reconstruction_loss",
]
