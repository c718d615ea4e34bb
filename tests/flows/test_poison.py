"""A file that crashes, hangs or floods the decoder kills workers, not the run: it ends alone in the quarantine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from conftest import LOG_MEL, RATE, World
from poison import INJECTED, poisoned_wav
from yaml_world import make_project, sound

from flows import config
from flows.on_dask import OnDask
from flows.plan import make_plan
from flows.prepare import Prepared, do_plan
from flows.progress import PlainReporter
from flows.run import Options, Run
from flows.runtime import InProcess
from flows.transcribe import transcribe
from sorigil.audio.spec import AudioSpec
from sorigil.models.network import build
from sorigil.models.specs import GruSpec
from storage import bundles, tables
from storage.parts import PartReader
from tasks.breadcrumb import Deadline
from tasks.train_job import Trained

pytestmark = pytest.mark.slow

FAULTS = {"crash": "worker_died", "hang": "hung", "flood": "out_of_memory"}
GOOD = 24


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnDask]:
    """Two workers in which the faults are real; this process itself has none of them."""
    here = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(INJECTED), here, os.environ.get("PYTHONPATH", "")]))
    runner = OnDask(workers=2, memory="700MiB")  # the workers start, in this environment, when the first unit comes
    yield runner
    runner.close()


def fill(world: World, *faults: str) -> World:
    """Good files with the poisoned ones among them, and a broken one."""
    world.settings["deadline"] = Deadline(seconds=15.0, seconds_per_mb=0.0)
    for number in range(GOOD):
        world.add(f"u{number}", seed=number)
        if number % 7 == 3 and number // 7 < len(faults):
            fault = faults[number // 7]
            world.add_bytes(fault, poisoned_wav(fault, number))
    world.add_bytes("broken", b"<html>")
    return world


def run(world: World, runner: OnDask, **options: Any) -> Prepared:
    plan = world.plan(workers=runner.workers, **options)
    return do_plan(plan, runner, PlainReporter(quiet=True), world.catalog, {})


def rows(world: World, table: str, *without: str) -> list[dict[str, Any]]:
    """A version's rows but for where they lie, in the order of their ids."""
    found = [{name: row[name] for name in row if name not in without} for row in world.read(table)]
    return sorted(found, key=str)


def test_poison_items_end_alone_in_the_quarantine_and_all_else_is_done(tmp_path: Path, runner: OnDask) -> None:
    clean, world = fill(World(tmp_path / "clean")), fill(World(tmp_path / "world"), *FAULTS)
    clean.run()
    done = run(world, runner)

    places = ("stamp", "audio_part", "audio_row", "audio_part_sha256", "part", "part_sha256", "row")
    for table in ("utterances", "features"):
        assert rows(world, table, *places) == rows(clean, table, *places)
    assert world.quarantine() == {"broken": "not_audio", **FAULTS}
    books = done.state.books
    assert books["scanned"]["items"] == GOOD + 4 == books["kept"]["items"] + books["quarantined"]["items"]

    found = {row["id"]: row for row in world.read("quarantine")}
    for fault in FAULTS:
        data = (world.source / f"{fault}.wav").read_bytes()
        assert (found[fault]["stage"], found[fault]["sha256"]) == ("worker", hashlib.sha256(data).hexdigest())
    assert "Segmentation fault in flows/injected/sitecustomize.py" in found["crash"]["detail"]
    assert "it had 15 s" in found["hang"]["detail"]

    # The next night it is remembered: nothing to do, nobody dies. Also where no version was committed: in the ledger.
    assert not world.plan().units
    nothing = {name: tables.empty(schema) for name, schema in tables.SCHEMAS.items()}
    plan = make_plan(world.work(), world.items(), None, nothing, workers=1)
    assert not plan.units and len(plan.known) == GOOD + 4

    # Asked differently it may work, and so it may with another decoder: this process has no fault in it.
    other = world.plan(features=())
    assert sorted(name for unit in other.units for name in unit.items.column("id").to_pylist()) == sorted(FAULTS)
    world.run(retry=True)
    assert world.quarantine() == {"broken": "not_audio"} and len(world.kept()) == GOOD + 3


def test_prepared_audio_can_be_poison_too(tmp_path: Path, runner: OnDask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another feature is asked for: it is computed from the store's own audio, which a decoder may not survive either."""
    world = fill(World(tmp_path))
    world.run(features=())
    poisoned = dict(zip(FAULTS, ("u3", "u11", "u17"), strict=True))
    asked = ",".join(f"{_flac_hash(world, id)}={fault}" for fault, id in poisoned.items())
    monkeypatch.setenv("SORIGIL_TEST_FAULTS", asked)
    done = run(world, runner)

    assert world.quarantine() == {"broken": "not_audio", **{id: FAULTS[fault] for fault, id in poisoned.items()}}
    assert set(world.kept()) == {f"u{number}" for number in range(GOOD)} - set(poisoned.values())
    assert len(world.read("features")) == GOOD - 3
    books = done.state.books
    assert books["scanned"]["items"] == GOOD + 1 == books["kept"]["items"] + books["quarantined"]["items"]
    found = {row["id"]: row for row in world.read("quarantine")}
    assert "Segmentation fault in flows/injected/sitecustomize.py" in found["u3"]["detail"]

    assert not run(world, runner).changed, "the next night it is remembered"
    world.run(retry=True)  # here without the faults
    assert world.quarantine() == {"broken": "not_audio"} and len(world.read("features")) == GOOD


def _flac_hash(world: World, id: str) -> str:
    """Of the samples, as the header of the item's prepared audio has it."""
    row = world.kept()[id]
    (flac,) = PartReader(world.store, ("audio", "num_samples")).flacs(row["audio_part"], row["audio_row"], 1)
    return flac[26:42].hex()


def test_poison_in_an_archive_that_is_transcribed(
    tmp_path: Path, runner: OnDask, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    path = make_project(tmp_path, items=4, yaml=TRANSCRIBE)
    for number, fault in enumerate(FAULTS):
        (archive / f"{fault}.wav").write_bytes(poisoned_wav(fault, number))
    for number in range(GOOD):
        soundfile.write(archive / f"{number}.wav", sound("low", number), 8000)
    loaded = config.load(path, ())
    store = loaded.storage.store().open()
    bundles.save(store, tiny_recogniser())

    def transcribed(runner: Any, **options: Any) -> Run:
        road = Run(config=loaded, pipeline=loaded.pipeline("tones"), reporter=PlainReporter(quiet=True), runner=runner)
        road.options = Options(**options)
        road.trained = {"letters": Trained(key="tiny", reused=True)}
        transcribe(road)
        return road

    done = transcribed(runner)
    rejected = {row.uri.removesuffix(".wav"): row.reason for row in done.recording_rejections}
    assert rejected == {**FAULTS, "torn": "bad_header"}
    assert len(done.transcripts) == GOOD + 2 == len(list((tmp_path / "transcripts").glob("*.json")))
    assert {row.stage for row in done.recording_rejections if row.reason in FAULTS.values()} == {"worker"}

    again = transcribed(InProcess())  # nobody opens them again: they would be good here
    assert {row.uri for row in again.recording_rejections} == {row.uri for row in done.recording_rejections}
    assert all(row["reused"] for row in again.transcripts) and len(again.transcripts) == GOOD + 2
    retried = transcribed(InProcess(), retry=True)
    assert len(retried.transcripts) == GOOD + 5


TRANSCRIBE = """\
version: 1
storage: {root: ./store}
pipelines:
  tones:
    source: {kind: manifest, uri: ./source/manifest.jsonl}
    audio: {sample_rate: 8000}
    features:
      - {kind: log_mel, n_fft: 256, win_length: 200, hop_length: 80, n_mels: 20}
    train:
      - {name: letters, model: {kind: gru, hidden: 8, layers: 1}, objective: ctc, epochs: 1}
    transcribe:
      source: {kind: folder, uri: ./archive}
      model: letters
      output: ./transcripts
      deadline: {seconds: 20.0, seconds_per_mb: 0.0}
"""


def tiny_recogniser() -> bundles.Bundle:
    """Of two letters, untrained."""
    model, outputs = GruSpec(hidden=8, layers=1), ("<blank>", "a", "b")
    return bundles.Bundle(
        key="tiny",
        name="letters",
        objective="ctc",
        model=model,
        audio=AudioSpec(sample_rate=RATE),
        feature=LOG_MEL,
        cmvn="utterance",
        input_dim=LOG_MEL.n_mels,
        outputs=outputs,
        tokens="characters",
        normalizer="basic",
        weights=build(model, "ctc", LOG_MEL.n_mels, len(outputs)).state_dict(),
    )
