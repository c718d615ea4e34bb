"""Features as a PNG: time from left to right, frequency upwards, scaled so that what is there can be seen.

For eyes, not for measuring: values are clipped at percentiles, long utterances averaged down to the picture's width.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_COLUMNS = 1200  # a page is about that wide
ENERGY_KINDS = ("linear", "power", "spectrogram", "magnitude")  # stored without logarithm
COEFFICIENT_KINDS = ("mfcc",)
DYNAMIC_RANGE_DB = 80.0  # of energies, as in librosa's power_to_db


def spectrogram_png(features_TF: npt.NDArray[Any], kind: str) -> bytes:
    """Features (T, F) as a PNG of F rows and at most 1,200 columns, low bands at the bottom.

    Energies are shown in dB over 80 dB; each MFCC is scaled by itself, or the first would be all that one sees; the
    rest (log_mel, ...) as it is. Values that are not finite are shown as the lowest. No frames give one dark column.
    """
    from matplotlib.image import imsave

    image_FT = _narrowed(_scaled(np.asarray(features_TF, dtype=np.float64), kind)).T
    buffer = io.BytesIO()
    imsave(buffer, image_FT, format="png", cmap="magma", vmin=0.0, vmax=1.0, origin="lower")
    return buffer.getvalue()


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a URI that needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _scaled(features_TF: npt.NDArray[np.float64], kind: str) -> npt.NDArray[np.float64]:
    """To [0, 1]."""
    if features_TF.ndim != 2:
        raise ValueError(f"features have shape {features_TF.shape}; a picture needs (frames, bands)")
    if features_TF.size == 0:
        return np.zeros((1, max(features_TF.shape[1], 1)))
    finite = np.where(np.isfinite(features_TF), features_TF, np.nan)
    if kind in ENERGY_KINDS:
        finite = _decibels(finite, 10.0 if kind == "power" else 20.0)
    axis = 0 if kind in COEFFICIENT_KINDS else None
    filled = np.nan_to_num(finite, nan=float(np.nanmin(finite)) if np.isfinite(finite).any() else 0.0)
    low, high = np.quantile(filled, [0.01, 0.995], axis=axis, keepdims=True)
    scaled: npt.NDArray[np.float64] = np.clip((filled - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    return scaled


def _decibels(energies_TF: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.float64]:
    if not np.isfinite(energies_TF).any():
        return energies_TF
    loudest = max(float(np.nanmax(energies_TF)), 1e-10)
    floor = loudest * 10 ** (-DYNAMIC_RANGE_DB / factor)
    return factor * np.log10(np.maximum(energies_TF, floor))


def _narrowed(image_TF: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Averages neighbouring frames until at most MAX_COLUMNS are left; the last group may be smaller."""
    group = -(-len(image_TF) // MAX_COLUMNS)
    if group <= 1:
        return image_TF
    starts = np.arange(0, len(image_TF), group)
    sums = np.add.reduceat(image_TF, starts, axis=0)
    return sums / np.diff(np.append(starts, len(image_TF)))[:, None]
