"""Times in a transcript were early by the silence that the model's AudioSpec had trimmed from the beginning."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from sorigil.audio.spec import AudioSpec, SilenceTrim
from tasks.listening import listening


def test_silence_before_the_first_word_is_heard_too() -> None:
    rate = 8000
    silence, word = np.zeros(rate), 0.3 * np.sin(np.arange(rate))
    file = io.BytesIO()
    soundfile.write(file, np.concatenate([silence, word]), rate, format="WAV", subtype="PCM_16")
    spec = AudioSpec(sample_rate=rate, trim=SilenceTrim())
    with listening(file, spec, name="late.wav", raw=None) as sound:
        assert sound.num_samples == 2 * rate
        assert not sound.window(0, rate - 1).any() and sound.window(rate, rate + 100).any()
