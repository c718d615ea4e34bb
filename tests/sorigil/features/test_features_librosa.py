"""Every feature against librosa's, over a grid of parameters, lengths and rates."""

from __future__ import annotations

import dataclasses
import itertools

import librosa
import numpy as np
import pytest

from sorigil.errors import AudioError
from sorigil.features import LogMel, Mfcc, Spectrogram, compute, dim, num_frames, problems
from sorigil.features.mel import applied_bank, bank_of
from sorigil.features.stft import window

pytestmark = pytest.mark.filterwarnings("ignore")  # librosa warns of short signals and empty filters, on purpose here


def signal(num_samples: int, seed: int = 0) -> np.ndarray:
    """Noise with a slow swell and a tone: no bin is empty, and the dynamics exceed 40 dB."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16000
    swell = 0.001 + 0.3 * np.square(np.sin(2 * np.pi * 1.3 * time + 0.3))
    samples = swell * rng.standard_normal(num_samples) + 0.1 * np.sin(2 * np.pi * 440 * time)
    return samples.astype(np.float32)


def assert_close(ours_TF: np.ndarray, theirs_FT: np.ndarray) -> None:
    """Within 1e-4 of each value, or of the feature's typical magnitude where a value is close to 0."""
    assert ours_TF.dtype == np.float32 and ours_TF.flags.c_contiguous
    assert ours_TF.shape == theirs_FT.T.shape
    typical = float(np.sqrt(np.mean(np.square(theirs_FT)))) or 1.0
    np.testing.assert_allclose(ours_TF, theirs_FT.T, rtol=1e-4, atol=1e-4 * typical)


def stft_arguments(spec: LogMel | Mfcc | Spectrogram) -> dict:
    names = ("n_fft", "win_length", "hop_length", "window", "center", "pad_mode")
    return {name: getattr(spec, name) for name in names}


def librosa_mel(spec: LogMel | Mfcc, samples: np.ndarray, sample_rate: int) -> np.ndarray:
    return librosa.feature.melspectrogram(
        y=samples, sr=sample_rate, power=spec.power, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax, htk=spec.htk,
        norm=spec.norm, **stft_arguments(spec),
    )  # fmt: skip


def librosa_log_mel(spec: LogMel | Mfcc, samples: np.ndarray, sample_rate: int) -> np.ndarray:
    ref = np.max if spec.ref == "max" else spec.ref
    mel = librosa_mel(spec, samples, sample_rate)
    return librosa.power_to_db(mel, ref=ref, amin=spec.amin, top_db=spec.top_db)


def librosa_mfcc(spec: Mfcc, samples: np.ndarray, sample_rate: int) -> np.ndarray:
    return librosa.feature.mfcc(
        S=librosa_log_mel(spec, samples, sample_rate), n_mfcc=spec.n_mfcc, dct_type=spec.dct_type, norm=spec.dct_norm,
        lifter=spec.lifter,
    )  # fmt: skip


STFT_GRID = [
    {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length, "window": window_name, "center": center}
    for n_fft, win_length, hop_length, window_name, center in [
        *itertools.product((512,), (400, 512, None), (160, 128), ("hann",), (True, False)),
        (1024, 800, 256, "hamming", True),
        (400, 400, 160, "blackman", True),
        (401, 301, 97, "hann", True),  # odd, prime
        (401, None, 97, "nuttall", False),
        (256, 1, 256, "boxcar", True),
        (2048, 1200, 512, "boxcar", False),
    ]
]
MEL_GRID = [
    {},
    {"n_mels": 40, "fmin": 60.0, "fmax": 3800.0},
    {"n_mels": 128, "htk": True},
    {"norm": None},
    {"htk": True, "norm": None, "fmin": 20.0},
    {"power": 1.0},
    {"power": 1.5, "n_mels": 23},
    {"ref": "max"},
    {"ref": 0.25, "top_db": 20.0},
    {"top_db": None, "amin": 1e-6},
]
MFCC_GRID = [
    {},
    {"n_mfcc": 13, "lifter": 22.0},
    {"n_mfcc": 80},
    {"dct_type": 3},
    {"dct_type": 1},
    {"dct_norm": None, "n_mfcc": 20},
    {"dct_type": 1, "dct_norm": None, "lifter": 10.0},
    {"dct_type": 3, "dct_norm": None, "n_mels": 40, "htk": True},
]


@pytest.mark.parametrize("stft", STFT_GRID, ids=str)
def test_stft_parameters(stft: dict) -> None:
    samples = signal(16000)
    specs = [Spectrogram(power=1, **stft), Spectrogram(power=2, **stft), LogMel(**stft), Mfcc(**stft)]
    magnitude, power, log_mel, mfcc = compute(specs, samples, 16000)
    expected = np.abs(librosa.stft(samples, **stft_arguments(specs[0])))
    assert_close(magnitude, expected)
    assert_close(power, expected**2)
    assert_close(log_mel, librosa_log_mel(specs[2], samples, 16000))
    assert_close(mfcc, librosa_mfcc(specs[3], samples, 16000))


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("mel", MEL_GRID, ids=str)
def test_mel_parameters(mel: dict, sample_rate: int) -> None:
    samples = signal(sample_rate // 2)
    spec = LogMel(**mel)
    assert_close(compute([spec], samples, sample_rate)[0], librosa_log_mel(spec, samples, sample_rate))
    expected = librosa.filters.mel(
        sr=sample_rate, n_fft=512, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax, htk=spec.htk, norm=spec.norm
    )
    np.testing.assert_allclose(bank_of(spec, sample_rate), expected.T, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("n_fft", [64, 512, 2048])
@pytest.mark.parametrize("n_mels", [1, 16, 33, 80])
def test_a_bank_applied_in_runs_is_the_whole_bank(n_mels: int, n_fft: int) -> None:
    spec = LogMel(n_mels=n_mels, n_fft=n_fft, win_length=None, fmin=20.0)  # with 64 many filters hear no bin
    power = np.random.default_rng(1).exponential(1.0, (200, n_fft // 2 + 1)).astype(np.float32)
    found = np.full((200, n_mels), np.nan, np.float32)
    applied_bank(spec, 16000).apply(power, found)
    np.testing.assert_allclose(found, power @ bank_of(spec, 16000), rtol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("parameters", MFCC_GRID, ids=str)
def test_mfcc_parameters(parameters: dict, sample_rate: int) -> None:
    samples = signal(sample_rate // 2)
    spec = Mfcc(**parameters)
    assert_close(compute([spec], samples, sample_rate)[0], librosa_mfcc(spec, samples, sample_rate))


@pytest.mark.parametrize("num_samples", [1, 2, 159, 160, 161, 255, 399, 400, 511, 512, 513, 671, 672, 16000, 50000])
@pytest.mark.parametrize("n_fft", [512, 401])
def test_lengths(num_samples: int, n_fft: int) -> None:
    samples = signal(num_samples, seed=num_samples)
    for center in (True, False):
        spec = LogMel(n_fft=n_fft, win_length=None, center=center)
        if not center and num_samples < n_fft:
            with pytest.raises(librosa.ParameterError):
                librosa_log_mel(spec, samples, 16000)
            with pytest.raises(AudioError, match="too_short"):
                compute([spec], samples, 16000)
            assert num_frames(spec, num_samples) == 0
            continue
        mfcc_spec = Mfcc(n_fft=n_fft, win_length=None, center=center)
        log_mel, mfcc = compute([spec, mfcc_spec], samples, 16000)
        assert len(log_mel) == len(mfcc) == num_frames(spec, num_samples)
        assert_close(log_mel, librosa_log_mel(spec, samples, 16000))
        assert_close(mfcc, librosa_mfcc(mfcc_spec, samples, 16000))


@pytest.mark.parametrize("pad_mode", ["edge", "reflect", "symmetric"])
def test_pad_modes(pad_mode: str) -> None:
    samples = signal(4000)
    spec = LogMel(pad_mode=pad_mode)
    assert_close(compute([spec], samples, 16000)[0], librosa_log_mel(spec, samples, 16000))


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "nuttall", "boxcar"])
@pytest.mark.parametrize("length", [1, 2, 5, 400, 512])
def test_windows(name: str, length: int) -> None:
    expected = librosa.util.pad_center(librosa.filters.get_window(name, length, fftbins=True), size=512)
    np.testing.assert_allclose(window(LogMel(window=name, win_length=length)), expected, atol=1e-6)


@pytest.mark.parametrize(("power", "ref"), [(1, 1.0), (2, 1.0), (1, "max"), (2, "max"), (1, 0.1), (2, 0.1)])
def test_spectrogram_decibels(power: int, ref: float | str) -> None:
    samples = signal(8000)
    spec = Spectrogram(power=power, scale="db", ref=ref)
    reference = np.max if ref == "max" else ref
    magnitude = np.abs(librosa.stft(samples, **stft_arguments(spec)))
    if power == 1:
        expected = librosa.amplitude_to_db(magnitude, ref=reference, amin=1e-5)
    else:
        expected = librosa.power_to_db(magnitude**2, ref=reference)
    assert_close(compute([spec], samples, 16000)[0], expected)


def test_logarithms_differ_by_a_factor() -> None:
    samples = signal(8000)
    db, ln, log10 = compute(
        [LogMel(scale=scale, top_db=20.0, ref="max") for scale in ("db", "ln", "log10")], samples, 16000
    )
    assert db.max() == 0 and abs(db.min() + 20) < 1e-5
    np.testing.assert_allclose(ln, db * (np.log(10) / 10), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log10, db / 10, rtol=1e-5, atol=1e-6)


def test_plain_natural_logarithm() -> None:
    samples = signal(8000)
    spec = LogMel(scale="ln", top_db=None)
    expected = np.log(np.maximum(librosa_mel(spec, samples, 16000), 1e-10))
    assert_close(compute([spec], samples, 16000)[0], expected)


@pytest.mark.parametrize("width", [3, 5, 9, 21])
@pytest.mark.parametrize("num_samples", [16000, 4800, 1600, 160 * 8, 160 * 3, 1])
def test_deltas(width: int, num_samples: int) -> None:
    samples = signal(num_samples)
    spec = Mfcc(deltas=2, delta_width=width)
    static = librosa_mfcc(spec, samples, 16000)
    mode = "interp" if static.shape[1] >= width else "nearest"  # librosa refuses "interp" here; we choose "nearest"
    parts = [static, *(librosa.feature.delta(static, width=width, order=order, mode=mode) for order in (1, 2))]
    computed = compute([spec], samples, 16000)[0]
    assert computed.shape[1] == dim(spec) == 120
    for index, part in enumerate(parts):  # each against its own magnitude: deltas are far smaller than what they are of
        typical = float(np.sqrt(np.mean(np.square(part))))
        ours = computed[:, 40 * index : 40 * (index + 1)]
        np.testing.assert_allclose(ours, part.T, rtol=1e-4, atol=max(1e-4 * typical, 2e-5))


def test_digital_silence_is_the_floor() -> None:
    log_mel, mfcc = compute([LogMel(), Mfcc()], np.zeros(16000, np.float32), 16000)
    np.testing.assert_allclose(log_mel, -100, rtol=1e-6)
    assert_close(mfcc, librosa_mfcc(Mfcc(), np.zeros(16000, np.float32), 16000))


def test_a_long_recording_crosses_blocks() -> None:
    samples = signal(16000 * 20)
    spec = LogMel(ref="max")
    assert_close(compute([spec], samples, 16000)[0], librosa_log_mel(spec, samples, 16000))


def test_asking_for_more_changes_nothing() -> None:
    samples = signal(9000)
    specs = [
        LogMel(), Mfcc(), LogMel(scale="ln"), LogMel(n_fft=1024, win_length=None), Spectrogram(), Spectrogram(power=2),
        LogMel(name="again"), Spectrogram(power=2, name="again"), Mfcc(n_mels=40), LogMel(power=1.0, deltas=1),
    ]  # fmt: skip
    together = compute(specs, samples, 16000)
    for spec, feature in zip(specs, together, strict=True):
        np.testing.assert_array_equal(feature, compute([spec], samples, 16000)[0])
        assert feature.shape == (num_frames(spec, 9000), dim(spec))
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(together, 2))


def test_input_is_left_alone() -> None:
    samples = signal(4000)
    before = samples.copy()
    compute([LogMel(), Spectrogram(power=2)], samples, 16000)
    np.testing.assert_array_equal(samples, before)


def test_no_sample_is_an_error() -> None:
    with pytest.raises(AudioError, match="no_samples"):
        compute([LogMel()], np.zeros(0, np.float32), 16000)
    assert num_frames(LogMel(), 0) == 0


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (LogMel, {"n_fft": 0}), (LogMel, {"win_length": 600}), (LogMel, {"win_length": 0}), (LogMel, {"hop_length": 0}),
        (LogMel, {"n_mels": 0}), (LogMel, {"fmin": 500.0, "fmax": 400.0}), (LogMel, {"amin": 0.0}),
        (LogMel, {"ref": 0.0}), (LogMel, {"top_db": -1.0}), (LogMel, {"deltas": 3}), (LogMel, {"delta_width": 4}),
        (Mfcc, {"n_mfcc": 81}), (Mfcc, {"n_mfcc": 0}), (Mfcc, {"lifter": -1.0}), (Spectrogram, {"power": 3}),
        (Spectrogram, {"amin": 0.0}), (Spectrogram, {"n_fft": 1}),
    ],
)  # fmt: skip
def test_wrong_values_are_named(kind: type, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        kind(**wrong)


def test_problems_are_told_before_a_run() -> None:
    assert problems(LogMel(), 16000) == []
    assert "nothing above 4000" in problems(LogMel(fmax=7600.0), 8000)[0]
    assert "hold no frequency bin" in problems(LogMel(n_mels=200), 16000)[0]


def test_specs_are_validated_from_plain_values() -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(LogMel | Mfcc | Spectrogram)
    assert adapter.validate_python({"kind": "mfcc", "n_mfcc": 13}) == Mfcc(n_mfcc=13)
    assert pydantic.TypeAdapter(LogMel).validate_python({"win_length": None}) == LogMel(win_length=None)
    for wrong in ({"n_mell": 3}, {"window": "kaiser"}, {"n_fft": 0}):
        with pytest.raises(pydantic.ValidationError):
            pydantic.TypeAdapter(LogMel).validate_python(wrong)


def test_the_name_is_no_part_of_the_fingerprint() -> None:
    from sorigil.fingerprint import fingerprint

    assert fingerprint(LogMel(name="a")) == fingerprint(LogMel())
    assert fingerprint(LogMel()) != fingerprint(Mfcc())
    prints = {fingerprint(dataclasses.replace(LogMel(), **change)) for change in MEL_GRID}
    assert len(prints) == len(MEL_GRID)
