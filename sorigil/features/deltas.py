"""Deltas: local slope and curvature of a feature over time, as `librosa.feature.delta` fits them.

A straight line (order 1) or parabola (order 2) is fitted to `width` frames by least squares. The derivative asked for
is then constant over the fitted stretch, so librosa's mode "interp" comes to repeating the first and last full fit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def check_deltas(orders: int, width: int) -> None:
    """Refuse values outside their range."""
    if orders not in (0, 1, 2):
        raise ValueError(f"deltas is {orders}; it must be 0, 1 or 2")
    if width < 3 or width % 2 != 1:
        raise ValueError(f"delta_width is {width}; it must be odd and at least 3")


def with_deltas(features_TF: Floats, orders: int, width: int) -> Floats:
    """Features with their deltas of order 1 … `orders` beside them: (T, F * (1 + orders))."""
    if orders == 0:
        return features_TF
    parts = [features_TF, *(delta(features_TF, order, width) for order in range(1, orders + 1))]
    return np.concatenate(parts, axis=1)


def delta(features_TF: Floats, order: int, width: int) -> Floats:
    """The delta of one order, (T, F), equal to librosa's mode "interp".

    With fewer frames than `width`, where librosa raises, it is librosa's mode "nearest": the ends are repeated first.
    """
    half = width // 2
    short = len(features_TF) < width
    padded = np.pad(features_TF, ((half, half), (0, 0)), mode="edge") if short else features_TF
    fitted = len(padded) - width + 1
    slopes = np.zeros((fitted, features_TF.shape[1]), dtype=np.float32)
    for tap, weight in enumerate(_weights(order, width)):
        slopes += np.float32(weight) * padded[tap : tap + fitted]
    return slopes if short else np.pad(slopes, ((half, half), (0, 0)), mode="edge")


@lru_cache(maxsize=16)
def _weights(order: int, width: int) -> tuple[float, ...]:
    """The Savitzky-Golay filter whose polynomial has the degree of the derivative."""
    places = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(places, order + 1, increasing=True))  # frames → coefficients 1, x, x²
    factorial = 2 if order == 2 else 1
    return tuple(float(weight) for weight in factorial * fit[order])
