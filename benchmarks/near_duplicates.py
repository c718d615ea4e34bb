"""How well near-duplicates are found: recordings against altered copies of themselves, and how long 100,000 items take.

python benchmarks/near_duplicates.py MANIFEST [ITEMS]: for each alteration the share of the items whose copy is found
(recall) and the pairs of different recordings that are taken for the same (false). Without arguments: time and memory on
100,000 made-up fingerprints of which 1 in 100 has a twin.
"""

from __future__ import annotations

import io
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from sorigil.audio.acoustic import BITS, MOST_CODES, acoustic_fingerprint
from sorigil.duplicates import Fingerprints, near_pairs

Sound = tuple[Any, int]


def encoded(sound: Sound, kind: str, subtype: str, compression: float) -> Sound:
    file = io.BytesIO()
    soundfile.write(file, *sound, format=kind, subtype=subtype, compression_level=compression)
    samples, rate = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    return samples, rate


def trimmed(sound: Sound, start: float, end: float, most: float) -> Sound:
    """Cut seconds off both ends, but never more than the share `most` of it each."""
    samples, rate = sound
    first, last = (min(round(each * rate), round(most * len(samples))) for each in (start, end))
    return samples[first : len(samples) - last], rate


def resampled(sound: Sound, rate: int) -> Sound:
    return soxr.resample(sound[0], sound[1], rate), rate


ALTERED: dict[str, Callable[[Sound], Sound]] = {
    "a third as loud": lambda sound: (sound[0] / 3, sound[1]),
    "mp3": lambda sound: encoded(sound, "MP3", "MPEG_LAYER_III", 0.3),
    "mp3, low rate": lambda sound: encoded(sound, "MP3", "MPEG_LAYER_III", 0.7),
    "ogg, low rate": lambda sound: encoded(sound, "OGG", "VORBIS", 0.8),
    "11.025 kHz": lambda sound: resampled(sound, 11025),
    "37 and 51 ms cut off": lambda sound: trimmed(sound, 0.037, 0.051, 0.1),
    "293 and 211 ms cut off": lambda sound: trimmed(sound, 0.293, 0.211, 1 / 6),
    "cut, quieter, low mp3": lambda sound: encoded(trimmed(sound, 0.037, 0.051, 0.1), "MP3", "MPEG_LAYER_III", 0.7),
}


def prints(sounds: list[Sound]) -> Fingerprints:
    found = [acoustic_fingerprint([np.ascontiguousarray(samples)], rate) for samples, rate in sounds]
    return Fingerprints(
        entries=np.frombuffer(b"".join(found), "<u8"),
        starts=np.cumsum([0, *(len(each) // 8 for each in found)]),
        seconds=np.array([len(samples) / rate for samples, rate in sounds]),
    )


def quality(manifest: Path, items: int) -> None:
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    chosen = np.random.default_rng(0).permutation(len(rows))[:items]
    sounds = []
    for row in chosen.tolist():
        samples, rate = soundfile.read(manifest.parent / rows[row]["audio"], dtype="float32", always_2d=True)
        sounds.append((samples.mean(axis=1), rate))
    names = [rows[row]["id"] for row in chosen.tolist()]
    alone = near_pairs(prints(sounds))
    print(f"{len(sounds)} recordings; taken for the same among themselves: {[(names[a], names[b]) for a, b in alone]}")
    known = set(map(tuple, alone.tolist()))
    for name, alter in ALTERED.items():
        pairs = near_pairs(prints(sounds + [alter(sound) for sound in sounds])) % len(sounds)
        right = pairs[:, 0] == pairs[:, 1]
        false = {(min(pair), max(pair)) for pair in pairs[~right].tolist()} - known
        print(f"{name:24} recall {len(np.unique(pairs[right])) / len(sounds):6.1%}   false {len(false)}", flush=True)


def size(items: int = 100_000) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << BITS, (items, MOST_CODES), dtype=np.uint64)
    frames = np.cumsum(rng.integers(1, 28, (items, MOST_CODES)), axis=1).astype(np.uint64)
    seconds = rng.uniform(1, 15, items)
    first, second = np.split(rng.permutation(items)[: items // 100 * 2], 2)
    keep = rng.random((len(first), MOST_CODES)) < 0.5
    codes[second] = np.where(keep, codes[first], codes[second])
    frames[second] = np.where(keep, frames[first], frames[second])
    order = np.argsort(frames[second], axis=1, kind="stable")
    codes[second], frames[second] = (np.take_along_axis(each[second], order, axis=1) for each in (codes, frames))
    seconds[second] = seconds[first]
    made = Fingerprints(
        entries=(codes << np.uint64(32) | frames).ravel(), starts=np.arange(items + 1) * MOST_CODES, seconds=seconds
    )
    began = time.perf_counter()
    found = set(map(tuple, near_pairs(made).tolist()))
    took = time.perf_counter() - began
    twins = {(min(pair), max(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    tracemalloc.start()
    near_pairs(made)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    print(f"{items:,} items, {len(twins):,} twins: {len(found & twins):,} found, {len(found - twins)} false")
    print(f"{took:.1f} s, {peak:.0f} MiB besides the fingerprints' {made.entries.nbytes / 2**20:.0f} MiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        quality(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
    else:
        size()
