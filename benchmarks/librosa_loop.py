"""The loop that people write: librosa.load, melspectrogram, mfcc, one .npy of each. `... FOLDER OUT JOBS`"""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from benchmarks.contest import audio_files, said

RATE = 16_000
STFT = {"sr": RATE, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}


def one(work: tuple[Path, Path]) -> float:
    """One file; returns its seconds."""
    import librosa

    file, out = work
    samples, _ = librosa.load(file, sr=RATE, mono=True)
    samples = samples / max(1e-9, np.abs(samples).max())
    log_mel = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, **STFT))
    mfcc = librosa.feature.mfcc(y=samples, n_mfcc=40, **STFT)
    np.save(out / f"{file.stem}.mel.npy", log_mel.astype(np.float16))
    np.save(out / f"{file.stem}.mfcc.npy", mfcc.astype(np.float16))
    return len(samples) / RATE


if __name__ == "__main__":
    folder, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True)
    files = audio_files(folder)
    with Pool(jobs) as pool:
        said(files, sum(pool.imap_unordered(one, [(file, out) for file in files], chunksize=16)))
