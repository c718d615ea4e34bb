"""Prepared audio as one file: the pieces joined, the samples untouched."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sorigil.audio.clip import claimed_length, write_clip
from sorigil.audio.prepare import encode_flac


@pytest.mark.parametrize("form", ["flac", "wav"])
@given(lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_pieces_are_joined_sample_for_sample(form: Any, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pcm = [rng.integers(-32768, 32768, length).astype(np.int16) for length in lengths]
    file = io.BytesIO()
    write_clip([encode_flac(each, 8000) for each in pcm], file, 8000, form)
    found, rate = soundfile.read(io.BytesIO(file.getvalue()), dtype="int16")
    assert rate == 8000 and np.array_equal(found, np.concatenate(pcm))
    assert soundfile.info(io.BytesIO(file.getvalue())).format == form.upper()
    assert claimed_length(io.BytesIO(file.getvalue())) == sum(lengths)


def test_a_single_flac_is_copied() -> None:
    flac = encode_flac(np.arange(100, dtype=np.int16), 8000)
    file = io.BytesIO()
    write_clip([flac], file, 8000, "flac")
    assert file.getvalue() == flac


def test_no_length_is_claimed_by_what_is_no_audio() -> None:
    assert claimed_length(io.BytesIO(b"nothing")) is None
    assert claimed_length(io.BytesIO(b"")) is None
