"""The preparing stage alone: `tasks.prepare:prepare_unit` over the planned units, one process per core.

No Prefect, no Dask, no catalogue. `... FOLDER OUT JOBS VARIANT`: the variants price what the stage does besides the
ceiling's work, by leaving it out or by asking for more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from benchmarks.contest import said
from sorigil.audio.spec import AudioSpec, LoudnessNormalize, SilenceTrim, SpeechSegment
from sorigil.duplicates import DuplicatesSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What is asked for and, to price what cannot be turned off, what is left out."""

    what: str
    audio: AudioSpec = field(default_factory=AudioSpec)
    keep_audio: bool = False
    duplicates: DuplicatesSpec = field(default_factory=DuplicatesSpec)
    leave_out: tuple[Callable[[], None], ...] = ()


def _no_measures() -> None:
    """Of clips; long recordings are measured as they stream, with or without this."""
    from sorigil.audio import prepare
    from sorigil.audio.signal import Signal

    nothing = Signal(lufs=None, snr_db=None, silence_share=0.0, speech_share=0.0, bandwidth_hz=None)
    prepare.measure = lambda samples, sample_rate: nothing


def _no_hashes() -> None:
    """Cheap names in the place of the hashes of sources and parts."""
    import hashlib
    from types import SimpleNamespace

    from storage import streams

    def sha256(data: bytes) -> Any:
        return hashlib.sha256(data[-64:])

    streams.hashlib = SimpleNamespace(  # type: ignore[assignment]
        sha256=sha256, file_digest=lambda file, name: sha256(file.read(64))
    )


VARIANTS = {
    "bare": Variant(what="the ceiling's outputs", leave_out=(_no_measures, _no_hashes)),
    "hashes": Variant(what="and content hashes", leave_out=(_no_measures,)),
    "full": Variant(what="and the measures of the signal: what is always on"),
    "flac": Variant(what="full, and FLAC of the prepared audio (keep_audio)", keep_audio=True),
    "trim": Variant(what="full, and silence trimmed", audio=AudioSpec(trim=SilenceTrim())),
    "loudness": Variant(what="full, with loudness instead of peak", audio=AudioSpec(normalize=LoudnessNormalize())),
    "dc": Variant(what="full, and the mean removed", audio=AudioSpec(remove_dc=True)),
    "near": Variant(what="full, and acoustic fingerprints", duplicates=DuplicatesSpec(near="drop")),
    "vad": Variant(what="full, and cut into the speech that Silero finds", audio=AudioSpec(segment=SpeechSegment())),
}


def units(folder: Path, out: Path, jobs: int, variant: Variant) -> list[Any]:
    """What `sorigil prepare` would plan for the folder with an empty catalogue."""
    from flows.plan import make_plan
    from flows.work import Work
    from sorigil.features import LogMel, Mfcc
    from storage import tables
    from storage.layout import Store
    from storage.sources import FolderSource, scan

    source = FolderSource(uri=str(folder.resolve()))
    store = Store(root=str((out / "store").resolve()), catalog="", mlflow="")
    work = Work(
        store=store,
        dataset="bench",
        base_uri=source.base,
        audio=variant.audio,
        features=(LogMel(), Mfcc()),
        keep_audio=variant.keep_audio,
        duplicates=variant.duplicates,
    )
    nothing = {name: tables.empty(schema) for name, schema in tables.SCHEMAS.items()}
    return make_plan(work, scan(source), None, nothing, workers=jobs).units


def pipeline_file(folder: Path, out: Path, jobs: int) -> Path:
    """A pipelines.yaml with the one pipeline `bench`, whose store is below `out`."""
    import json

    out.mkdir(parents=True, exist_ok=True)
    pipeline = {
        "source": {"kind": "folder", "uri": str(folder.resolve())},
        "features": [{"kind": "log_mel"}, {"kind": "mfcc"}],
        "keep_audio": False,
    }
    whole = {
        "version": 1,
        "storage": {"root": str((out / "store").resolve())},
        "cluster": {"kind": "local", "workers": jobs},
        "pipelines": {"bench": pipeline},
    }
    path = out / "pipelines.yaml"
    path.write_text(json.dumps(whole, indent=1))  # JSON is YAML
    return path


def _work(unit: Any) -> Any:
    from tasks.prepare import prepare_unit

    return prepare_unit(unit)


def main(folder: Path, out: Path, jobs: int, variant: Variant) -> None:
    for leave_out in variant.leave_out:
        leave_out()  # before the workers are forked
    todo = units(folder, out, jobs, variant)
    began = time.perf_counter()
    with Pool(jobs) as pool:
        reports = list(pool.imap_unordered(_work, todo))
    wall = time.perf_counter() - began
    rejected = [rejection for report in reports for rejection in report.rejections]
    if rejected:
        raise SystemExit(f"{len(rejected)} items were rejected, the first: {rejected[0]}")
    steps: dict[str, float] = {}
    for report in reports:
        for step, seconds in report.seconds.items():
            steps[step] = steps.get(step, 0.0) + seconds
    steps["wait"] = jobs * wall - sum(steps.values())
    said([0] * sum(report.items for report in reports), sum(report.audio_seconds for report in reports), steps=steps)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), VARIANTS[sys.argv[4]])
