"""The ceiling: the same arithmetic with nothing around it, in one process per core.

libsndfile → mono → soxr HQ to 16 kHz → peak → one STFT → log-mel 80 and MFCC 40 → float16 Parquet. No check, no hash, no
statistics, no catalogue, no orchestration: what an engine can approach. `python -m benchmarks.ceiling FOLDER OUT JOBS`
"""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from benchmarks.contest import audio_files, said, shares

N_FFT, WINDOW, HOP, MELS, CEPSTRA, RATE = 512, 400, 160, 80, 40, 16_000


def shard(work: tuple[list[Path], Path]) -> float:
    """One share of the files into one Parquet file; returns the seconds of audio."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import scipy.fft
    import soundfile
    import soxr
    from librosa import filters

    files, out = work
    bank = filters.mel(sr=RATE, n_fft=N_FFT, n_mels=MELS).astype(np.float32).T.copy()
    basis = scipy.fft.dct(np.eye(MELS), norm="ortho", axis=0)[:CEPSTRA].astype(np.float32).T.copy()
    window = np.zeros(N_FFT, np.float32)
    window[(N_FFT - WINDOW) // 2 : (N_FFT + WINDOW) // 2] = filters.get_window("hann", WINDOW)
    mels, cepstra, frames, seconds = [], [], [], 0.0
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        mono = samples.mean(1) if samples.shape[1] > 1 else samples[:, 0]
        if rate != RATE:
            mono = soxr.resample(mono, rate, RATE)
        mono = mono / max(1e-9, float(np.abs(mono).max()))
        seconds += len(samples) / rate
        framed = np.lib.stride_tricks.sliding_window_view(np.pad(mono, N_FFT // 2), N_FFT)[::HOP] * window
        spectrum = scipy.fft.rfft(framed, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        log_mel = 10 * np.log10(np.maximum(power @ bank, 1e-10))
        log_mel = np.maximum(log_mel, log_mel.max() - 80)
        mels.append(log_mel.astype(np.float16).ravel())
        cepstra.append((log_mel @ basis).astype(np.float16).ravel())
        frames.append(len(log_mel))
    offsets = np.concatenate([[0], np.cumsum(frames)]).astype(np.int64)
    table = pa.table(
        {
            "id": [file.name for file in files],
            "frames": frames,
            "mel": pa.LargeListArray.from_arrays(pa.array(offsets * MELS), pa.array(np.concatenate(mels))),
            "mfcc": pa.LargeListArray.from_arrays(pa.array(offsets * CEPSTRA), pa.array(np.concatenate(cepstra))),
        }
    )
    pq.write_table(table, out, compression="zstd", compression_level=1)
    return seconds


if __name__ == "__main__":
    folder, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True)
    files = audio_files(folder)
    work = [(share, out / f"{number}.parquet") for number, share in enumerate(shares(files, 4 * jobs))]
    with Pool(jobs) as pool:
        said(files, sum(pool.imap_unordered(shard, work)))
