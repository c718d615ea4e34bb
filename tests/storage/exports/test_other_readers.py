"""Exports read by the libraries they are for, where these are installed: none is a dependency of Sorigil."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
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
