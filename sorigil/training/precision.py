"""In which numbers a network computes; weights, losses and optimizer stay in float32."""

from __future__ import annotations

import torch

from sorigil.errors import RequestError
from sorigil.training.spec import Precision

_DTYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast_dtype(precision: Precision, device: str) -> torch.dtype | None:
    """Return what the network's arithmetic is cast to; None: nothing is. "auto" is bfloat16 on CUDA and float32 elsewhere.

    Raises:
        RequestError: float16 without a GPU; there it is emulated, slower than float32 and less exact.
    """
    kind = torch.device(device).type
    if precision == "fp16" and kind != "cuda":
        raise RequestError(f"precision is fp16, which needs a GPU, but the training runs on {kind}; write auto or bf16")
    if precision == "auto":
        return torch.bfloat16 if kind == "cuda" else None
    return _DTYPES[precision]


def autocast(dtype: torch.dtype | None, device: str) -> torch.autocast:
    """The context in which the network runs."""
    return torch.autocast(torch.device(device).type, dtype, enabled=dtype is not None)
