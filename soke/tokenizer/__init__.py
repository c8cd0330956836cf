"""Motion to tokens and back, one VQ-VAE per part."""

from soke.tokenizer.conv_network import FRAMES_PER_TOKEN
from soke.tokenizer.encoding import encode_batches
from soke.tokenizer.loading import load_tokenizer, save_published, save_safetensors
from soke.tokenizer.losses import reconstruction_loss
from soke.tokenizer.quantizers import PADDING, QUANTIZERS
from soke.tokenizer.tokenizer import PartTokenizer

__all__ = [
    "FRAMES_PER_TOKEN",
    "PADDING",
    "QUANTIZERS",
    "PartTokenizer",
    "encode_batches",
    "load_tokenizer",
    "reconstruction_loss",
    "save_published",
    "save_safetensors",
]
