"""A FLAC file with a damaged frame was kept where the extra `formats` is installed: FFmpeg decodes such a frame to anything."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from sorigil.audio.decode import decode
from sorigil.errors import AudioError

pytest.importorskip("av", reason="needs the extra formats, which concealed the damage")


@pytest.mark.parametrize("place", [3000, 9000, 15000])
def test_a_damaged_frame_is_refused(place: int) -> None:
    steps = np.random.default_rng(0).standard_normal(20000)
    file = io.BytesIO()
    soundfile.write(file, np.clip(steps.cumsum() * 0.003, -1, 1), 16000, format="FLAC", subtype="PCM_16")
    data = bytearray(file.getvalue())
    assert decode(bytes(data)).num_samples == 20000
    data[place] ^= 4
    with pytest.raises(AudioError) as refused:
        decode(bytes(data), name="a.flac")
    assert refused.value.reason in ("decode_failed", "truncated") and "a.flac" in refused.value.detail
