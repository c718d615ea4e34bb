"""Tensors of safetensors files, which models and checkpoints are kept in: never a pickle."""

from __future__ import annotations

from typing import Any

from sorigil.errors import RequestError


def parse(data: bytes, uri: str, remedy: str) -> dict[str, Any]:
    """Return the tensors of a file's bytes by name. Raises RequestError, naming `uri` and the remedy, where they are
    damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        found: dict[str, Any] = load(data)
    except SafetensorError as torn:
        raise RequestError(f"{uri}: damaged: {len(data):,} bytes, but no safetensors file ({torn}); {remedy}") from torn
    return found
