"""Fresh processes for the demo corpus: one per shard and per archive recording, so that a seed names the same samples.

Each is a plain child (`python -c`), which works from a script without a main guard and from a worker that may not have
children of multiprocessing's kind. What it made comes back over its standard output: one line of JSON with the rows
and the sizes, then the files' bytes one after another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from sorigil.demo.corpus import DemoSpec, shard_count
from sorigil.demo.espeak import Timed, require_espeak
from sorigil.demo.shards import DemoRecording, DemoUtterance, synthesise_recording, synthesise_shard
from sorigil.errors import RunError

Row = dict[str, Any]
_CHILD = "from sorigil.demo.processes import run_child; run_child()"


def generate(spec: DemoSpec, workers: int = 2) -> Iterator[DemoUtterance]:
    """Make the corpus, `workers` processes at a time, and yield its utterances in their fixed order.

    Raises RequestError at once if the extra `demo` is not installed, RunError if a process fails.
    """
    require_espeak()
    return (DemoUtterance(**row) for row in _rows("shard", shard_count(spec), spec, workers))


def generate_archive(spec: DemoSpec, workers: int = 2) -> Iterator[DemoRecording]:
    """Make the archive's recordings and yield them in their fixed order; raises as `generate` does."""
    require_espeak()
    return (
        DemoRecording(**{**row, **{name: tuple(map(_timed, row[name])) for name in ("segments", "words")}})
        for row in _rows("recording", spec.archive, spec, workers)
    )


def run_child() -> None:
    """Do the one job that standard input describes, and send the result to standard output. Ends the process's use."""
    job = json.loads(sys.stdin.buffer.read())
    spec = DemoSpec(**{**job["spec"], "languages": tuple(job["spec"]["languages"])})
    made = (
        synthesise_shard(spec, job["index"]) if job["kind"] == "shard" else [synthesise_recording(spec, job["index"])]
    )
    rows = [asdict(item) for item in made]
    files = [row.pop("data") for row in rows]
    header = json.dumps([{**row, "data": len(file)} for row, file in zip(rows, files, strict=True)])
    sys.stdout.buffer.write(b"\n".join([header.encode(), b"".join(files)]))


def _rows(kind: str, count: int, spec: DemoSpec, workers: int) -> Iterator[Row]:
    """Run jobs 0 to `count` - 1, a few ahead of what has been taken, and yield their rows in order."""
    running: deque[Future[list[Row]]] = deque()
    with ThreadPoolExecutor(max(1, workers)) as threads:
        try:
            for index in range(count):
                running.append(threads.submit(_run_job, {"kind": kind, "index": index, "spec": asdict(spec)}))
                if len(running) > 2 * workers:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


def _run_job(job: Row) -> list[Row]:
    """Run one child and read what it made. It finds the same packages as this process, however these were found."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109
    child = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD],  # -P: no package from the working directory
        input=json.dumps(job).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RunError(
            f"making {job['kind']} {job['index']} of the demo corpus failed: {' '.join(said) or child.returncode}"
        )
    return _unpack(child.stdout)


def _unpack(output: bytes) -> list[Row]:
    header, _, files = output.partition(b"\n")
    rows: list[Row] = json.loads(header)
    start = 0
    for row in rows:
        end = start + row["data"]
        row["data"] = files[start:end]
        start = end
    return rows


def _timed(values: list[Any]) -> Timed:
    start, end, text = values
    return float(start), float(end), str(text)
