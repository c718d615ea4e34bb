"""How numbers are written for people, on the page and on the console: the same number reads the same everywhere.

Unknown values (None, NaN) become a dash. Nothing here knows HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

UNKNOWN = "–"
MINUS = "−"
INTERVALS = ("95 % by utterance", "95 % by speaker")  # heads of a table
SHARES = (
    "wer",
    "swer",
    "cer",
    "mer",
    "wil",
    "wip",
    "ser",
    "accuracy",
    "f1",
    "precision",
    "recall",
    "eer",
    "rate",
    "map",
    "top",
    "ece",
)  # of 1, as percent


def count(value: float | None) -> str:
    """1234567 -> 1,234,567."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def span(seconds: float | None) -> str:
    """A length of time in the unit that suits it: 0.42 s, 12.3 s, 4 min 05 s, 12.5 h, 1,234 h."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 59.95:
        return f"{seconds:.2f} s" if 0 < abs(seconds) < 9.995 else f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours = seconds / 3600
    return f"{hours:.2f} h" if hours < 9.995 else f"{hours:.1f} h" if hours < 999.95 else f"{hours:,.0f} h"


def times(value: float | None) -> str:
    """Multiples of real time: × 0.50, × 12.3, × 1,234."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"× {value:.2f}" if value < 9.995 else f"× {value:.1f}" if value < 99.95 else f"× {value:,.0f}"


def plain(value: object) -> str:
    """Any value of a table: integers whole, other numbers with four significant digits, the rest as it is."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        if not math.isfinite(value):
            return UNKNOWN if math.isnan(value) else str(value)
        return f"{value:,.0f}" if value.is_integer() and 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def is_share(metric: str) -> bool:
    """Whether a metric of this name is a share of 1, to be written in percent."""
    return any(part in SHARES for part in metric.lower().replace("-", "_").replace("@", "_").split("_"))


def score(metric: str, value: float | None) -> str:
    """0.0417 of wer -> 4.17 %; other metrics with four significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{100 * value:.2f} %" if is_share(metric) else f"{value:.4g}"


def interval(metric: str, bounds: tuple[float, float] | list[float] | None) -> str:
    """(0.031, 0.055) of wer -> 3.10 – 5.50 %."""
    if bounds is None:
        return UNKNOWN
    low, high = (score(metric, bound) for bound in bounds)
    return f"{low.removesuffix(' %')} – {high}"


def difference(metric: str, value: float | None) -> str:
    """Between two values of a metric, with its sign and in percentage points where these are shares: -0.0255 -> −2.55."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    said = f"{100 * value:+.2f}" if is_share(metric) else f"{value:+.4g}"
    return said.replace("-", MINUS) if float(said) else said.lstrip("+-")


def difference_interval(metric: str, bounds: Sequence[float] | None) -> str:
    """(-0.041, 0.004) of wer -> −4.10 to +0.40."""
    return UNKNOWN if bounds is None else " to ".join(difference(metric, bound) for bound in bounds)
