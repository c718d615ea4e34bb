"""Cut a long recording into windows at its quietest points, for batch transcription and for preparing.

This looks at short-time energy only; it is no voice activity detection and drops nothing: the windows' cores tile the
recording exactly. Where speech leaves no quiet point, the window is cut anyway and its neighbours overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FRAME_SECONDS = 0.01
SMOOTH_FRAMES = 3  # 30 ms: a closure of a plosive inside a word is not mistaken for a pause
QUIET_DB = 12.0  # a frame this close to the noise floor is quiet …
QUIET_BELOW_LOUD_DB = 20.0  # … provided it is also this far below the loud parts
FLOOR_PERCENTILE, LOUD_PERCENTILE = 5, 95
SILENCE_POWER = 1e-10  # -100 dBFS; digital silence counts as this


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch to transcribe, `start` to `end`, and the core that it alone answers for; all in samples.

    Cores tile the recording. Start and end lie outside the core only where a neighbour could not be parted quietly.
    """

    start: int
    end: int
    core_start: int
    core_end: int


@dataclass(frozen=True, slots=True)
class Loudness:
    """Mean power of each frame, smoothed, and whether it is quiet there; frame 0 begins with the recording."""

    power: npt.NDArray[np.float64]
    quiet: npt.NDArray[np.bool_]
    frame_seconds: float


class QuietFinder:
    """Hears a recording in blocks of any size, in 8 bytes of memory for each 10 ms, and says where to cut it."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._hop = max(1, round(FRAME_SECONDS * sample_rate))
        self._energy: list[npt.NDArray[np.float64]] = []
        self._rest = np.zeros(0, np.float32)
        self._total = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """The next samples."""
        self._total += len(samples)
        held = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(held) // self._hop * self._hop
        self._energy.append(_energy(held[:whole], self._hop))
        self._rest = held[whole:].copy()

    def windows(
        self,
        *,
        max_seconds: float = 12.0,
        min_seconds: float = 3.0,
        search_seconds: float = 3.0,
        pause_seconds: float = 0.3,
        overlap_seconds: float = 0.5,
    ) -> list[Window]:
        """Windows whose cores cover what was added once, in order, each core at most `max_seconds` long.

        A window ends in the first pause of `pause_seconds` after `min_seconds`; failing that at the quietest moment of
        its last `search_seconds`; and where that is not quiet either, there, with `overlap_seconds` added on both sides.
        """
        if not 0 <= min_seconds < max_seconds or not 0 < search_seconds <= max_seconds:
            seen = f"min_seconds {min_seconds}, search_seconds {search_seconds}, max_seconds {max_seconds}"
            raise ValueError(f"{seen}; min must be below max, and search above 0 and not above max")
        loudness = self.loudness()
        power, quiet = loudness.power, loudness.quiet
        per_second = self._rate / self._hop
        longest, shortest, search, pause = (
            max(1, int(seconds * per_second)) for seconds in (max_seconds, min_seconds, search_seconds, pause_seconds)
        )
        pauses = _pause_middles(quiet, pause)
        pauses = pauses[pauses <= len(power) - shortest]  # no last window with nothing but the end of a pause
        cuts: list[tuple[int, bool]] = [(0, True)]  # (sample, whether it is quiet there)
        while self._total - cuts[-1][0] > shortest * self._hop:
            here = cuts[-1][0] // self._hop
            place = _next_cut(here, power, quiet, pauses, shortest, longest, search)
            if place is None:
                break
            cuts.append((place[0] * self._hop, place[1]))
        cuts.append((self._total, True))
        return _windows(cuts, int(overlap_seconds * self._rate))

    def loudness(self) -> Loudness:
        """How loud it was, of all that was added."""
        power = self._power()
        return Loudness(power, power <= _quiet_level(power), self._hop / self._rate)

    def _power(self) -> npt.NDArray[np.float64]:
        """Smoothed mean power of each frame; the last, incomplete frame counts."""
        power = np.concatenate([np.zeros(0), *self._energy]) / self._hop
        if len(self._rest):
            power = np.append(power, _energy(self._rest, self._hop) / len(self._rest))
        if not len(power):
            return power
        padded = np.pad(power, SMOOTH_FRAMES // 2, mode="edge")
        smooth = np.convolve(padded, np.full(SMOOTH_FRAMES, 1 / SMOOTH_FRAMES), mode="valid")
        return np.maximum(smooth, SILENCE_POWER)


def _next_cut(
    here: int,
    power: npt.NDArray[np.float64],
    quiet: npt.NDArray[np.bool_],
    pauses: npt.NDArray[np.int64],
    shortest: int,
    longest: int,
    search: int,
) -> tuple[int, bool] | None:
    """The frame to cut at after `here` and whether it is quiet; None when the rest is one window."""
    at = int(np.searchsorted(pauses, here + shortest))
    if at < len(pauses) and pauses[at] <= here + longest:
        return int(pauses[at]), True
    if len(power) - here <= longest:
        return None
    low = max(here + 1, here + longest - search)
    frame = low + int(np.argmin(power[low : here + longest + 1]))
    return frame, bool(quiet[frame])


def _energy(samples: npt.NDArray[np.float32], hop: int) -> npt.NDArray[np.float64]:
    """The sum of squares of each `hop` samples; the last sum may be of fewer."""
    if not len(samples):
        return np.zeros(0)
    return np.asarray(np.add.reduceat(np.square(samples), np.arange(0, len(samples), hop), dtype=np.float64))


def _quiet_level(power: npt.NDArray[np.float64]) -> float:
    """The power below which a frame of this recording is quiet."""
    if len(power) == 0:
        return 0.0
    floor, loud = np.percentile(power, (FLOOR_PERCENTILE, LOUD_PERCENTILE))
    return float(min(floor * 10 ** (QUIET_DB / 10), loud * 10 ** (-QUIET_BELOW_LOUD_DB / 10)))


def _pause_middles(quiet: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.int64]:
    """Middle frames of the runs of at least `shortest` quiet frames."""
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    middles: npt.NDArray[np.int64] = (starts + ends)[ends - starts >= shortest] // 2
    return middles


def _windows(cuts: list[tuple[int, bool]], overlap: int) -> list[Window]:
    """Turn cuts into windows, overlapping at the ones that were not quiet."""
    total = cuts[-1][0]
    windows = []
    for (start, start_quiet), (end, end_quiet) in pairwise(cuts):
        if end > start:
            before = 0 if start_quiet else overlap
            after = 0 if end_quiet else overlap
            windows.append(Window(max(0, start - before), min(total, end + after), start, end))
    return windows
