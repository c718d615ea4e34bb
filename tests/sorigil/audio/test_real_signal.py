"""The measures on real speech: noise added at a known level, telephone audio stored at a higher rate, pyloudnorm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from sorigil.audio.loudness import loudness
from sorigil.audio.signal import measure

DATA = Path(__file__).resolve().parents[4] / "shared/data"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not (DATA / "read_english").is_dir(), reason=f"no labelled audio at {DATA}"),
]


def speech(corpus: str, rate: int) -> list[np.ndarray]:
    """The recordings of a corpus, mono, at one rate."""
    found = []
    for line in (DATA / corpus / "manifest.jsonl").read_text().splitlines():
        samples, own_rate = soundfile.read(DATA / corpus / json.loads(line)["audio"], dtype="float32", always_2d=True)
        found.append(soxr.resample(samples.mean(axis=1), own_rate, rate).astype(np.float32))
    return found


@pytest.mark.parametrize("db", [0, 10, 20])
def test_the_snr_of_real_speech_in_white_noise(db: int) -> None:
    """Read sentences are 25 to 45 dB above their own noise; the level of what is added is known."""
    rng = np.random.default_rng(db)
    errors = []
    for clean in speech("read_english", 16000):
        noise = np.sqrt(np.mean(clean**2)) * 10 ** (-db / 20) * rng.standard_normal(len(clean))
        found = measure((clean + noise).astype(np.float32), 16000).snr_db
        errors.append((found or np.nan) - db)
    assert abs(np.median(errors)) < 1.0 and np.percentile(np.abs(errors), 90) < 2.0


def test_telephone_audio_at_a_higher_rate_is_found_and_wideband_speech_is_not() -> None:
    for wide in speech("read_english", 16000):
        narrow = soxr.resample(soxr.resample(wide, 16000, 8000), 8000, 44100)
        stored = (np.rint(narrow * 32767) / 32768).astype(np.float32)
        assert (measure(stored, 44100).bandwidth_hz or 0) < 4300
        assert (measure(wide, 16000).bandwidth_hz or 0) > 6000


@pytest.mark.parametrize("corpus", ["read_english", "ljspeech_mini", "an4_tiny", "yesno"])
def test_loudness_of_real_speech_is_pyloudnorms(corpus: str) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    meter = pyloudnorm.Meter(16000, filter_class="DeMan")
    errors = [(loudness(each, 16000) or np.nan) - meter.integrated_loudness(each) for each in speech(corpus, 16000)]
    assert abs(np.median(errors)) < 0.05 and np.nanmax(np.abs(errors)) < 0.5
