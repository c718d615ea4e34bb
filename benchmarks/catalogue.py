"""How the catalogue grows: plan, assemble and commit with generated rows, no audio; times and the driver's memory.

    python benchmarks/catalogue.py --items 1000000            three nights: all new, nothing new, one new file
    python benchmarks/catalogue.py --items 100000 --command   also by the command, cold, over files on disk

The rows say what real ones say (utterances, transcripts, one feature, a thousandth rejected); the parts they name are
empty files. Each night is a process of its own; memory is its peak resident size. `benchmarks/README.md` has results.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from flows.assemble import assemble
from flows.guards import guard
from flows.prepare import plan_work
from flows.progress import PlainReporter
from flows.work import Work
from sorigil.audio.spec import AudioSpec
from sorigil.features import LogMel
from sorigil.fingerprint import digest, fingerprint
from storage import ledger, sources, tables
from storage.catalog import Catalog
from storage.layout import Store
from storage.quiet import SETTINGS
from storage.sources.items import ITEMS
from tasks.units import feature_spec_key

AUDIO, FEATURE = AudioSpec(), LogMel()
PER_PART = 2000
CONFIG = """\
version: 1
storage: {root: ./store}
pipelines:
  generated:
    source: {kind: folder, uri: ./source}
    features: [{kind: log_mel}]
    max_rejected: 1.0
"""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print a step with its seconds, those of them on a processor, and the peak of memory so far."""
    began, busy = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    say(name, time.perf_counter() - began, time.process_time() - busy, peak)


def say(name: str, seconds: float, busy: float, peak_kib: float) -> None:
    print(f"{name:36s} {seconds:8.2f} s   on a CPU {busy:8.2f} s   peak {peak_kib / 1024:6.0f} MiB", flush=True)


def generated_items(count: int) -> pa.Table:
    """A scan of `count` files in folders of a thousand."""
    numbers = np.arange(count)
    names = [f"{number // 1000:05d}/{number:08d}.wav" for number in numbers]
    columns: dict[str, Any] = {
        "id": names,
        "uri": names,
        "stamp": [f"{160_044 + number % 977}-{1_700_000_000_000_000_000 + number}" for number in numbers],
        "size": 160_044 + numbers % 977,
        "text": [f"the text of number {number}" for number in numbers],
        "speaker": [f"speaker-{number % 997}" for number in numbers],
    }
    return with_places(pa.table(columns))


def with_places(items: pa.Table) -> pa.Table:
    items = tables.conform(items, ITEMS)
    place = tables.joined(items, ("uri", "start", "seconds", "channel"))
    return items.set_column(items.column_names.index("place"), "place", place)


def finished(work: Work, items: pa.Table) -> pa.Table:
    """What the ledgers of units that did all these items would say; every thousandth is rejected."""
    count = len(items)
    numbers = np.arange(count)
    bad = numbers % 1000 == 999
    spec = feature_spec_key(AUDIO, FEATURE)
    keys = [digest(uri) for uri in items.column("uri").to_pylist()]
    audio_keys = [digest(key, "audio") for key in keys]
    units = [digest("unit", number) for number in range(count // PER_PART + 1)]
    audio = [work.store.audio_part(work.dataset, fingerprint(AUDIO), unit) for unit in units]
    feature = [work.store.feature_part(work.dataset, spec, unit) for unit in units]
    sha256 = digest("sha256") * 2
    of_unit = numbers // PER_PART
    flat = pa.StructArray.from_arrays(
        [
            pa.array([digest(key, spec) for key in audio_keys]),
            pa.array([spec] * count),
            pa.DictionaryArray.from_arrays(of_unit, feature).cast(pa.string()),
            pa.array([sha256] * count),
            pa.array(numbers % PER_PART, pa.int32()),
            pa.array(np.full(count, 501), pa.int32()),
        ],
        fields=list(ledger.FEATURE),
    )
    good = ~bad
    offsets = pa.array(np.concatenate([[0], np.cumsum(good)]), pa.int32())
    features = pa.ListArray.from_arrays(offsets, flat.filter(pa.array(good)))
    columns: dict[str, Any] = {name: items.column(name) for name in ("id", "place", "uri", "stamp")}
    columns |= {
        "key": pa.array(keys, mask=bad),
        "sha256": [digest(key) * 2 for key in keys],
        "start": pa.array(np.zeros(count, np.int64)),
        "num_samples": pa.array(np.full(count, 80_000)),
        "sample_rate": pa.array(np.full(count, 16_000)),
        "channels": pa.array(np.ones(count)),
        "container": ["WAV/PCM_16"] * count,
        "peak": pa.array(np.random.default_rng(0).random(count), mask=bad),
        "rms": pa.array(np.random.default_rng(1).random(count), mask=bad),
        "audio_spec": pa.array([fingerprint(AUDIO)] * count, mask=bad),
        "audio_key": pa.array(audio_keys, mask=bad),
        "audio_part": pa.array(pa.DictionaryArray.from_arrays(of_unit, audio).cast(pa.string()).to_pylist(), mask=bad),
        "audio_row": pa.array(numbers % PER_PART, mask=bad),
        "audio_part_sha256": [sha256] * count,
        "prepared_rate": pa.array(np.full(count, 16_000)),
        "prepared_samples": pa.array(np.full(count, 80_000)),
        "features": features,
        "stage": pa.array(["decode"] * count, mask=good),
        "reason": pa.array(["decode_failed"] * count, mask=good),
        "detail": pa.array(["generated"] * count, mask=good),
    }
    return tables.conform(pa.table(columns), ledger.ROWS)


def make_parts(work: Work, rows: pa.Table) -> None:
    """Plans believe only parts that are there."""
    named = (
        ledger.features_of(rows).column("part").unique().to_pylist() + rows.column("audio_part").unique().to_pylist()
    )
    for part in filter(None, named):
        path = Path(work.store.path(part))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def new_work(folder: Path) -> Work:
    root = folder / "store"
    store = Store(root=str(root), catalog=f"sqlite:///{root}/catalog.db", mlflow=f"sqlite:///{folder}/mlflow.db")
    base = str(folder / "source")
    return Work(store=store, dataset="generated", base_uri=base, audio=AUDIO, features=(FEATURE,), max_rejected=1.0)


def night(name: str, folder: Path, first: int, count: int) -> None:
    """One run without the audio; the rows from `first` to `count` are what its units would have done."""
    work = new_work(folder)
    with step(f"{name}: read the scan"):
        catalog = Catalog(work.store.catalog, work.store.root)
        items = pq.read_table(folder / "items.parquet").slice(0, count)
    with step(f"{name}: plan"):
        plan = plan_work(work, items, catalog, workers=2)
    assert plan.new_items == count - first, plan.reasons
    with step(f"{name}: assemble"):
        rows = ledger.read_units(
            [str(folder / f"{unit}.parquet") for unit in range(first // PER_PART, -(-count // PER_PART))]
        )
        state = assemble(plan, pa.concat_tables([plan.known, rows.slice(first % PER_PART, count - first)]))
    with step(f"{name}: leaks and drift"):
        guard(plan, state, PlainReporter(quiet=True))
    with step(f"{name}: commit"):
        catalog.commit(work.dataset, plan.base, state.tables, books=state.books, facts={}, before=plan.before)
    assert state.books["scanned"]["items"] == count


def three_nights(folder: Path, count: int) -> None:
    child("--generate", folder, count + 1)
    for name, first, last in (("first", 0, count), ("nothing new", count, count), ("one new", count, count + 1)):
        child("--night", name, folder, first, last)


def generate(folder: Path, count: int) -> None:
    """What the nights read: the scan (of the files, where there are some), the units' rows, the (empty) parts."""
    source = folder / "source"
    items = sources.scan(sources.FolderSource(uri=str(source))) if source.exists() else generated_items(count)
    work = new_work(folder)
    rows = finished(work, items)
    pq.write_table(items, folder / "items.parquet")
    for start in range(0, len(rows), PER_PART):
        pq.write_table(rows.slice(start, PER_PART), folder / f"{start // PER_PART}.parquet")
    make_parts(work, rows)


def child(*arguments: object) -> None:
    """In a process of its own: what was generated here would be counted as the memory of those that are measured."""
    command = [sys.executable, __file__, *map(str, arguments)]
    subprocess.run(command, check=True, env={**SETTINGS, **os.environ})


def by_command(folder: Path, count: int) -> None:
    """The same by `sorigil prepare` over real (silly) files: nothing to do, then one new recording."""
    source = folder / "source"
    for number in range(count):
        path = source / f"{number // 1000:05d}" / f"{number:08d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    (folder / "pipelines.yaml").write_text(CONFIG)
    child("--generate", folder, count)
    child("--night", "catalogued", folder, 0, count)
    run_command("sorigil prepare, nothing to do", folder)
    rate = AUDIO.sample_rate
    soundfile.write(source / "new.wav", np.random.default_rng(0).normal(0, 0.1, 5 * rate), rate)
    run_command("sorigil prepare, one new file", folder)


def run_command(name: str, folder: Path) -> None:
    began = time.perf_counter()
    command = [sys.executable, "-m", "flows.cli", "prepare", "generated", "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stderr
        said, complaint = running.stdout.read(), running.stderr.read()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0, complaint.decode()
    say(name, time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
    print("   ", json.loads(said)["work"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--command", action="store_true", help="by the command over files on disk")
    parser.add_argument("--night", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--generate", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.generate:
        return generate(Path(asked.generate[0]), int(asked.generate[1]))
    if asked.night:
        name, place, first, last = asked.night
        return night(name, Path(place), int(first), int(last))
    with tempfile.TemporaryDirectory() as temporary:
        return (by_command if asked.command else three_nights)(Path(temporary), asked.items)


if __name__ == "__main__":
    main()
