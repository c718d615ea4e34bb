"""Exports read by the libraries they are for, where these are installed: none is a dependency of Sorigil."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import World
from export_world import exported, fill, original, prepared


@pytest.mark.parametrize("audio", ["flac", "source"])
def test_lhotse_reads_its_export(world: World, tmp_path: Path, audio: str) -> None:
    lhotse = pytest.importorskip("lhotse")
    fill(world)
    exported(world, tmp_path / "out", "lhotse", audio)
    there = original(world)
    cuts = {}
    for split in ("train", "dev", "test"):
        recordings, supervisions, found = (
            lhotse.load_manifest(tmp_path / f"out/{name}_{split}.jsonl.gz")
            for name in ("recordings", "supervisions", "cuts")
        )
        made = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
        lhotse.validate(recordings, read_data=True)
        lhotse.validate(supervisions)
        for cut in found:
            lhotse.validate(cut)
            cuts[cut.id] = cut
        assert sum(len(cut.supervisions) for cut in made) == len(found.to_eager())
    assert set(cuts) == set(there)
    sounds = prepared(world)
    for name, cut in cuts.items():
        (said,) = cut.supervisions
        custom = said.custom or {}
        assert (said.text, said.speaker, said.language) == tuple(
            there[name][key] for key in ("text", "speaker", "lang")
        )
        assert (custom.get("label"), custom.get("split")) == (there[name]["label"], there[name]["split"])
        samples = cut.load_audio()
        if audio == "flac":
            assert np.array_equal(np.round(samples[0] * 32768).astype(np.int16), sounds[name])
        else:
            row = world.kept()[name]
            assert samples.shape == (row["channels"], row["num_samples"])


def test_datasets_reads_its_export(world: World, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    fill(world)
    exported(world, tmp_path / "out", "huggingface", "flac")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 2, "validation": 1, "test": 2}
    assert isinstance(found["train"].features["audio"], datasets.Audio)
    assert found["train"].features["audio"].sampling_rate == 8000
    there, sounds = original(world), prepared(world)
    for rows in found.values():
        for row in rows.cast_column("audio", datasets.Audio(decode=False)):
            assert {name: row[name] for name in ("text", "label", "speaker", "lang", "split")} == there[row["id"]]
            pcm, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
            assert rate == 8000 and np.array_equal(pcm, sounds[row["id"]])


def test_webdataset_reads_its_export(world: World, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    fill(world)
    exported(world, tmp_path / "out", "webdataset", "flac")
    there, sounds = original(world), prepared(world)
    seen = set()
    for split in ("train", "dev", "test"):
        for sample in webdataset.WebDataset(f"file:{tmp_path}/out/{split}-000000.tar", shardshuffle=False):
            about = json.loads(sample["json"])
            seen.add(about["id"])
            assert {name: about.get(name) for name in ("text", "label", "speaker", "lang", "split")} == there[
                about["id"]
            ]
            assert sample.get("txt", b"").decode() == (about.get("text") or "")
            pcm, _ = soundfile.read(io.BytesIO(sample["flac"]), dtype="int16")
            assert np.array_equal(pcm, sounds[about["id"]])
    assert seen == set(there)
