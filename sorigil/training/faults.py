"""What stops a training at one batch: a loss or gradient that is no number, or too little memory; each names the batch.

The loop knows rows and content keys only; who knows their ids says those (`BatchError.rows`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sorigil.errors import RunError
from sorigil.training.data import Batch

SHOWN = 8  # utterances in a message
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # what torch says of it


class BatchError(RunError):
    """A training that cannot go on behind a batch. `what` ends where the names of its utterances follow.

    `rows` are those to name, `batch_rows` all of the batch, by their numbers in the dataset.
    """

    def __init__(self, what: str, rows: Sequence[int], names: Sequence[str], batch_rows: Sequence[int]) -> None:
        super().__init__(f"{what} {listed(names)}")
        self.what, self.rows, self.batch_rows = what, tuple(rows), tuple(batch_rows)


def listed(names: Sequence[str]) -> str:
    """Name some of them and say how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def not_finite(value: float, batches: Sequence[Batch], epoch: int, step: int) -> BatchError:
    """A loss or a gradient that is no number; names the utterances whose features are not, or all where all features are."""
    every = [(row, key) for batch in batches for row, key in zip(batch.rows, batch.keys, strict=True)]
    bad = [
        (row, key)
        for batch in batches
        for row, key, length, features_TF in zip(
            batch.rows, batch.keys, batch.lengths_B, batch.features_BTF, strict=True
        )
        if not torch.isfinite(features_TF[: int(length)]).all()
    ]
    what = "features that are not finite in" if bad else "a batch of finite features:"
    rows, keys = zip(*(bad or every), strict=True)
    return BatchError(
        f"the loss or its gradient became {value} in epoch {epoch + 1}, step {step + 1}, with {what}",
        rows,
        keys,
        [row for row, _ in every],
    )


def out_of_memory(batch: Batch, batch_seconds: float, epoch: int, step: int) -> BatchError:
    """Too little memory for this batch."""
    items, frames, size = batch.features_BTF.shape
    return BatchError(
        f"out of memory in epoch {epoch + 1}, step {step + 1}, at a batch of {items} items × {frames} frames × {size} "
        f"values; make batch_seconds smaller (it is {batch_seconds:g}; accumulate keeps the steps as they are), or leave "
        "out utterances as long as these:",
        batch.rows,
        batch.keys,
        batch.rows,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, or Python, ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)
