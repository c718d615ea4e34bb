"""Lhotse: recordings → cuts → Fbank and MFCC in its lilcom store, by its own process pool. `... FOLDER OUT JOBS`

Runs in an environment of its own (`peers.py` makes it), so it imports nothing of Sorigil's.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.contest import audio_files, said


def main(folder: Path, out: Path, jobs: int) -> None:
    import torch
    from lhotse import CutSet, Fbank, FbankConfig, LilcomChunkyWriter, Mfcc, MfccConfig, Recording, RecordingSet

    torch.set_num_threads(1)
    out.mkdir(parents=True)
    files = audio_files(folder)
    recordings = RecordingSet.from_recordings(Recording.from_file(str(file)) for file in files)
    cuts = CutSet.from_cuts(
        (cut.to_mono(mono_downmix=True) if cut.num_channels > 1 else cut).resample(16_000)
        for cut in CutSet.from_manifests(recordings=recordings)
    )
    cuts = cuts.to_eager()
    with ProcessPoolExecutor(jobs) as executor:
        options = {"num_jobs": jobs, "executor": executor, "storage_type": LilcomChunkyWriter}
        with_fbank = cuts.compute_and_store_features(Fbank(FbankConfig(num_filters=80)), f"{out}/fbank", **options)
        cuts.compute_and_store_features(Mfcc(MfccConfig(num_ceps=40, num_filters=80)), f"{out}/mfcc", **options)
        # Of stereo cuts Lhotse now holds the mixed audio itself, which no manifest takes.
        with_fbank.drop_recordings().to_file(f"{out}/cuts.jsonl.gz")
    said(files, sum(cut.duration for cut in cuts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
