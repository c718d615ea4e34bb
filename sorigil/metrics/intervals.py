"""How far a score could have come out otherwise: percentile bootstrap over utterances, or over speakers.

Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation". What is drawn again
is the utterance (or, with groups, everything one speaker said), never the single word, whose errors come in bursts. An
interval over no errors at all is [0, 0]: the bootstrap cannot know of errors it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DRAWS_AT_ONCE = 4_000_000  # resampled rows held at a time: 32 MB an array
MANY = 10_000  # rows, from which on those that are equal are drawn together
RARE = 20  # times as many rows as differ: what drawing one of these costs more than drawing one row


def bootstrap_interval(
    errors_N: Numbers,
    totals_N: Numbers,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    groups_N: Sequence[str] | None = None,
) -> tuple[float, float]:
    """Return (low, high) of sum(errors) / sum(totals) over resampled rows: WER, CER; accuracy with hits and ones.

    With `groups_N` (a speaker for every row) whole groups are drawn: wider, and honest when few people spoke. The same
    arguments give the same interval. Raises `ValueError` for no rows.
    """
    values = resampled([errors_N, totals_N], rate, samples=samples, seed=seed, groups_N=groups_N)
    return percentiles(values, level)


def rate(errors_S: Floats, totals_S: Floats) -> Floats:
    """Return errors / max(totals, 1): WER, CER and accuracy of summed counts."""
    shares_S: Floats = errors_S / np.maximum(totals_S, 1)
    return shares_S


def resampled(
    columns: Sequence[Numbers],
    figure: Callable[..., Floats],
    samples: int = 1000,
    seed: int = 0,
    groups_N: Sequence[str] | None = None,
) -> Floats:
    """Return `figure` of the columns' sums over resampled rows (or groups), once for each of `samples` draws.

    The same draw is summed in every column, so a figure may compare two systems' columns. Raises `ValueError` for no
    rows, and for columns of different lengths.
    """
    sums_KN: list[Floats] = [np.asarray(column_N, dtype=np.float64) for column_N in columns]
    lengths = [len(column_N) for column_N in sums_KN]
    if len(set(lengths)) > 1 or lengths[0] == 0:
        raise ValueError(f"columns of {lengths} rows; expected as many in each, and at least one")
    if groups_N is not None:
        group_of_N, n_groups = _codes(groups_N, lengths[0])
        sums_KN = [np.bincount(group_of_N, column_N, n_groups).astype(np.float64) for column_N in sums_KN]
    if len(sums_KN[0]) >= MANY:
        rows_RK, times_R = np.unique(np.stack(sums_KN, axis=1), axis=0, return_counts=True)
        if RARE * len(rows_RK) <= len(sums_KN[0]):
            return figure(*_drawn_together(rows_RK, times_R, samples, seed).T)
    found = [
        figure(*(column_N[draws_SN].sum(axis=1) for column_N in sums_KN))
        for draws_SN in _draws(len(sums_KN[0]), samples, seed)
    ]
    return np.concatenate(found)


def _drawn_together(rows_RK: Floats, times_R: Numbers, samples: int, seed: int) -> Floats:
    """Return the sums (S, K) of as many rows as there are, R of which differ: how often each of these was drawn is
    multinomial, and costs as much for a million rows as for a thousand."""
    generator, n_rows = np.random.default_rng(seed), int(times_R.sum())
    sums = []
    for at_once in _batches(samples, len(rows_RK)):
        drawn_SR = generator.multinomial(n_rows, times_R / n_rows, size=at_once)
        sums.append(drawn_SR.astype(np.float64) @ rows_RK)
    return np.concatenate(sums)


def resampled_sums(
    codes_N: Numbers,
    weights_N: Numbers,
    n_codes: int,
    samples: int = 1000,
    seed: int = 0,
    groups_N: Sequence[str] | None = None,
) -> tuple[Floats, Floats]:
    """Return the weights summed by code (S, n_codes), and the rows (S,), of resampled rows or groups.

    For figures of a table of counts, such as a confusion matrix or the bins of a reliability diagram: what a code stands
    for is the caller's. Raises `ValueError` for no rows, and for columns of different lengths.
    """
    n = len(codes_N)
    if n == 0 or len(weights_N) != n:
        raise ValueError(f"{n} codes come with {len(weights_N)} weights; expected as many, at least one")
    group_of_N, n_groups = (np.arange(n), n) if groups_N is None else _codes(groups_N, n)
    rows_G = np.bincount(group_of_N, minlength=n_groups)
    table = _sparse(weights_N, group_of_N, codes_N, (n_groups, n_codes))
    sums, rows = [], []
    for draws_SG in _draws(n_groups, samples, seed):
        times_SG = _times(draws_SG, n_groups)
        sums.append(times_SG @ table)
        rows.append((times_SG @ rows_G).astype(np.float64))
    return np.concatenate(sums), np.concatenate(rows)


def summed(values_SK: Floats, codes_K: Numbers, n_codes: int) -> Floats:
    """Return the columns of a table summed by their code (S, n_codes)."""
    sums_SC: Floats = values_SK @ _sparse(
        np.ones(len(codes_K)), np.arange(len(codes_K)), codes_K, (len(codes_K), n_codes)
    )
    return sums_SC


def _sparse(weights: Numbers, rows: Numbers, columns: Numbers, shape: tuple[int, int]) -> Any:
    """A table of the weights, summed where they share a place."""
    from scipy.sparse import coo_array

    return coo_array((np.asarray(weights, np.float64), (rows, columns)), shape=shape).tocsr()


def _times(draws_SG: Numbers, n_groups: int) -> Floats:
    """How often each group was drawn."""
    places = draws_SG + n_groups * np.arange(len(draws_SG))[:, None]
    times = np.bincount(places.ravel(), minlength=draws_SG.shape[0] * n_groups)
    return times.reshape(-1, n_groups).astype(np.float64)


def percentiles(values: Floats, level: float) -> tuple[float, float]:
    """Return the central `level` of resampled values, e.g. their 2.5th and 97.5th percentile."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie between 0 and 1, as 0.95 does")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(n_rows: int, samples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield row numbers drawn with replacement, `samples` draws in all, some at a time."""
    generator = np.random.default_rng(seed)
    for at_once in _batches(samples, n_rows):
        yield generator.integers(0, n_rows, size=(at_once, n_rows))


def _batches(samples: int, n_rows: int) -> Iterator[int]:
    """How many samples to draw at a time. Raises `ValueError` where none are asked for."""
    if samples < 1:
        raise ValueError(f"samples is {samples}; it must be at least 1")
    at_once = max(1, DRAWS_AT_ONCE // n_rows)
    yield from (min(at_once, samples - start) for start in range(0, samples, at_once))


def _codes(groups_N: Sequence[str], n_rows: int) -> tuple[npt.NDArray[np.int64], int]:
    if len(groups_N) != n_rows:
        raise ValueError(f"{len(groups_N)} groups come with {n_rows} rows; expected as many")
    place = {name: code for code, name in enumerate(dict.fromkeys(groups_N))}
    return np.array([place[name] for name in groups_N], dtype=np.int64), len(place)


def weights_of_draws(
    n_rows: int, samples: int, groups_N: Sequence[str] | None = None, seed: int = 0
) -> Iterator[Floats]:
    """Yield how often each row was drawn, `samples` times: for figures that can weigh rows instead of copying them."""
    if groups_N is None:
        group_of_N, n_groups = np.arange(n_rows), n_rows
    else:
        group_of_N, n_groups = _codes(groups_N, n_rows)
    for draws_SG in _draws(n_groups, samples, seed):
        for draw_G in draws_SG:
            yield np.bincount(draw_G, minlength=n_groups).astype(np.float64)[group_of_N]
