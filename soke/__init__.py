"""SOKE: written text in, signing 3D avatars out."""

from __future__ import annotations

import importlib

__version__ = "0.2.0"
__all__ = ["data", "load", "load_tokenizer", "metrics"]


def __getattr__(name: str) -> object:
    # Deferred, so that importing soke stays instant and touches nothing.
    if name == "load":
        from soke.signer import load

        return load
    if name == "load_tokenizer":
        from soke.tokenizer import load_tokenizer

        return load_tokenizer
    if name in ("data", "metrics"):
        return importlib.import_module(f"soke.{name}")
    raise AttributeError(f"module 'soke' has no attribute {name!r}")
