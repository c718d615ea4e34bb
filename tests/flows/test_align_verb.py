"""`sorigil align`: a dataset's utterances or other recordings, what is done before, what is refused, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from yaml_world import RATE, make_project, sorigil, sound

from flows import config
from flows.cli_align import FORMATS
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import AlignRequest, Options
from tasks.align import WRITERS

QUIET = PlainReporter(quiet=True)
LEARN = ("ingest", "prepare", "train")
YAML_CHANGES = ("train.letters.epochs=1",)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with trained models."""
    path = make_project(tmp_path_factory.mktemp("project"))
    loaded = config.load(path, YAML_CHANGES, pipeline="tones")
    assert execute(loaded, "tones", Options(local=True, steps=LEARN), QUIET)["status"] == "completed"
    return path


def align(path: Path, output: Path, **asked: Any) -> dict[str, Any]:
    loaded = config.load(path, YAML_CHANGES, pipeline="tones")
    request = AlignRequest(output=str(output), **asked)
    return execute(loaded, "tones", Options(local=True, steps=("align",), align=request), QUIET)


def test_each_utterance_of_the_dataset_is_aligned_once(path: Path, tmp_path: Path) -> None:
    first = align(path, tmp_path / "out")
    assert first["status"] == "completed", first["errors"]
    assert len(first["alignments"]) == 40
    assert first["quarantine"]["total"] == 1, "the broken file, which was never in the dataset"
    assert [row["words"] for row in first["alignments"]] == [1] * 40
    written = json.loads((tmp_path / "out/7.flac.json").read_text())
    (utterance,) = written["utterances"]
    assert (utterance["id"], utterance["text"], utterance["words"][0]["text"]) == ("u7", "b", "b")
    assert 0 <= utterance["words"][0]["start"] < utterance["words"][0]["end"] <= 0.45
    again = align(path, tmp_path / "out")
    assert again["alignments"] == [{**row, "reused": True} for row in first["alignments"]]


def test_a_split_alone(path: Path, tmp_path: Path) -> None:
    result = align(path, tmp_path / "out", split="test", formats=("ctm",))
    assert [row["uri"] for row in result["alignments"]] == sorted(f"{number}.flac" for number in range(0, 40, 5))
    assert sorted(file.suffix for file in (tmp_path / "out").iterdir()) == [".ctm"] * 8 + [".json"] * 8
    wrong = align(path, tmp_path / "out", split="tset")
    assert wrong["status"] == "failed"
    assert "--split tset: tones has no such utterance; its splits: dev, test, train" in wrong["errors"][0]["message"]


def folder_of_recordings(folder: Path) -> Path:
    folder.mkdir()
    for number, (name, text) in enumerate({"one": "a b a", "mute": "", "odd": "a x", "none": None}.items()):
        soundfile.write(folder / f"{name}.wav", sound("low", number, seconds=1.0), RATE)
        if text is not None:
            (folder / f"{name}.txt").write_text(text)
    (folder / "torn.wav").write_bytes(b"RIFF")
    (folder / "torn.txt").write_text("a")
    return folder


def test_a_folder_with_texts_beside_its_recordings(path: Path, tmp_path: Path) -> None:
    source = folder_of_recordings(tmp_path / "in")
    result = align(path, tmp_path / "out", source=str(source))
    assert result["status"] == "completed", "what cannot be aligned is named, and is no failure"
    rows = {row["uri"]: row["words"] for row in result["alignments"]}
    assert rows == {"odd.wav": 0, "one.wav": 3}
    refused = {row["id"]: row["reason"] for row in result["quarantine"]["rows"]}
    assert refused.items() >= {"mute.wav": "no_text", "none.wav": "no_text", "odd.wav": "symbol_not_in_train"}.items()
    aligned = {row["uri"] for row in result["alignments"] if row["utterances"]}
    assert aligned | (refused.keys() & {f"{name}.wav" for name in ("mute", "none", "odd", "torn")}) == {
        file.name for file in source.glob("*.wav")
    }, "each utterance is aligned, or refused with a reason"
    again = align(path, tmp_path / "out", source=str(source))
    assert again["quarantine"] == result["quarantine"]
    (source / "odd.txt").write_text("a")
    changed = align(path, tmp_path / "out", source=str(source))
    assert {row["uri"]: row["reused"] for row in changed["alignments"]} == {"odd.wav": False, "one.wav": True}


def test_recordings_without_any_text_are_named(path: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/a.wav", sound("low", 1), RATE)
    result = align(path, tmp_path / "out", source=str(tmp_path / "in"))
    assert (result["status"], result["alignments"]) == ("completed", [])
    assert "no_text" in {row["reason"] for row in result["quarantine"]["rows"]}
    assert not (tmp_path / "out").exists()


def test_several_stretches_of_a_recording_are_in_its_files(path: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "day.wav", sound("low", 1, seconds=3.0), RATE)
    rows = [{"id": f"s{i}", "audio": "day.wav", "start": i, "end": i + 1, "text": "ab"[i]} for i in range(2)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = align(path, tmp_path / "out", source=str(tmp_path / "rows.jsonl"))
    (row,) = result["alignments"]
    assert (row["uri"], row["utterances"], row["words"]) == ("day.wav", 2, 2)
    assert row["seconds"] == 3.0, "heard once"
    lines = (tmp_path / "out/day.wav.ctm").read_text().splitlines()
    assert [int(float(line.split()[2])) for line in lines] == [0, 1]


def test_the_command_offers_what_can_be_written() -> None:
    assert set(FORMATS) == {"json", *WRITERS} == set(AlignRequest(output="").formats)


def test_the_command_says_what_it_did_and_what_is_wrong(path: Path, tmp_path: Path) -> None:
    common = ("align", "tones", "--file", str(path), "--set", *YAML_CHANGES, "--local")
    ran = sorigil(*common, "--output", "out", "--split", "test", "--to", "textgrid", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "Aligned: 8 recordings, 8 utterances, 8 words" in ran.stdout
    assert "align: 8 utterances (8 words) in 8 recordings, 0 of these done before; in out" in ran.stderr
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".TextGrid", ".json"}
    wrong = sorigil(*common, "--output", "out", "--model", "which", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--model which: tones has no such entry with objective ctc; there is letters" in wrong.stderr
    wrong = sorigil(*common, "--output", "out", "--split", "test", "--source", "in", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--split chooses among the dataset's utterances" in wrong.stderr
    wrong = sorigil(*common, "--output", "out", "--to", "praat", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "praat: there is no such format; there are json, TextGrid, ctm" in wrong.stderr
