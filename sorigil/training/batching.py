"""Which rows go into which batch of an epoch: a plan made of numbers only, before anything is read.

Batches hold rows of similar length, up to a number of padded audio seconds. Rows come in random order, but through a
buffer of a few row groups, so that a reader of shards stays near where it was. The plan depends on (seed, epoch) only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BUFFER_GROUPS = 64  # row groups shuffled together; at 1-4 MB each some 100 MB of features
JITTER = 0.15  # lengths are blurred by this share, so that neighbours in one epoch part in the next


def plan_batches(
    seconds: NDArray[np.float64],
    batch_seconds: float,
    seed: int,
    epoch: int,
    groups: NDArray[np.int64] | None = None,
    buffer_groups: int = BUFFER_GROUPS,
) -> list[NDArray[np.int64]]:
    """Return batches of row numbers; each row is in exactly one.

    A batch's rows × its longest row stay within `batch_seconds`, but a longer row gets a batch of its own. `groups`
    gives each row's row group: the groups are shuffled, taken `buffer_groups` at a time, and all rows of such a buffer
    are mixed; without it all rows are one buffer.
    """
    seconds = np.asarray(seconds, dtype=np.float64)
    rng = np.random.default_rng([seed, epoch])
    batches: list[NDArray[np.int64]] = []
    for rows in _buffers(len(seconds), groups, buffer_groups, rng):
        blurred = seconds[rows] * rng.uniform(1 - JITTER, 1 + JITTER, size=len(rows))
        rows = rows[np.argsort(blurred, kind="stable")]
        cut = _cut(rows, seconds, batch_seconds)
        batches.extend(cut[place] for place in rng.permutation(len(cut)))
    return batches


def takes_part(shares: NDArray[np.float64], seed: int, epoch: int) -> NDArray[np.bool_]:
    """Which rows are in this epoch, where `shares` is the share of epochs that each is to be in; 1 is always."""
    return np.random.default_rng([seed, epoch, 1]).random(len(shares)) < shares


def _buffers(
    rows: int, groups: NDArray[np.int64] | None, buffer_groups: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Split row numbers into buffers of whole groups, the groups in random order."""
    if rows == 0:
        return []
    if groups is None:
        return [np.arange(rows)]
    _, group_of_row = np.unique(groups, return_inverse=True)
    rank_of_group = rng.permutation(group_of_row.max() + 1)
    buffer_of_row = rank_of_group[group_of_row] // buffer_groups
    order = np.argsort(buffer_of_row, kind="stable")
    starts = np.flatnonzero(np.diff(buffer_of_row[order])) + 1
    return list(np.split(order, starts))


def _cut(rows: NDArray[np.int64], seconds: NDArray[np.float64], batch_seconds: float) -> list[NDArray[np.int64]]:
    """Cut rows, in this order, wherever one more would exceed `batch_seconds` of padded audio."""
    starts = [0]
    longest = 0.0
    for place, row in enumerate(rows):
        longest = max(longest, float(seconds[row]))
        if place > starts[-1] and longest * (place + 1 - starts[-1]) > batch_seconds:
            starts.append(place)
            longest = float(seconds[row])
    return list(np.split(rows, starts[1:]))
