"""The benchmark's inputs: real speech cut into clips that are all different, in the containers that archives hold.

A corpus is made once for its size and found again. Every clip has its own place, gain and noise, so that no engine finds
duplicates to leave out, and FLAC has the noise floor of a recording to code.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 44_100  # of the tape that all clips are cut from
SPEECH = ("long", "ljspeech_mini", "read_english", "an4_tiny")  # folders of the labelled recordings
NOISE = 1e-3  # RMS, full scale 1
SHORT_SECONDS = 0.44  # the mean length of the Free Spoken Digit Dataset's recordings

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """One kind of input: how many files for how many minutes, and how file `number` of them is written."""

    name: str
    what: str
    suffix: str
    files: Callable[[float], int]  # minutes → how many
    write: Callable[[Path, int, float], None]  # path, number, minutes


def folder_of(name: str, minutes: float, root: Path) -> Path:
    """The folder of a corpus, made now unless it is there; by a process of its own, which takes its memory with it."""
    folder = root / "corpora" / f"{name}-{minutes:g}"
    if not folder.is_dir():
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "benchmarks.corpora", name, str(minutes), str(folder)], check=True)
    return folder


def build(corpus: Corpus, minutes: float, folder: Path) -> None:
    """Make a corpus; `folder` appears whole."""
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for number in range(corpus.files(minutes)):
        path = making / f"{number // 1000:03d}" / f"{number:06d}{corpus.suffix}"
        path.parent.mkdir(exist_ok=True)
        corpus.write(path, number, minutes)
    making.rename(folder)


@lru_cache(maxsize=1)
def tape() -> Floats:
    """All the speech there is in one piece at 44.1 kHz, mono: of `../shared/data`, else synthesised."""
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    pieces = list(_recorded(shared) if shared.is_dir() else _synthesised())
    return np.concatenate(pieces)


def _recorded(shared: Path) -> Iterator[Floats]:
    for path in sorted(path for corpus in SPEECH for path in (shared / corpus / "audio").iterdir()):
        yield _as_tape(*soundfile.read(path, dtype="float32", always_2d=True))


def _synthesised() -> Iterator[Floats]:
    from sorigil.demo import DemoSpec, generate

    for made in generate(DemoSpec(utterances=400, broken=0, archive=0)):
        yield _as_tape(*soundfile.read(io.BytesIO(made.data), dtype="float32", always_2d=True))


def _as_tape(samples: Floats, rate: int) -> Floats:
    mono = samples.mean(axis=1)
    level = 0.25 / max(1e-3, float(np.abs(mono).max()))
    return np.asarray(soxr.resample(mono, rate, RATE) * np.float32(level), dtype=np.float32)


def clip(number: int, seconds: float, rate: int = RATE, channels: int = 1) -> Floats:
    """Clip `number`, (samples, channels): a stretch of the tape with a gain and a noise of its own."""
    sound, rng = tape(), np.random.default_rng(number)
    start = int(rng.integers(len(sound)))
    mono = np.take(sound, np.arange(start, start + round(seconds * RATE)), mode="wrap")
    mono = soxr.resample(mono, RATE, rate) if rate != RATE else mono
    gains = rng.uniform(0.5, 2.0, channels).astype(np.float32)
    return mono[:, None] * gains + np.float32(NOISE) * rng.standard_normal((len(mono), channels), dtype=np.float32)


def _flac(path: Path, number: int, minutes: float) -> None:
    soundfile.write(path, clip(number, 10, channels=1 + number % 2), RATE, subtype="PCM_16")


def _short(path: Path, number: int, minutes: float) -> None:
    seconds = SHORT_SECONDS * np.random.default_rng(number).uniform(0.5, 1.5)
    soundfile.write(path, clip(number, seconds, rate=8000), 8000, subtype="PCM_16")


def _mp3(path: Path, number: int, minutes: float) -> None:
    soundfile.write(path, clip(number, 10), RATE, format="MP3")


def _wav16(path: Path, number: int, minutes: float) -> None:
    soundfile.write(path, clip(number, 10, rate=16_000), 16_000, subtype="PCM_16")


def _long(path: Path, number: int, minutes: float) -> None:
    """Five hours for sixty minutes, a minute at a time."""
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for minute in range(round(5 * minutes)):
            file.write(clip(minute, 60))


def _tens(minutes: float) -> int:
    return max(1, round(6 * minutes))


CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(name="flac44", what="44.1 kHz FLAC, 10 s, mono and stereo", suffix=".flac", files=_tens, write=_flac),
        Corpus(
            name="short",
            what="8 kHz WAV, 0.44 s",
            suffix=".wav",
            files=lambda minutes: round(50 * minutes),
            write=_short,
        ),
        Corpus(name="mp3", what="44.1 kHz MP3, 10 s", suffix=".mp3", files=_tens, write=_mp3),
        Corpus(name="wav16", what="16 kHz WAV, 10 s", suffix=".wav", files=_tens, write=_wav16),
        Corpus(name="long", what="one 44.1 kHz FLAC", suffix=".flac", files=lambda _: 1, write=_long),
    )
}

if __name__ == "__main__":
    build(CORPORA[sys.argv[1]], float(sys.argv[2]), Path(sys.argv[3]))
