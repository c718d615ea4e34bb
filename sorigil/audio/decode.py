"""Any audio file → float32 samples, or an `AudioError` that says what is wrong with it.

The content decides what a file is, never its name. libsndfile reads WAV, FLAC, Ogg, MP3, AIFF, NIST and more (short FLAC
files take a faster way: `flac`); what it cannot open goes to FFmpeg through the optional extra `formats`. A file that holds
clearly less sound than its header claims is refused, never half used. Level, rate and channels are left as they are: that
is `prepare`'s work. A short recording comes whole, a long one in blocks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from sorigil.audio.flac import is_damaged, read_flac
from sorigil.audio.headers import (
    Bytes,
    FileBytes,
    claimed_samples,
    flac_samples,
    mp3_samples,
    ogg_is_cut,
    sphere_packing,
    stream_info,
)
from sorigil.audio.spec import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, RawAudio
from sorigil.errors import AudioError

READ_VALUES = 1 << 21  # per read, so that a header claiming 10^10 samples asks for no memory
HELD_VALUES = 1 << 24  # samples times channels, 64 MiB: what lasts longer is a long recording
SLACK_SECONDS = 0.01  # a header may promise this much more than there is
LOSSY_SLACK_SECONDS = 0.25  # encoder delay, padding and frames of up to 4,096 samples are counted differently

_RAW_SUBTYPES = {
    "s8": "PCM_S8", "u8": "PCM_U8", "s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE",
    "ulaw": "ULAW", "alaw": "ALAW",
}  # fmt: skip
_LIBSNDFILE = (soundfile.SoundFileError, RuntimeError, ValueError)  # what it fails with
_LOSSLESS = ("WAV", "RF64", "AIFF", "AU", "NIST", "CAF", "W64", "FLAC", "RAW")
_OURS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"fLaC", b"OggS", b"NIST", b"caff", b"ID3")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A decoded recording: `samples` is float32 (num_samples, channels), full scale ±1.

    `header_samples` is what the header claimed per channel, None where it claims nothing; small differences are normal
    in lossy formats.
    """

    samples: Floats
    sample_rate: int
    container: str  # such as WAV/PCM_16
    header_samples: int | None = None

    @property
    def num_samples(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])


@dataclass(kw_only=True, slots=True)
class LongRecording:
    """A recording that is decoded as it is read: iterate over it once, float32 (num_samples, channels) at a time.

    `num_samples` and `header_samples` are known when the iteration is over. It raises AudioError where it breaks off:
    decode_failed, truncated.
    """

    sample_rate: int
    channels: int
    container: str
    blocks: Iterator[Floats] = field(repr=False)
    num_samples: int = 0
    header_samples: int | None = None

    def __iter__(self) -> Iterator[Floats]:
        return self.blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """A file that a decoder has opened: what it is, its samples in blocks, and what its header claims about their number,
    given the number that came out."""

    sample_rate: int
    channels: int
    container: str
    blocks: Iterator[Floats]
    claim: Callable[[int], int | None]


class _Quiet:
    """A damaged file makes libsndfile seek before the start; refuse quietly, where Python's files raise in its callback."""

    def __init__(self, file: BinaryIO) -> None:
        self._seek = file.seek
        self.tell = file.tell
        self.read = file.read
        self.readinto = file.readinto  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return int(self._seek(offset, whence))
        except (ValueError, OverflowError, OSError):
            return int(self.tell())


def decode(data: bytes, *, name: str = "", raw: RawAudio | None = None) -> Decoded:
    """Decode a whole file held in memory, however long. `name` is only for error messages.

    `raw` says how to read a headerless file; a file that does have a known header is read by that, not by `raw`.

    Raises AudioError with the reason: empty_file, not_audio, needs_formats (install the extra), bad_header,
    unsupported_encoding, decode_failed, truncated, no_samples.
    """
    found = open_audio(io.BytesIO(data), name=name, raw=raw)
    if isinstance(found, Decoded):
        return found
    samples = np.concatenate(list(found))
    return Decoded(
        samples=samples,
        sample_rate=found.sample_rate,
        container=found.container,
        header_samples=found.header_samples,
    )


def open_audio(file: BinaryIO, *, name: str = "", raw: RawAudio | None = None) -> Decoded | LongRecording:
    """Decode a seekable file: a short recording at once, a long one (more than `HELD_VALUES`) as it is iterated over.

    The file must stay open until then. Arguments and errors are those of `decode`.
    """
    label = name or "the file"
    data: Bytes = file.getvalue() if isinstance(file, io.BytesIO) else FileBytes(file)
    if not len(data):
        raise AudioError("empty_file", f"{label} has 0 bytes")
    if (packing := sphere_packing(data)) is not None:
        advice = "expand it with sph2pipe (sph2pipe -p -f wav FILE) or NIST's w_decode"
        raise AudioError("unsupported_encoding", f"{label} is a SPHERE file compressed by {packing}; {advice}")
    if raw is not None and not data[:4].startswith(_OURS):
        return _decode_raw(file, data, raw, label)
    if isinstance(data, bytes) and (decoded := _decode_flac(data, label)) is not None:
        return decoded
    try:
        return _begin(_with_libsndfile(file, data, label), data, label)
    except _LIBSNDFILE as error:
        failure = _explain(data, error, label)
    if failure.reason == "bad_header" and data[:4] in (b"RIFF", b"RIFX", b"RF64"):
        raise failure  # FFmpeg reads no WAV that libsndfile cannot
    if find_spec("av") is None:
        raise failure
    from sorigil.audio.ffmpeg import read_with_ffmpeg

    file.seek(0)
    return _checked_md5(_begin(read_with_ffmpeg(file, data, label, failure), data, label), data, label)


def _decode_flac(data: bytes, label: str) -> Decoded | None:
    """A short FLAC file that is as it should be, the fast way; None for anything else."""
    info = stream_info(data)
    if info is None or info.num_samples * info.channels > HELD_VALUES:
        return None
    samples = read_flac(data, info)
    if samples is None:
        return None
    check_rate(info.sample_rate, label)
    return Decoded(
        samples=samples,
        sample_rate=info.sample_rate,
        container=f"FLAC/PCM_{info.bits}",
        header_samples=info.num_samples,
    )


def _checked_md5(decoded: Decoded | LongRecording, data: Bytes, label: str) -> Decoded | LongRecording:
    """Refuses a FLAC file with a damaged frame, which FFmpeg decodes to whatever comes out; not looked for in a long one."""
    info = stream_info(data)
    if info is not None and isinstance(decoded, Decoded) and is_damaged(info, decoded.samples):
        raise AudioError(
            "decode_failed", f"{label} is FLAC but damaged: its samples are not those whose MD5 its header has"
        )
    return decoded


def _begin(reader: Reader, data: Bytes, label: str) -> Decoded | LongRecording:
    """Take as much as may be held. A decoder that fails in the beginning fails here, where another may be tried."""
    held: list[Floats] = []
    values = 0
    for block in reader.blocks:
        held.append(block)
        values += block.size
        if values > HELD_VALUES:
            return _long(reader, held, data, label)
    samples = np.concatenate([np.zeros((0, reader.channels), np.float32), *held]) if len(held) != 1 else held[0]
    if not len(samples):
        raise AudioError("no_samples", f"{label} has a valid {reader.container} header but no samples")
    claimed = _checked_claim(reader, len(samples), data, label)
    return Decoded(samples=samples, sample_rate=reader.sample_rate, container=reader.container, header_samples=claimed)


def _long(reader: Reader, held: list[Floats], data: Bytes, label: str) -> LongRecording:
    def blocks() -> Iterator[Floats]:
        try:
            for block in chain(_emptied(held), reader.blocks):
                recording.num_samples += len(block)
                yield block
        except _LIBSNDFILE as error:
            raise AudioError(
                "decode_failed", f"{label} breaks off at sample {recording.num_samples}: {error}"
            ) from error
        recording.header_samples = _checked_claim(reader, recording.num_samples, data, label)

    recording = LongRecording(
        sample_rate=reader.sample_rate, channels=reader.channels, container=reader.container, blocks=blocks()
    )
    return recording


def _emptied(held: list[Floats]) -> Iterator[Floats]:
    """The blocks in order, each forgotten when it is given out."""
    held.reverse()
    while held:
        yield held.pop()


def _with_libsndfile(file: BinaryIO, data: Bytes, label: str, **raw: Any) -> Reader:
    file.seek(0)
    sound = soundfile.SoundFile(_Quiet(file), **raw)
    check_rate(sound.samplerate, label)
    container = f"{sound.format}/{sound.subtype}"
    frames = sound.frames

    def blocks() -> Iterator[Floats]:
        size = max(1, READ_VALUES // sound.channels)
        with sound:
            while len(block := sound.read(size, dtype="float32", always_2d=True)):
                yield block
                if len(block) < size:
                    return

    return Reader(
        sample_rate=sound.samplerate,
        channels=sound.channels,
        container=container,
        blocks=blocks(),
        claim=lambda decoded: _claimed_samples(data, container, decoded, frames),
    )


def _decode_raw(file: BinaryIO, data: Bytes, raw: RawAudio, label: str) -> Decoded | LongRecording:
    encoding = raw.encoding.removesuffix("le").removesuffix("be")
    order = "BIG" if raw.encoding.endswith("be") else "LITTLE"
    try:
        reader = _with_libsndfile(
            file, data, label, format="RAW", subtype=_RAW_SUBTYPES[encoding], endian=order,
            samplerate=raw.sample_rate, channels=raw.channels,
        )  # fmt: skip
        return _begin(reader, data, label)
    except _LIBSNDFILE as error:
        raise AudioError("decode_failed", f"{label} cannot be read as {raw.encoding}: {error}") from error


def _claimed_samples(data: Bytes, container: str, decoded: int, frames: int) -> int | None:
    """What the header claims, from our own reading of it where libsndfile adapts the claim to what it finds."""
    claimed = claimed_samples(data, decoded) if not container.startswith("RAW") else None
    if claimed is not None:
        return claimed
    if container.startswith(("MP3", "MPEG")):
        return mp3_samples(data)  # without an Info header libsndfile guesses from the bit rate
    return frames if frames < 1 << 40 else None  # libsndfile gives 2^63 - 1 for "unknown"


def _checked_claim(reader: Reader, decoded: int, data: Bytes, label: str) -> int | None:
    """What the header claims; refuses a file that holds clearly less."""
    if ogg_is_cut(data):
        raise AudioError("truncated", f"{label} ends in the middle of an Ogg page: it was cut")
    claimed = reader.claim(decoded)
    if claimed is None:
        return None
    lossless = reader.container.upper().startswith(_LOSSLESS)
    slack = (SLACK_SECONDS if lossless else LOSSY_SLACK_SECONDS) * reader.sample_rate
    if claimed - decoded > slack:
        expected, found = claimed / reader.sample_rate, decoded / reader.sample_rate
        raise AudioError("truncated", f"{label}: its header claims {expected:.3f} s but only {found:.3f} s are there")
    return claimed


def check_rate(sample_rate: int, label: str) -> None:
    """Refuse what no recorder writes: a damaged header."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        bounds = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        raise AudioError("bad_header", f"{label} claims a sample rate of {sample_rate} Hz; expected {bounds}")


def _explain(data: Bytes, error: Exception, label: str) -> AudioError:
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
    if data[:4].startswith(_OURS):
        return AudioError("bad_header", f"{label} begins like audio but its header is damaged: {said}")
    return AudioError("not_audio", f"{label} is not audio in any known format (it begins with {data[:12]!r})")


def _looks_like_ffmpegs(data: Bytes) -> bool:
    mp4 = data[4:8] in (b"ftyp", b"moov", b"mdat")
    matroska = data[:4] == b"\x1a\x45\xdf\xa3"
    adts = len(data) > 2 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    return mp4 or matroska or adts
