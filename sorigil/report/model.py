"""What a report is made of: plain values that a task gathers from the store, the model and the scores.

Nothing is computed or looked up here, and every part of a `Page` may be absent: a run that only prepared data has no
training, one that only transcribed has no confusion matrix. `sorigil.report.page.render` turns it into HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorigil.metrics.calibration import ReliabilityBin
from sorigil.metrics.per_tag import TagScore
from sorigil.types import Rejection

Op = Literal["equal", "substitute", "delete", "insert"]
Edit = tuple[
    Op, str, str
]  # what happened, the words of the reference, the words of the hypothesis ("" where there are none)
Amount = tuple[
    int, float | None
]  # items and seconds of audio; None where the seconds are not known (it could not be decoded)
PARTS_OF_SCANNED = ("kept", "filtered", "duplicate", "quarantined")


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """What became of every utterance of the source."""

    rows: Mapping[str, Amount]  # scanned, kept, filtered, duplicate, quarantined, trimmed: of the whole version
    work: Mapping[str, Amount] = field(default_factory=dict)  # new, reused: of this run
    quarantine: Mapping[str, int] = field(default_factory=dict)  # reason -> items
    filtered: Mapping[str, int] = field(default_factory=dict)  # reason -> items
    examples: tuple[Rejection, ...] = ()  # some rows of the quarantine table, a few per reason
    table: str = ""  # where the whole quarantine table is

    @property
    def unaccounted(self) -> int:
        """Items scanned that are neither kept, filtered, duplicate nor quarantined: 0 when the books balance."""
        items = {name: amount[0] for name, amount in self.rows.items()}
        return items.get("scanned", 0) - sum(items.get(name, 0) for name in PARTS_OF_SCANNED)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Columns:
    """One entry per kept utterance, all arrays of the same length N; None leaves a chart out.

    Strings may be None or "" where the source did not say.
    """

    durations: npt.NDArray[np.floating[Any]]  # (N,) seconds
    speakers: npt.NDArray[Any] | None = None
    labels: npt.NDArray[Any] | None = None
    languages: npt.NDArray[Any] | None = None
    splits: npt.NDArray[Any] | None = None
    sample_rates: npt.NDArray[Any] | None = None  # (N,) Hz, of the source
    measures: Mapping[str, npt.NDArray[np.floating[Any]]] = field(default_factory=dict)  # by column; NaN: not known

    @property
    def hours(self) -> float:
        """All durations together."""
        return float(np.nansum(np.asarray(self.durations, dtype=np.float64))) / 3600


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """Features of one utterance, to look at, and optionally its sound."""

    title: str
    features: npt.NDArray[np.floating[Any]]  # (T, F), as stored: rows are frames, columns bands, bins or coefficients
    seconds_per_frame: float
    kind: str  # log_mel, mfcc, linear, power, ...: decides scale and axis
    caption: str = ""
    highest_hz: float | None = None  # of the last column, when columns lie evenly in frequency (linear, power)
    audio_flac: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRun:
    """One model's training. Each row of `history` is an epoch.

    Keys of a row that are drawn: `epoch`, `learning_rate`, whatever has `loss` in its name, whatever begins with `dev_`
    (a metric). Everything else (`seconds`, ...) is only listed.
    """

    name: str
    model: str
    objective: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    best_epoch: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One score with its uncertainty. Rates (wer, cer, accuracy, macro_f1, ...) are shares of 1."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    interval_by_speaker: tuple[float, float] | None = None
    n: int | None = None  # what the rate is a share of: reference words, characters, items
    detail: Mapping[str, float] = field(default_factory=dict)  # substitutions, deletions, insertions, ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Confusion:
    """Counts by class: rows are references, columns hypotheses, both in the order of `labels`."""

    labels: tuple[str, ...]
    matrix: npt.NDArray[np.integer[Any]]  # (C, C)

    def __post_init__(self) -> None:
        expected = (len(self.labels), len(self.labels))
        if np.shape(self.matrix) != expected:
            raise ValueError(
                f"the matrix is {np.shape(self.matrix)}; for {len(self.labels)} labels it must be {expected}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class UtteranceRow:
    """One utterance that a model got wrong. For a classifier, reference and hypothesis are labels."""

    id: str
    reference: str
    hypothesis: str
    errors: int
    speaker: str | None = None
    difference: tuple[Edit, ...] = ()  # empty: taken as one substitution of the whole
    audio_flac: bytes | None = None
    confidence: float | None = None

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The aligned difference, or the plainest one where none was given."""
        if self.difference:
            return self.difference
        return (("equal" if self.reference == self.hypothesis else "substitute", self.reference, self.hypothesis),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The scores of one model on one slice of one dataset, and what it got wrong there."""

    name: str  # of the training run, or of the model
    dataset: str
    split: str
    metrics: tuple[Metric, ...] = ()
    confusion: Confusion | None = None
    reliability: tuple[ReliabilityBin, ...] = ()  # of a classifier, and of the words of a recogniser
    tags: tuple[TagScore, ...] = ()
    worst: tuple[UtteranceRow, ...] = ()
    note: str = ""  # normaliser, decoder: what one must know to compare


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Folds or a sweep: the tables of `sorigil.report.studies`, each with its head."""

    name: str
    note: str
    spread: tuple[tuple[str, ...], ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    trials: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One step of the run, with the audio that went through it."""

    name: str
    seconds: float
    audio_seconds: float | None = None

    @property
    def times_real_time(self) -> float | None:
        """Seconds of audio done in one second, or None where there was none or nothing to do."""
        return self.audio_seconds / self.seconds if self.audio_seconds and self.seconds > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """One recording of an archive, as transcribed. `link` is relative to the page; others are shown as text only."""

    recording: str
    minutes: float
    words: int
    excerpt: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One run, whole."""

    title: str
    pipeline: str
    version: str | None = None  # of the dataset
    when: str = ""
    commands: tuple[tuple[str, str], ...] = ()  # what for, the command line: to go on with
    books: Books | None = None
    columns: Columns | None = None
    pictures: tuple[Picture, ...] = ()
    training: tuple[TrainingRun, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    studies: tuple[Study, ...] = ()
    stages: tuple[Stage, ...] = ()
    transcripts: tuple[Transcript, ...] = ()
