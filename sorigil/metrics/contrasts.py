"""Is one part of the evaluated utterances worse than the rest of what it is part of? Is its rate another than 0? Tests of
many parts at once.

The rate of a part is sum(errors) / sum(units); its spread is that of a ratio of two sums over utterances (linearised:
Cochran 1977, Sampling Techniques, 6.4). Where it is known who speaks, what the speakers differ by is added, as much as the
two sides are spoken by others: women are not shown to be heard worse by two who mumble.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from sorigil.metrics.parts import Codes, Floats, Parts, Rows, Sums

TWO_SIDED = 0.975  # the quantile of a 95 % interval


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contrast:
    """K parts against the rest of what each is part of. NaN where there is no rest, or a single utterance.

    `low_K` and `high_K` are the 95 % interval of `difference_K`; `p_K` is one-sided: how likely a part that is no worse
    than its rest is to look so bad.
    """

    rest_K: Floats
    difference_K: Floats
    low_K: Floats
    high_K: Floats
    p_K: Floats


def contrast(rows: Rows, inside: Parts, around: Parts) -> Contrast:
    """Compare each part of the rows with the rest of the larger one that it lies in: `around` may have one part for all.

    The variance over utterances is the larger of what is seen and what utterances of such sizes have that are like all
    others: a few that happen to agree prove nothing. Errors are skewed to the right, for which Welch's t says "worse" too
    seldom rather than too often.
    """
    home_K = np.zeros(inside.n_parts, np.int64)
    there = inside.codes_N >= 0
    home_K[inside.codes_N[there]] = around.codes_N[there]
    own = inside.sums
    rest = Sums(table_6K=around.sums.table_6K[:, home_K] - own.table_6K)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled_K = (own.errors + rest.errors) / (own.units + rest.units)
        alike_K = rows.dispersion * rows.variance_of_units(pooled_K) * (1 / own.units + 1 / rest.units)
        utterances_K = np.maximum(own.variance + rest.variance, alike_K)
        freedom_K = _freedom(own.variance, own.rows - 1, rest.variance, rest.rows - 1)
        groups_K = rows.variance_of_groups * _imbalance(rows, inside, around, home_K)
        freedom_K = _freedom(utterances_K, freedom_K, groups_K, np.full(inside.n_parts, max(rows.groups - 1, 1)))
        error_K = np.sqrt(utterances_K + groups_K)
        difference_K = own.rate - rest.rate
        half_K = stdtrit(freedom_K, TWO_SIDED) * error_K
        p_K = stdtr(freedom_K, -np.where(error_K > 0, difference_K / error_K, 0.0))  # nobody errs: none is worse
    usable_K = (own.rows > 1) & (rest.rows > 1) & (own.units > 0) & (rest.units > 0)
    return Contrast(
        rest_K=rest.rate,
        difference_K=difference_K,
        low_K=np.where(usable_K, difference_K - half_K, np.nan),
        high_K=np.where(usable_K, difference_K + half_K, np.nan),
        p_K=np.where(usable_K, p_K, np.nan),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Estimate:
    """The rates of K parts with their 95 % interval; `p_K` is two-sided, of a rate of 0. NaN of a single utterance."""

    rate_K: Floats
    low_K: Floats
    high_K: Floats
    p_K: Floats


def estimate(rows: Rows, parts: Parts) -> Estimate:
    """Return the rate of each part and how far from 0 it surely is: over utterances and, where they are known, groups.

    For rates that have no rest to be compared with, such as the difference of two systems: its errors may be below 0.
    """
    sums = parts.sums
    with np.errstate(divide="ignore", invalid="ignore"):
        groups_K = np.zeros(parts.n_parts)
        if rows.variance_of_groups:
            groups_K = rows.variance_of_groups * parts.alike_squared / sums.units**2
        error_K = np.sqrt(sums.variance + groups_K)
        freedom_K = _freedom(sums.variance, sums.rows - 1, groups_K, np.full(parts.n_parts, max(rows.groups - 1, 1)))
        half_K = stdtrit(freedom_K, TWO_SIDED) * error_K
        p_K = 2 * stdtr(freedom_K, -np.where(sums.rate != 0, np.abs(sums.rate) / error_K, 0.0))  # nothing by nothing
    usable_K = (sums.rows > 1) & (sums.units > 0)
    return Estimate(
        rate_K=sums.rate,
        low_K=np.where(usable_K, sums.rate - half_K, np.nan),
        high_K=np.where(usable_K, sums.rate + half_K, np.nan),
        p_K=np.where(usable_K, p_K, np.nan),
    )


def score_intervals(rows: Rows, sums: Sums) -> tuple[Floats, Floats]:
    """Return the 95 % interval (low_K, high_K) of each part's rate over utterances.

    Those rates that a score test would not refuse, with the dispersion seen in the part or, if larger, in all rows. Of
    shares it is Wilson's (1927); of counts the same for a rate (Rao's score). Unlike a bootstrap's it has a width where no
    error was seen.
    """
    units_K = np.maximum(sums.units, 1)
    rate_K = sums.errors / units_K
    alone_K = rows.variance_of_units(rate_K)
    own_K = np.divide(sums.squares(rate_K) / units_K, alone_K, out=np.ones(len(rate_K)), where=alone_K > 0)
    k_K = stdtrit(np.inf, TWO_SIDED) ** 2 * np.maximum(own_K, rows.dispersion) / units_K
    lead_K = 1 + k_K if rows.of_shares else np.ones(len(rate_K))
    middle_K = 2 * rate_K + k_K
    half_K = np.sqrt(np.maximum(middle_K**2 - 4 * lead_K * rate_K**2, 0))
    most = 1.0 if rows.of_shares else np.inf  # rounding may step over it
    return np.maximum(middle_K - half_K, 0) / (2 * lead_K), np.minimum((middle_K + half_K) / (2 * lead_K), most)


def _freedom(one_K: Floats, freedom_one_K: Floats, other_K: Floats, freedom_other_K: Floats) -> Floats:
    """Degrees of freedom of the sum of two variances (Welch 1947, Satterthwaite 1946)."""
    together_K = one_K**2 / freedom_one_K + other_K**2 / freedom_other_K
    found = np.divide((one_K + other_K) ** 2, together_K, out=np.array(freedom_one_K), where=together_K > 0)
    return np.maximum(found, 1)


def _imbalance(rows: Rows, inside: Parts, around: Parts, home_K: Codes) -> Floats:
    """The sum over groups of (share of the part - share of its rest)²: 0 where each group speaks as much of both.

    With w of a group's units in the part and v in what is around it, U in the part and R in its rest the share is
    w/U - (v - w)/R = w(1/U + 1/R) - v/R; squares and products are summed by utterance.
    """
    if not rows.variance_of_groups:
        return np.zeros(inside.n_parts)
    units_K = inside.sums.units
    rest_K = around.sums.units[home_K] - units_K
    both_K = 1 / units_K + 1 / rest_K
    products_K = inside.sum(rows.units_N * around.alike_N)
    found = both_K**2 * inside.alike_squared - 2 * both_K / rest_K * products_K
    return np.maximum(found + around.alike_squared[home_K] / rest_K**2, 0)
