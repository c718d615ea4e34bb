"""The preparing stage alone: `tasks.prepare:prepare_unit` over the planned units, one process per core.

No Prefect, no Dask, no catalogue. `... FOLDER OUT JOBS VARIANT`: the variants price what the stage does besides the
ceiling's work, by leaving it out or by asking for more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from benchmarks.contest import said


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """What is asked for (keys of a pipeline in YAML) and, to price what cannot be turned off, what is left out."""

    what: str
    options: dict[str, Any]
    leave_out: tuple[Callable[[], None], ...] = ()


def _no_measures() -> None:
    from sorigil.audio import prepare
    from sorigil.audio.signal import Signal

    nothing = Signal(lufs=None, snr_db=None, silence_share=0.0, speech_share=0.0, bandwidth_hz=None)
    prepare.measure = lambda samples, sample_rate: nothing


def _no_hashes() -> None:
    """A cheap name in the place of the content's hash; the keys of rows and parts stay as they are."""
    import hashlib
    from types import SimpleNamespace

    import tasks.prepare

    tasks.prepare.hashlib = SimpleNamespace(sha256=lambda data: hashlib.sha256(data[:64]))  # type: ignore[assignment]


VARIANTS = {
    "bare": Variant(what="the ceiling's outputs", options={}, leave_out=(_no_measures, _no_hashes)),
    "hashes": Variant(what="and content hashes", options={}, leave_out=(_no_measures,)),
    "full": Variant(what="and the measures of the signal: what is always on", options={}),
    "flac": Variant(what="full, and FLAC of the prepared audio (keep_audio)", options={"keep_audio": True}),
    "trim": Variant(what="full, and silence trimmed", options={"audio": {"trim": {"kind": "silence"}}}),
    "loudness": Variant(
        what="full, with loudness instead of peak", options={"audio": {"normalize": {"kind": "loudness"}}}
    ),
    "dc": Variant(what="full, and the mean removed", options={"audio": {"remove_dc": True}}),
}


def units(folder: Path, out: Path, jobs: int, options: dict[str, Any]) -> list[Any]:
    """What `sorigil prepare` would plan for the folder with an empty catalogue."""
    from flows.config import load
    from flows.plan import make_plan
    from flows.run import Run
    from storage import sources, tables

    config = load(pipeline_file(folder, out, jobs, options))
    run = Run(config=config, pipeline=config.pipeline("bench"), reporter=None)  # type: ignore[arg-type]
    nothing = {name: tables.empty(schema) for name, schema in tables.SCHEMAS.items()}
    return make_plan(run.work(), sources.scan(run.pipeline.source), None, nothing, workers=jobs).units


def pipeline_file(folder: Path, out: Path, jobs: int, options: dict[str, Any]) -> Path:
    """A pipelines.yaml with the one pipeline `bench`, whose store is below `out`."""
    import json

    out.mkdir(parents=True, exist_ok=True)
    pipeline = {
        "source": {"kind": "folder", "uri": str(folder.resolve())},
        "features": [{"kind": "log_mel"}, {"kind": "mfcc"}],
        "keep_audio": False,
        **options,
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
    todo = units(folder, out, jobs, variant.options)
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
