"""Bytes of many kinds, whole and damaged, through `decode`."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio import decode as decode_module
from sorigil.audio.decode import decode
from sorigil.audio.headers import flac_samples, mp3_samples, ogg_is_cut, payload_claim
from sorigil.audio.spec import RawAudio
from sorigil.errors import AudioError

RATE = 16000


def tone(num_samples: int = 8000, channels: int = 1) -> np.ndarray:
    time = np.arange(num_samples)[:, None] / RATE
    return (0.5 * np.sin(2 * np.pi * 300 * (1 + np.arange(channels)) * time)).astype(np.float32)


def encoded(container: str, subtype: str | None = None, samples: np.ndarray | None = None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone() if samples is None else samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def reason_of(data: bytes, **options: object) -> str:
    with pytest.raises(AudioError) as caught:
        decode(data, **options)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 0.01), ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "PCM_32", 1e-7), ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0), ("WAV", "ULAW", 0.02), ("WAV", "ALAW", 0.02), ("WAVEX", "PCM_24", 1e-6), ("RF64", "PCM_16", 1e-4),
        ("RF64", "FLOAT", 0), ("W64", "PCM_16", 1e-4), ("AIFF", "PCM_S8", 0.01), ("AIFF", "PCM_16", 1e-4), ("AIFF", "PCM_24", 1e-6),
        ("AIFF", "FLOAT", 0), ("AIFF", "ULAW", 0.02), ("AU", "PCM_16", 1e-4), ("AU", "ULAW", 0.02), ("AU", "ALAW", 0.02),
        ("AU", "DOUBLE", 0), ("CAF", "PCM_16", 1e-4), ("CAF", "PCM_32", 1e-7), ("CAF", "ALAW", 0.02), ("NIST", "PCM_16", 1e-4),
        ("NIST", "PCM_24", 1e-6), ("NIST", "ULAW", 0.02), ("NIST", "ALAW", 0.02), ("FLAC", "PCM_S8", 0.01),
        ("FLAC", "PCM_16", 1e-4), ("FLAC", "PCM_24", 1e-6), ("OGG", "VORBIS", 0.1), ("OGG", "OPUS", 0.1),
    ],
)  # fmt: skip
def test_containers(container: str, subtype: str, tolerance: float) -> None:
    samples = tone(channels=2)
    decoded = decode(encoded(container, subtype, samples))
    assert decoded.samples.dtype == np.float32 and decoded.samples.shape == samples.shape
    assert (decoded.num_samples, decoded.channels, decoded.sample_rate) == (8000, 2, RATE)
    assert decoded.header_samples == 8000
    assert decoded.container == f"{container}/{subtype}"
    np.testing.assert_allclose(decoded.samples[500:-500], samples[500:-500], atol=tolerance)


@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "CAF", "NIST"])
def test_either_byte_order(container: str, endian: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(), RATE, format=container, subtype="PCM_16", endian=endian)
    decoded = decode(file.getvalue())
    assert decoded.header_samples == 8000
    np.testing.assert_allclose(decoded.samples, tone(), atol=1e-4)


def test_a_broadcast_wave() -> None:
    """BWF: WAV with a `bext` chunk before the sound, as recorders and archives write it."""
    wav = encoded("WAV", "PCM_16")
    bext = b"bext" + (602).to_bytes(4, "little") + b"Description".ljust(602, b"\0")
    decoded = decode(wav[:12] + bext + wav[12:])
    assert (decoded.num_samples, decoded.header_samples) == (8000, 8000)
    np.testing.assert_array_equal(decoded.samples, decode(wav).samples)


def sphere(coding: str, num_bytes: int, payload: bytes, channels: int = 1) -> bytes:
    """A NIST SPHERE file as the LDC writes them."""
    fields = f"""sample_count -i {len(payload) // num_bytes // channels}
sample_rate -i 8000
channel_count -i {channels}
sample_n_bytes -i {num_bytes}
sample_byte_format -s{num_bytes} {"1" if num_bytes == 1 else "01"}
sample_coding -s{len(coding)} {coding}
end_head
"""
    return f"NIST_1A\n   1024\n{fields}".encode().ljust(1024) + payload


def test_sphere_of_the_telephone_corpora() -> None:
    codes = bytes(range(256)) * 10
    expected = soundfile.read(io.BytesIO(codes), samplerate=8000, channels=2, format="RAW", subtype="ULAW")[0]
    decoded = decode(sphere("ulaw", 1, codes, channels=2))
    assert (decoded.sample_rate, decoded.channels, decoded.header_samples) == (8000, 2, 1280)
    np.testing.assert_allclose(decoded.samples, expected)
    assert reason_of(sphere("ulaw", 1, codes, channels=2)[:-500]) == "truncated"


@pytest.mark.parametrize(
    "coding", ["pcm,embedded-shorten-v2.00", "ulaw,embedded-shorten-v1.09", "pcm, embedded-wavpack-v1"]
)
def test_sphere_that_is_compressed_is_refused_with_advice(coding: str) -> None:
    data = sphere(coding, 2, b"ajkg\x02" + bytes(995))
    with pytest.raises(
        AudioError, match=r"SPHERE file compressed by (shorten|wavpack); expand it with sph2pipe"
    ) as caught:
        decode(data)
    assert caught.value.reason == "unsupported_encoding"


def test_mp3() -> None:
    decoded = decode(encoded("MP3"))
    assert decoded.container.startswith("MP3") and abs(decoded.num_samples - 8000) < 3000


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_is_refused(container: str, share: float) -> None:
    data = encoded(container, "PCM_16", tone(RATE * 2))
    assert reason_of(data[: int(len(data) * share)]) in ("truncated", "decode_failed")


def test_a_cut_ogg_is_refused() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE * 4).astype(np.float32) * 0.1
    data = encoded("OGG", "VORBIS", noise)
    assert not ogg_is_cut(data)
    assert reason_of(data[: int(len(data) * 0.6)]) == "truncated"


def test_a_cut_mp3_is_refused_when_it_states_its_length() -> None:
    data = encoded("MP3", samples=tone(RATE * 4))
    assert mp3_samples(data), "libsndfile's LAME writes an Info header"
    assert reason_of(data[: len(data) // 2]) == "truncated"


def test_an_mp3_of_variable_rate_without_an_info_header_claims_nothing() -> None:
    loud = np.random.default_rng(0).standard_normal((RATE * 4, 1)).astype(np.float32) * 0.3
    loud[: RATE * 2] = 0  # frames of the silent half are smaller, so a guess from the first ones is far off
    data = encoded("MP3", samples=loud)
    assert mp3_samples(data)
    bare = data[data.index(b"\xff" + data[1:2], 4) :]  # from the second frame on
    assert mp3_samples(bare) is None
    decoded = decode(bare)
    assert decoded.header_samples is None and abs(decoded.num_samples - RATE * 4) < 4000


def test_a_few_lost_samples_are_noted_only() -> None:
    decoded = decode(encoded("WAV", "PCM_16")[:-100])
    assert (decoded.num_samples, decoded.header_samples) == (7950, 8000)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_streamed_wav_states_no_length(size: int) -> None:
    data = bytearray(encoded("WAV", "PCM_16"))
    data[4:8] = data[40:44] = struct.pack("<I", size)
    assert payload_claim(bytes(data)) is None
    assert decode(bytes(data)).num_samples == 8000


def test_a_streamed_flac_states_no_length() -> None:
    data = bytearray(encoded("FLAC"))
    assert flac_samples(bytes(data)) == 8000
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert flac_samples(bytes(data)) is None
    assert decode(bytes(data)).num_samples == 8000


def test_a_flac_claiming_a_year_asks_for_no_memory() -> None:
    data = bytearray(encoded("FLAC"))
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    assert reason_of(bytes(data)) in ("truncated", "decode_failed")


def test_reading_in_blocks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("FLAC", "PCM_16", tone(10_000, channels=2))
    whole = decode(data).samples
    monkeypatch.setattr(decode_module, "READ_VALUES", 2500)  # divides the length: the last read is empty
    np.testing.assert_array_equal(decode(data).samples, whole)


def test_the_content_decides_not_the_name() -> None:
    assert decode(encoded("FLAC"), name="a.mp3").container == "FLAC/PCM_16"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"<!DOCTYPE html><html>not found</html>", "not_audio"),
        (b"hello", "not_audio"),
        (bytes(5000), "not_audio"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "bad_header"),
        (b"fLaC" + bytes(60), "unsupported_encoding"),
    ],
)
def test_what_is_no_audio(data: bytes, reason: str) -> None:
    assert reason_of(data) == reason
    with pytest.raises(AudioError, match=r"disk7/x\.wav"):
        decode(data, name="disk7/x.wav")


def test_a_header_without_samples() -> None:
    assert reason_of(encoded("WAV", "PCM_16", tone(0))) == "no_samples"


@pytest.mark.parametrize("rate", [999, 1_092_676])
def test_an_absurd_sample_rate(rate: int) -> None:
    data = bytearray(encoded("WAV", "PCM_16"))
    data[24:28] = struct.pack("<I", rate)
    assert reason_of(bytes(data)) == "bad_header"


def test_an_unknown_encoding() -> None:
    data = bytearray(encoded("WAV", "PCM_16"))
    data[34:36] = struct.pack("<H", 45)  # bits per sample
    assert reason_of(bytes(data)) == "unsupported_encoding"


@pytest.mark.parametrize("head", [b"\x00\x00\x00\x20ftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1\x50\x80"])
def test_the_extra_is_named_when_it_is_missing(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "find_spec", lambda name: None)
    with pytest.raises(AudioError, match=r"sorigil\[formats\]") as caught:
        decode(head + bytes(200))
    assert caught.value.reason == "needs_formats"


@pytest.mark.parametrize("head", [b"\x00\x00\x00\x20ftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1\x50\x80"])
def test_rubbish_behind_a_promising_head(head: bytes) -> None:
    pytest.importorskip("av")
    assert reason_of(head + bytes(200)) in (
        "decode_failed",
        "not_audio",
        "no_samples",
        "unsupported_encoding",
        "bad_header",
    )


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "aac"), ("adts", "aac"), ("matroska", "aac"), ("webm", "libopus")]
)
def test_ffmpegs_containers(container: str, codec: str) -> None:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    rate = 48000
    wave = (0.5 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)).astype(np.float32)
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    decoded = decode(file.getvalue())
    assert decoded.sample_rate == rate and decoded.channels == 1
    assert abs(decoded.num_samples - rate) < 3000
    assert abs(float(decoded.samples[4000:-4000].std()) - 0.5 / np.sqrt(2)) < 0.02


def test_the_sound_of_a_video() -> None:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    wave = (0.5 * np.sin(2 * np.pi * 300 * np.arange(48000) / 48000)).astype(np.float32)
    with av.open(file, "w", format="matroska") as out:
        pictures = out.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(10):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = number
            out.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        out.mux([*sound.encode(frame), *sound.encode(None), *pictures.encode(None)])
    decoded = decode(file.getvalue())
    assert (decoded.container, decoded.sample_rate, decoded.num_samples) == ("matroska/pcm_s16le", 48000, 48000)
    np.testing.assert_allclose(decoded.samples[:, 0], wave, atol=1e-4)


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [("s16le", "<i2"), ("s16be", ">i2"), ("s32le", "<i4"), ("s32be", ">i4"), ("f32le", "<f4"), ("f32be", ">f4"), ("f64le", "<f8")],
)  # fmt: skip
def test_headerless(encoding: str, dtype: str) -> None:
    samples = tone(channels=2)
    scale = {"<i2": 2**15, ">i2": 2**15, "<i4": 2**31, ">i4": 2**31}.get(dtype, 1)
    data = (samples.astype(np.float64) * scale).astype(dtype).tobytes()
    decoded = decode(data, raw=RawAudio(sample_rate=22050, channels=2, encoding=encoding))
    assert decoded.sample_rate == 22050
    np.testing.assert_allclose(decoded.samples, samples, atol=1e-4)


def test_a_header_wins_over_the_hint() -> None:
    assert decode(encoded("WAV", "PCM_16"), raw=RawAudio(sample_rate=8000)).sample_rate == RATE


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3"]),
    st.integers(0, 2**31),
    st.integers(0, 12),
    st.floats(0, 1),
)
def test_damage_never_escapes_as_another_error(container: str, seed: int, flips: int, kept: float) -> None:
    data = bytearray(_whole(container))
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, min(len(data), 200), flips):
        data[place] = rng.integers(0, 256)
    try:
        decoded = decode(bytes(data[: int(len(data) * kept)]))
    except AudioError as error:
        assert error.reason.replace("_", "").isalpha()
    else:
        assert decoded.samples.ndim == 2 and decoded.num_samples > 0


_CACHE: dict[str, bytes] = {}


def _whole(container: str) -> bytes:
    if container not in _CACHE:
        _CACHE[container] = encoded(container)
    return _CACHE[container]
