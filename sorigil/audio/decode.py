"""Bytes of any audio file → float32 samples, one pass, or an `AudioError` that says what is wrong with them.

The content decides what a file is, never its name. libsndfile reads WAV, FLAC, Ogg, MP3, AIFF, NIST and more; what it
cannot open goes to FFmpeg through the optional extra `formats`. A file that holds clearly less sound than its header
claims is refused, never half used. Level, rate and channels are left as they are: that is `prepare`'s work.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from sorigil.audio.headers import claimed_samples, flac_samples, mp3_samples, ogg_is_cut
from sorigil.audio.spec import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, RawAudio
from sorigil.errors import AudioError

READ_FRAMES = 1 << 22  # per read, so that a header claiming 10^10 samples asks for no memory
SLACK_SECONDS = 0.01  # a header may promise this much more than there is
LOSSY_SLACK_SECONDS = 0.25  # encoder delay, padding and frames of up to 4,096 samples are counted differently

_RAW_SUBTYPES = {
    "s8": "PCM_S8", "u8": "PCM_U8", "s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE",
    "ulaw": "ULAW", "alaw": "ALAW",
}  # fmt: skip
_LOSSLESS = ("WAV", "RF64", "AIFF", "AU", "NIST", "CAF", "W64", "FLAC", "RAW")
_OURS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"fLaC", b"OggS", b"NIST", b"caff", b"ID3")


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A decoded recording: `samples` is float32 (num_samples, channels), full scale ±1.

    `header_samples` is what the header claimed per channel, None where it claims nothing; small differences are normal
    in lossy formats.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    container: str  # such as WAV/PCM_16
    header_samples: int | None = None

    @property
    def num_samples(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])


class _Bytes(io.BytesIO):
    """A damaged file makes libsndfile seek before the start; refuse quietly, where BytesIO prints a traceback."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return int(super().seek(offset, whence))
        except (ValueError, OverflowError):
            return int(self.tell())


def decode(data: bytes, *, name: str = "", raw: RawAudio | None = None) -> Decoded:
    """Decode a whole file held in memory. `name` is only for error messages.

    `raw` says how to read a headerless file; a file that does have a known header is read by that, not by `raw`.

    Raises AudioError with the reason: empty_file, not_audio, needs_formats (install the extra), bad_header,
    unsupported_encoding, decode_failed, truncated, no_samples.
    """
    label = name or "the file"
    if not data:
        raise AudioError("empty_file", f"{label} has 0 bytes")
    headerless = raw is not None and not data.startswith(_OURS)
    decoded = _decode_raw(data, raw, label) if raw and headerless else _decode_container(data, label)
    if decoded.num_samples == 0:
        raise AudioError("no_samples", f"{label} has a valid {decoded.container} header but no samples")
    _refuse_truncated(data, decoded, label)
    return decoded


def _decode_container(data: bytes, label: str) -> Decoded:
    try:
        return _with_libsndfile(data, label)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        failure = _explain(data, error, label)
    if failure.reason == "bad_header" and data[:4] in (b"RIFF", b"RIFX", b"RF64"):
        raise failure  # FFmpeg reads no WAV that libsndfile cannot
    if find_spec("av") is None:
        raise failure
    from sorigil.audio.ffmpeg import decode_with_ffmpeg

    return decode_with_ffmpeg(data, label, failure)


def _with_libsndfile(data: bytes, label: str, **raw: Any) -> Decoded:
    with soundfile.SoundFile(_Bytes(data), **raw) as sound:
        check_rate(sound.samplerate, label)
        blocks = [sound.read(READ_FRAMES, dtype="float32", always_2d=True)]
        while len(blocks[-1]) == READ_FRAMES:
            blocks.append(sound.read(READ_FRAMES, dtype="float32", always_2d=True))
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        container = f"{sound.format}/{sound.subtype}"
        return Decoded(
            samples=samples,
            sample_rate=sound.samplerate,
            container=container,
            header_samples=_claimed_samples(data, container, len(samples), sound.frames),
        )


def _decode_raw(data: bytes, raw: RawAudio, label: str) -> Decoded:
    encoding = raw.encoding.removesuffix("le").removesuffix("be")
    order = "BIG" if raw.encoding.endswith("be") else "LITTLE"
    try:
        return _with_libsndfile(
            data, label, format="RAW", subtype=_RAW_SUBTYPES[encoding], endian=order,
            samplerate=raw.sample_rate, channels=raw.channels,
        )  # fmt: skip
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise AudioError("decode_failed", f"{label} cannot be read as {raw.encoding}: {error}") from error


def _claimed_samples(data: bytes, container: str, decoded: int, frames: int) -> int | None:
    """What the header claims, from our own reading of it where libsndfile adapts the claim to what it finds."""
    claimed = claimed_samples(data, decoded) if not container.startswith("RAW") else None
    if claimed is not None:
        return claimed
    if container.startswith(("MP3", "MPEG")):
        return mp3_samples(data)  # without an Info header libsndfile guesses from the bit rate
    return frames if frames < 1 << 40 else None  # libsndfile gives 2^63 - 1 for "unknown"


def _refuse_truncated(data: bytes, decoded: Decoded, label: str) -> None:
    if ogg_is_cut(data):
        raise AudioError("truncated", f"{label} ends in the middle of an Ogg page: it was cut")
    if decoded.header_samples is None:
        return
    lossless = decoded.container.upper().startswith(_LOSSLESS)
    slack = (SLACK_SECONDS if lossless else LOSSY_SLACK_SECONDS) * decoded.sample_rate
    if decoded.header_samples - decoded.num_samples > slack:
        claimed, found = decoded.header_samples / decoded.sample_rate, decoded.num_samples / decoded.sample_rate
        raise AudioError("truncated", f"{label}: its header claims {claimed:.3f} s but only {found:.3f} s are there")


def check_rate(sample_rate: int, label: str) -> None:
    """Refuse what no recorder writes: a damaged header."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        bounds = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        raise AudioError("bad_header", f"{label} claims a sample rate of {sample_rate} Hz; expected {bounds}")


def _explain(data: bytes, error: Exception, label: str) -> AudioError:
    """The reason for what libsndfile refused."""
    said = getattr(error, "error_string", None) or str(error)
    if "unimplemented" in said or "nsupported" in said:
        return AudioError("unsupported_encoding", f"{label} holds an encoding that libsndfile does not read: {said}")
    if _looks_like_ffmpegs(data):
        return AudioError(
            "needs_formats",
            f"{label} looks like m4a, mp4, aac, webm or mka; install the extra: pip install 'sorigil[formats]'",
        )
    if flac_samples(data) is not None:
        return AudioError("decode_failed", f"{label} is FLAC but damaged or cut: {said}")
    if data.startswith(_OURS):
        return AudioError("bad_header", f"{label} begins like audio but its header is damaged: {said}")
    return AudioError("not_audio", f"{label} is not audio in any known format (it begins with {data[:12]!r})")


def _looks_like_ffmpegs(data: bytes) -> bool:
    mp4 = data[4:8] in (b"ftyp", b"moov", b"mdat")
    matroska = data[:4] == b"\x1a\x45\xdf\xa3"
    adts = len(data) > 2 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    return mp4 or matroska or adts
