"""What "prepared audio" means: the parameters that turn a decoded recording into the int16 samples we store.

Parameters only. `decode` reads the bytes, `prepare` carries these out; the fingerprint of an `AudioSpec` is part of the
name of everything computed from the prepared audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

MIN_SAMPLE_RATE = 1_000  # Hz; a header outside these bounds is damaged, not exotic
MAX_SAMPLE_RATE = 768_000
MAX_PREPARED_RATE = 192_000  # what every FLAC reader takes
SIGNAL_FORMAT = 1  # of the measures in `signal`; raised when one of them changes: rows are told apart by it

Encoding = Literal[
    "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "u8", "s8", "f32le", "f32be", "f64le", "f64be", "ulaw", "alaw"
]  # fmt: skip
Resampler = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]


def _check_rate(sample_rate: int, highest: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= highest:
        raise ValueError(f"sample_rate is {sample_rate}; it must be {MIN_SAMPLE_RATE} to {highest} Hz")


def _check_level(level_db: float) -> None:
    if level_db > 0:
        raise ValueError(f"level_db is {level_db}; it must be 0 or below (dB relative to full scale)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoNormalize:
    """Leave the level as it is; samples beyond full scale (possible in float files) are clipped."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakNormalize:
    """Scale each utterance so that its largest sample lies `level_db` below full scale."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["peak"] = "peak"
    level_db: float = 0.0

    def __post_init__(self) -> None:
        _check_level(self.level_db)


@dataclass(frozen=True, kw_only=True, slots=True)
class RmsNormalize:
    """Scale each utterance to a root mean square of `level_db` dBFS, less where its peak would pass full scale."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["rms"] = "rms"
    level_db: float = -20.0

    def __post_init__(self) -> None:
        _check_level(self.level_db)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoudnessNormalize:
    """Scale each utterance to an integrated loudness of `lufs` (ITU-R BS.1770), less where its true peak would pass
    `true_peak_db`. A clip of less than 0.4 s is measured as one block; one with nothing above -70 LUFS keeps its level."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["loudness"] = "loudness"
    lufs: float = -23.0  # EBU R 128's
    true_peak_db: float = -1.0  # dBTP, four times oversampled

    def __post_init__(self) -> None:
        if not -70 < self.lufs <= 0:
            raise ValueError(f"lufs is {self.lufs}; it must be above -70 and at most 0 (LUFS)")
        if self.true_peak_db > 0:
            raise ValueError(f"true_peak_db is {self.true_peak_db}; it must be 0 or below (dB relative to full scale)")


Normalize = NoNormalize | PeakNormalize | RmsNormalize | LoudnessNormalize


@dataclass(frozen=True, kw_only=True, slots=True)
class NoTrim:
    """Keep leading and trailing silence."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class SilenceTrim:
    """Cut leading and trailing stretches `top_db` decibels quieter than the loudest frame (`librosa.effects.trim`)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["silence"] = "silence"
    top_db: float = 60.0

    def __post_init__(self) -> None:
        if not self.top_db > 0:
            raise ValueError(f"top_db is {self.top_db}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoSegment:
    """A recording is one utterance, unless the source gives several."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechSegment:
    """Each stretch of speech (Silero VAD) in a recording is an utterance. Spans that the source gives stay as they are."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["vad"] = "vad"
    threshold: float = 0.5  # probability of speech
    min_silence_seconds: float = 0.3  # a shorter gap is part of the stretch
    min_seconds: float = 0.25  # shorter speech is left out
    max_seconds: float = 30.0  # what is longer is cut where speech is least likely; padding not counted
    padding_seconds: float = 0.1  # kept on both sides, as far as no neighbour is in the way

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; it must be above 0 and below 1")
        for name in ("min_silence_seconds", "min_seconds", "padding_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.max_seconds < max(1.0, self.min_seconds):
            least = max(1.0, self.min_seconds)
            raise ValueError(f"max_seconds is {self.max_seconds}; it must be at least {least:g} (1 and min_seconds)")


@dataclass(frozen=True, kw_only=True, slots=True)
class PauseSegment:
    """A recording is cut at pauses into utterances; nothing is left out. Spans that the source gives stay as they are."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["pauses"] = "pauses"
    max_seconds: float = 30.0  # no utterance is longer: without a pause it is cut at the quietest moment
    min_seconds: float = 5.0  # no pause sooner than this is taken
    pause_seconds: float = 0.3  # of quiet

    def __post_init__(self) -> None:
        if not 0 <= self.min_seconds < self.max_seconds:
            raise ValueError(f"min_seconds is {self.min_seconds}; it must be at least 0 and below max_seconds")
        if self.pause_seconds <= 0:
            raise ValueError(f"pause_seconds is {self.pause_seconds}; it must be above 0")


Segment = NoSegment | SpeechSegment | PauseSegment


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioSpec:
    """How a span of a recording becomes prepared audio: int16, one channel, one sample rate."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    FORMAT: ClassVar[int] = 1

    sample_rate: int = 16_000  # Hz, of the prepared audio
    channels: Literal["mono", "each"] | int = "mono"  # their mean; each an utterance; or one of them, counted from 0
    remove_dc: bool = False  # subtract the utterance's mean
    normalize: Normalize = PeakNormalize()
    trim: NoTrim | SilenceTrim = NoTrim()
    resampler: Resampler = "HQ"  # soxr's qualities
    silence_db: float = -80.0  # dBFS; a span whose peak (around its mean) stays below is rejected as silent
    min_seconds: float = 0.02  # a shorter span is rejected as too short
    bits: Literal[16] = 16
    segment: Segment = NoSegment()  # how a recording without given spans becomes several utterances

    def __post_init__(self) -> None:
        _check_rate(self.sample_rate, MAX_PREPARED_RATE)
        if not isinstance(self.channels, str) and (isinstance(self.channels, bool) or self.channels < 0):
            raise ValueError(f"channels is {self.channels}; it must be mono, each or a channel number from 0")
        if self.silence_db > 0:
            raise ValueError(f"silence_db is {self.silence_db}; it must be 0 or below (dB relative to full scale)")
        if self.min_seconds < 0:
            raise ValueError(f"min_seconds is {self.min_seconds}; it must be 0 or above")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawAudio:
    """What a headerless PCM file does not say itself."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    sample_rate: int
    channels: int = 1
    encoding: Encoding = "s16le"

    def __post_init__(self) -> None:
        _check_rate(self.sample_rate, MAX_SAMPLE_RATE)
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}; it must be at least 1")
