"""The hash of samples: the same in any lossless container and in any blocks, another at another rate."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from voices import SAMPLE_RATE, babble

from sorigil.audio.decode import decode
from sorigil.audio.pcm import PcmHasher, pcm_hash
from sorigil.audio.prepare import prepare
from sorigil.audio.prepare_long import LongSpan
from sorigil.audio.spec import AudioSpec
from storage.streams import Spool


def file(kind: str, subtype: str, samples: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, SAMPLE_RATE, format=kind, subtype=subtype)
    return stream.getvalue()


def test_containers_do_not_matter_and_one_bit_does() -> None:
    pcm = np.rint(babble(1, seconds=0.5) * 20000).astype(np.int16)
    kinds = (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("WAV", "PCM_24"), ("CAF", "PCM_32"))
    hashes = {prepare(decode(file(*kind, pcm)), AudioSpec()).pcm_hash for kind in kinds}
    assert len(hashes) == 1
    assert hashes == {prepare(decode(file("WAV", "PCM_16", np.stack([pcm, pcm], 1))), AudioSpec()).pcm_hash}
    pcm[100] ^= 1
    assert prepare(decode(file("WAV", "PCM_16", pcm)), AudioSpec()).pcm_hash not in hashes


@given(cuts=st.lists(st.integers(0, 100), max_size=4))
def test_blocks_do_not_matter_and_the_rate_does(cuts: list[int]) -> None:
    samples = np.arange(100, dtype=np.float32)
    hasher = PcmHasher(8000)
    for block in np.split(samples, sorted(cuts)):
        hasher.add(block)
    expected = xxhash.xxh3_128((8000).to_bytes(4, "little") + samples.tobytes()).hexdigest()
    assert hasher.hexdigest() == expected == pcm_hash(samples, 8000) != pcm_hash(samples, 16000)


@pytest.mark.parametrize("remove_dc", [False, True])
def test_a_long_recording_has_the_hash_of_a_held_one(remove_dc: bool) -> None:
    stereo = np.stack([babble(2), 0.3 * babble(3)], axis=1)
    spec = AudioSpec(sample_rate=8000, remove_dc=remove_dc)
    span = LongSpan(spec, SAMPLE_RATE, start=1000, length=20000, channel=None, set_aside=Spool)
    for at in range(0, len(stereo), 7001):
        span.add(stereo[at : at + 7001], at)
    held = decode(file("WAV", "FLOAT", stereo))
    assert span.finish(len(stereo)).pcm_hash == prepare(held, spec, start=1000, length=20000).pcm_hash
    span.close()
