"""A decoded recording and an `AudioSpec` → the prepared audio of one span: int16, one channel, one rate.

Features are computed from exactly these int16 samples (`to_float`), so reading the stored audio back gives identical
features. The statistics are of the span at its source rate, before any scaling.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from sorigil.audio.decode import Decoded
from sorigil.audio.level import FULL_SCALE, gain, rms, to_int16
from sorigil.audio.signal import Signal, measure
from sorigil.audio.spec import AudioSpec, SilenceTrim
from sorigil.errors import AudioError

CLIPPED = 0.999  # of full scale: samples at or beyond count as clipped
SPAN_SLACK_SECONDS = 0.05  # manifests round seconds: a span may end this much after the recording and is cut there
MARGIN_TAPS = 256  # source samples around a span, times the rate's ratio: soxr VHQ's filter is shorter
TRIM_FRAME, TRIM_HOP = 2048, 512  # librosa.effects.trim's defaults

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
    signal: Signal


def prepare(
    decoded: Decoded, spec: AudioSpec, start: int = 0, length: int | None = None, channel: int | None = None
) -> Prepared:
    """Cut, mix, resample, trim and level one span, given in source samples; `channel` overrides the spec's.

    The span is resampled with its surroundings, so it equals the same stretch of the whole recording resampled.

    Raises AudioError with the reason: span_outside, bad_channel, not_finite, too_short, silent.
    """
    start, end = _span(decoded, start, length)
    if end - start < max(1.0, spec.min_seconds * decoded.sample_rate):
        seconds = (end - start) / decoded.sample_rate
        raise AudioError("too_short", f"it lasts {seconds:.4f} s; at least {spec.min_seconds} s are expected")
    low, high = _with_margin(decoded, spec, start, end)
    used = _channels(decoded, spec, channel)[low:high]
    mono = _mix(used)
    span = mono[start - low : end - low]
    stats = _statistics(span, used[start - low : end - low], mono, spec)
    if spec.remove_dc:
        mono = mono - np.float32(stats["dc"])  # before resampling, to which the step at an end would be a click
    samples = _resampled(mono, decoded.sample_rate, spec, low, start, end)
    first, last = _trim_bounds(samples, spec.trim) if isinstance(spec.trim, SilenceTrim) else (0, len(samples))
    kept = samples[first:last]
    if len(kept) < max(1.0, spec.min_seconds * spec.sample_rate):
        raise AudioError("too_short", f"{len(kept) / spec.sample_rate:.4f} s are left after trimming silence")
    removed = round((len(samples) - len(kept)) * decoded.sample_rate / spec.sample_rate)
    return Prepared(
        pcm=to_int16(kept, gain(kept, spec.normalize, spec.sample_rate)),
        sample_rate=spec.sample_rate,
        source_samples=end - start,
        trimmed_samples=min(removed, end - start),
        signal=measure(span, decoded.sample_rate),
        **stats,
    )


def cut(decoded: Decoded, start: int, length: int | None = None) -> Floats:
    """The span's samples as they are, (length, channels); start and length in source samples."""
    start, end = _span(decoded, start, length)
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
    pcm: npt.NDArray[np.int16] = soundfile.read(io.BytesIO(data), dtype="int16")[0]
    return pcm


def _span(decoded: Decoded, start: int, length: int | None) -> tuple[int, int]:
    """Checked bounds of the span in source samples."""
    total, slack = decoded.num_samples, int(SPAN_SLACK_SECONDS * decoded.sample_rate)
    end = total if length is None else start + length
    if start < 0 or end < start or (start >= total and start > 0) or end > total + slack:
        spans = f"samples {start} to {end}" if length is not None else f"sample {start} to the end"
        raise AudioError("span_outside", f"the span is {spans} but the recording has {total} samples")
    return start, min(end, total)


def _with_margin(decoded: Decoded, spec: AudioSpec, start: int, end: int) -> tuple[int, int]:
    """The span widened by the resampler's reach, from where source and target samples coincide."""
    if decoded.sample_rate == spec.sample_rate:
        return start, end
    margin = MARGIN_TAPS * math.ceil(max(1.0, decoded.sample_rate / spec.sample_rate))
    block = decoded.sample_rate // math.gcd(decoded.sample_rate, spec.sample_rate)
    return max(0, start - margin) // block * block, min(decoded.num_samples, end + margin)


def _channels(decoded: Decoded, spec: AudioSpec, channel: int | None) -> Floats:
    """The channels that take part: all of them for a mix, or the one chosen."""
    chosen = spec.channels if channel is None else channel
    if isinstance(chosen, str):  # who wants each asks for one after the other
        return decoded.samples
    if not 0 <= chosen < decoded.channels:
        raise AudioError("bad_channel", f"channel {chosen} is wanted (from 0) but there are {decoded.channels}")
    return decoded.samples[:, chosen : chosen + 1]


def _mix(used: Floats) -> Floats:
    """The mean over channels, as a product: numpy's mean is 40 times slower over so short an axis."""
    channels = used.shape[1]
    return used[:, 0] if channels == 1 else used @ np.full(channels, 1 / channels, dtype=np.float32)


def _statistics(span: Floats, used: Floats, mono: Floats, spec: AudioSpec) -> dict[str, float]:
    """Facts of the span; refuses what is not finite (the margin too: it would spread in resampling) or silent."""
    highest, lowest = float(span.max()), float(span.min())
    if not (math.isfinite(highest) and math.isfinite(lowest) and np.isfinite(mono).all()):
        bad = int(np.count_nonzero(~np.isfinite(mono)))
        raise AudioError("not_finite", f"{bad} samples are NaN or infinite")
    dc = float(span.mean(dtype=np.float64))
    swing = max(highest - dc, dc - lowest)  # a constant is as silent as zeros
    if swing < 10 ** (spec.silence_db / 20):
        level = f"{20 * math.log10(swing):.1f}" if swing > 0 else "-inf"
        raise AudioError("silent", f"its peak is {level} dBFS, below {spec.silence_db} dBFS")
    loud = used.shape[1] > 1 or max(highest, -lowest) >= CLIPPED
    return {
        "peak": max(highest, -lowest),
        "rms": rms(span),
        "clipped_share": float(np.count_nonzero(np.abs(used) >= CLIPPED) / used.size) if loud else 0.0,
        "dc": dc,
    }


def _resampled(mono: Floats, source_rate: int, spec: AudioSpec, low: int, start: int, end: int) -> Floats:
    """The span at the target rate. Neighbouring spans meet without a gap: each end is rounded on the same grid."""
    if source_rate == spec.sample_rate:
        return mono
    whole: Floats = soxr.resample(np.ascontiguousarray(mono), source_rate, spec.sample_rate, quality=spec.resampler)
    offset, first, last = (_scaled(at, source_rate, spec.sample_rate) for at in (low, start, end))
    return whole[first - offset : last - offset]


def _scaled(samples: int, source_rate: int, sample_rate: int) -> int:
    """A place on the source's grid → the nearest one on the target's, in integers (half rounds up)."""
    return (2 * samples * sample_rate + source_rate) // (2 * source_rate)


def _trim_bounds(samples: Floats, trim: SilenceTrim) -> tuple[int, int]:
    """What `librosa.effects.trim` keeps: frames of 2,048 samples above the loudest frame's RMS minus top_db."""
    padded = np.pad(samples, TRIM_FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, TRIM_FRAME)[::TRIM_HOP]
    power = np.einsum("tn,tn->t", frames, frames) / np.float32(TRIM_FRAME)
    power = np.maximum(power, 1e-10)  # amplitude_to_db's amin of 1e-5
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > -trim.top_db)
    return int(loud[0]) * TRIM_HOP, min(len(samples), (int(loud[-1]) + 1) * TRIM_HOP)
