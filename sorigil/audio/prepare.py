"""A decoded recording and an `AudioSpec` → the prepared audio of one span: int16, one channel, one rate.

Features are computed from exactly these int16 samples (`to_float`), so reading the stored audio back gives identical
features. The statistics are of the span at its source rate, before any scaling.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from sorigil.audio.decode import Decoded
from sorigil.audio.flac import read_flac_int16
from sorigil.audio.level import FULL_SCALE, gain, to_int16
from sorigil.audio.pcm import pcm_hash
from sorigil.audio.resample import resample
from sorigil.audio.signal import Signal, measure
from sorigil.audio.spans import checked_span, mix, scaled_place, used_channels, with_margin
from sorigil.audio.spec import AudioSpec, SilenceTrim
from sorigil.audio.statistics import Statistics
from sorigil.audio.trim import trim_bounds
from sorigil.errors import AudioError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """One utterance's prepared audio, `pcm` int16 (num_samples,), and facts of its span in the source."""

    pcm: npt.NDArray[np.int16]
    sample_rate: int
    source_samples: int  # length of the span at the source rate
    trimmed_samples: int  # of these, what trimming removed
    peak: float  # largest magnitude, full scale = 1
    rms: float
    clipped_share: float  # of the samples of the channels used
    dc: float  # the mean
    pcm_hash: str  # of the span's samples, mixed, and their rate: the same in any lossless container
    signal: Signal

    @property
    def num_samples(self) -> int:
        return len(self.pcm)


def prepare(
    decoded: Decoded, spec: AudioSpec, start: int = 0, length: int | None = None, channel: int | None = None
) -> Prepared:
    """Cut, mix, resample, trim and level one span, given in source samples; `channel` overrides the spec's.

    The span is resampled with its surroundings, so it equals the same stretch of the whole recording resampled.

    Raises AudioError with the reason: span_outside, bad_channel, not_finite, too_short, silent.
    """
    rate = decoded.sample_rate
    start, end = checked_span(decoded.num_samples, rate, start, length)
    check_length(end - start, rate, spec)
    low, high = with_margin(spec, rate, start, end)
    used = used_channels(decoded.samples, spec.channels if channel is None else channel)[low:high]
    mono = mix(used)
    inside = slice(start - low, end - low)
    span = mono[inside]
    statistics = Statistics(exact_mean=spec.remove_dc)
    statistics.add(span, used[inside], mono)
    facts = statistics.facts(spec.silence_db)
    if spec.remove_dc:
        mono = mono - np.float32(facts["dc"])  # before resampling, to which the step at an end would be a click
    samples = _resampled(mono, rate, spec, low, start, end)
    first, last = trim_bounds(samples, spec.trim) if isinstance(spec.trim, SilenceTrim) else (0, len(samples))
    kept = samples[first:last]
    return Prepared(
        pcm=to_int16(kept, gain(kept, spec.normalize, spec.sample_rate)),
        sample_rate=spec.sample_rate,
        source_samples=end - start,
        trimmed_samples=removed_by_trim(len(samples), len(kept), end - start, rate, spec),
        pcm_hash=pcm_hash(span, rate),
        signal=measure(span, rate),
        **facts,
    )


def check_length(length: int, sample_rate: int, spec: AudioSpec) -> None:
    """Refuse a span of less than `min_seconds`, given in source samples. Raises AudioError: too_short."""
    if length < max(1.0, spec.min_seconds * sample_rate):
        seconds = length / sample_rate
        raise AudioError("too_short", f"it lasts {seconds:.4f} s; at least {spec.min_seconds} s are expected")


def removed_by_trim(before: int, after: int, length: int, sample_rate: int, spec: AudioSpec) -> int:
    """The source samples, of `length`, that trimming removed; before and after are prepared samples.

    Raises AudioError: too_short, where less than `min_seconds` are left.
    """
    if after < max(1.0, spec.min_seconds * spec.sample_rate):
        raise AudioError("too_short", f"{after / spec.sample_rate:.4f} s are left after trimming silence")
    return min(round((before - after) * sample_rate / spec.sample_rate), length)


def cut(decoded: Decoded, start: int, length: int | None = None) -> Floats:
    """The span's samples as they are, (length, channels); start and length in source samples."""
    start, end = checked_span(decoded.num_samples, decoded.sample_rate, start, length)
    return decoded.samples[start:end]


def to_float(pcm: npt.NDArray[np.int16]) -> Floats:
    """int16 → float32, full scale ±1; exact."""
    return pcm.astype(np.float32) * np.float32(1 / FULL_SCALE)


def encode_flac(pcm: npt.NDArray[np.int16], sample_rate: int) -> bytes:
    """Mono int16 → FLAC bytes; `decode_flac` gives the same samples back."""
    file = io.BytesIO()
    soundfile.write(file, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_flac(data: bytes) -> npt.NDArray[np.int16]:
    """FLAC bytes as written by `encode_flac` → int16 (num_samples,)."""
    pcm = read_flac_int16(data)
    if pcm is None:
        raise ValueError(f"{len(data)} bytes are not the FLAC of prepared audio: mono, 16 bits, every sample there")
    return pcm


def _resampled(mono: Floats, source_rate: int, spec: AudioSpec, low: int, start: int, end: int) -> Floats:
    """The span at the target rate. Neighbouring spans meet without a gap: each end is rounded on the same grid."""
    if source_rate == spec.sample_rate:
        return mono
    whole = resample(mono, source_rate, spec.sample_rate, spec.resampler)
    offset, first, last = (scaled_place(at, source_rate, spec.sample_rate) for at in (low, start, end))
    return whole[first - offset : last - offset]
