"""Kaldi's data folders: what is joined, what is understood of a command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from storage.sources import KaldiSource, scan


def folder(path: Path, **tables: str | bytes) -> Path:
    """A data folder with some audio files beside; `wav_scp` is the file `wav.scp`."""
    path.mkdir(parents=True, exist_ok=True)
    for name in ("a.wav", "b.flac", "c.sph"):
        (path / name).write_bytes(b"audio")
    for name, text in tables.items():
        data = text if isinstance(text, bytes) else text.encode()
        (path / name.replace("_scp", ".scp")).write_bytes(data)
    return path


def rows(path: Path, **options: Any) -> dict[str, dict[str, Any]]:
    table = scan(KaldiSource(uri=str(path), **options))
    found = {row["id"]: row for row in table.to_pylist()}
    assert len(found) == len(table)
    return found


def test_utterances_are_the_lines_of_wav_scp_where_there_are_no_segments(tmp_path: Path) -> None:
    texts = {"text": "u1 one  two\nu2\n", "utt2spk": "u1 kim\nu2 u2\n", "utt2lang": "u1 ko\n", "utt2label": "u2 yes\n"}
    found = rows(folder(tmp_path, wav_scp="u1 a.wav\nu2\tb.flac\n", **texts))
    one, two = found["u1"], found["u2"]
    assert (one["uri"], one["text"], one["speaker"], one["lang"], one["label"]) == (
        "a.wav",
        "one  two",
        "kim",
        "ko",
        None,
    )
    assert (two["uri"], two["text"], two["speaker"], two["lang"], two["label"]) == ("b.flac", None, None, None, "yes")
    assert one["problem"] is two["problem"] is None and one["start"] is one["seconds"] is None


def test_segments_are_spans_of_recordings(tmp_path: Path) -> None:
    segments = "u1 r1 0.5 1.25\nu2 r1 2 -1\nu3 r2 0 1.0 1\nu4 r9 0 1\nu5 r1 2 1\nu6 r1 0\nu7 r1 x 1\nu8 r1 0 1 B\n"
    found = rows(folder(tmp_path, wav_scp="r1 a.wav\nr2 b.flac\n", segments=segments))
    spans = {name: (row["uri"], row["start"], row["seconds"], row["channel"]) for name, row in found.items()}
    assert spans["u1"] == ("a.wav", 0.5, 0.75, None)
    assert spans["u2"] == ("a.wav", 2.0, None, None)
    assert spans["u3"] == ("b.flac", 0.0, 1.0, 1)
    said = {name: row["problem"] for name, row in found.items() if row["problem"]}
    assert said == {
        "u4": "bad_row: line 4 of segments: wav.scp does not have its recording",
        "u5": "bad_row: line 5 of segments: it ends at 1 s, before it begins at 2 s",
        "u6": "bad_row: line 6 of segments: it has 3 fields; expected: utterance recording start end",
        "u7": "bad_row: line 7 of segments: start is 'x', not a number",
        "u8": "bad_row: line 8 of segments: channel is 'B'; it must be a whole number below 1024",
    }


@pytest.mark.parametrize(
    ("audio", "uri", "channel"),
    [
        ("flac -c -d -s b.flac |", "b.flac", None),
        ("/usr/bin/flac -dcs 'b.flac'|", "b.flac", None),
        ("sph2pipe -f wav -p -c 2 c.sph |", "c.sph", 1),
        ("/opt/kaldi/tools/sph2pipe_v2.5/sph2pipe -f wav c.sph |", "c.sph", None),
        ("cat a.wav |", "a.wav", None),
    ],
)
def test_a_command_that_only_decodes_is_read_as_its_file(
    tmp_path: Path, audio: str, uri: str, channel: int | None
) -> None:
    (row,) = rows(folder(tmp_path, wav_scp=f"u {audio}\n")).values()
    assert (row["uri"], row["channel"], row["problem"]) == (uri, channel, None)


@pytest.mark.parametrize(
    "audio",
    [
        "sox a.wav -t wav - remix 2 |", "touch pwned; cat a.wav |", "cat $(touch pwned) |", "cat a.wav | touch pwned |",
        "cat `touch pwned` |", "cat < a.wav |", "cat a.wav b.flac |", "cat - |", "|", "cat |", "cat 'a.wav |", "-",
        "| touch pwned", "ffmpeg -i a.wav -f wav - |", "flac -c -d -s --skip=100 b.flac |", "cat a.wav && touch pwned |",
        "sph2pipe -h c.sph |", "cat *.wav |", "cat a.wav\x00 |",
    ],
)  # fmt: skip
def test_any_other_command_is_refused_and_none_is_run(
    tmp_path: Path, audio: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = rows(folder(tmp_path, wav_scp=f"u {audio}\n")).values()
    assert row["problem"].startswith(("command_refused: line 1 of wav.scp: ", "missing_file: "))
    assert row["stamp"] is None and not (tmp_path / "pwned").exists()


def test_a_place_in_a_kaldi_archive_is_a_problem_with_advice(tmp_path: Path) -> None:
    (row,) = rows(folder(tmp_path, wav_scp="u raw/wav.3.ark:1234\n")).values()
    assert "is a place in a Kaldi archive" in row["problem"]


def test_nothing_is_lost_silently(tmp_path: Path) -> None:
    """A text without audio, two texts for one utterance, text that is not UTF-8: each is a problem with its line."""
    text = b"u1 one\nu1 other\n\nu2 \xff\xfe\nu9 nobody\n"
    found = rows(folder(tmp_path, wav_scp="u1 a.wav\nu2 b.flac\nu3 no.wav\n", text=text))
    assert found["u1"]["problem"] == "bad_row: line 1 of wav.scp: text has several lines for it"
    assert found["u2"]["problem"] == "bad_text: line 2 of wav.scp: its line in text is not UTF-8"
    assert found["u3"]["problem"] == f"missing_file: {tmp_path}/no.wav does not exist or cannot be read"
    said = "missing_file: line 5 of text: it has a text, but neither segments nor wav.scp names it"
    assert found["u9"]["problem"] == said


def test_a_folder_of_folders_is_a_dataset_with_splits(tmp_path: Path) -> None:
    for name in ("train_clean", "dev", "unused", "all"):
        folder(tmp_path / name, wav_scp=f"{name}-1 a.wav\n", utt2spk=f"{name}-1 {name}\n")
    found = rows(tmp_path)
    assert {name: row["split"] for name, row in found.items()} == {
        "train_clean-1": "train", "dev-1": "dev", "unused-1": "unused", "all-1": None,
    }  # fmt: skip
    assert found["dev-1"]["uri"] == "dev/a.wav"
    assert rows(tmp_path / "dev")["dev-1"]["split"] == "dev"


def test_paths_are_relative_to_the_folder_or_to_the_root(tmp_path: Path) -> None:
    made = folder(tmp_path / "data", wav_scp="u corpus/a.wav\nv /nowhere/x.wav\n")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.wav").write_bytes(b"x")
    assert rows(made)["u"]["problem"].startswith("missing_file")
    found = rows(made, root=str(tmp_path), lang="en")
    assert (found["u"]["uri"], found["u"]["problem"], found["u"]["lang"]) == (f"{tmp_path}/corpus/a.wav", None, "en")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no wav\.scp in this folder or below it"):
        rows(tmp_path)
    with pytest.raises(RequestError, match=r"wav\.scp: has no lines"):
        rows(folder(tmp_path, wav_scp="\n"))


_word = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=6)


@given(lines=st.lists(st.tuples(_word, _word), max_size=6), noise=st.binary(max_size=30))
def test_whatever_the_tables_hold_every_line_of_wav_scp_is_a_row(
    lines: list[tuple[str, str]], noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = "".join(f"u{index} {value}\n" for index, (_, value) in enumerate(lines)) + "last a.wav\n"
    texts = "".join(f"{key} {value}\n" for key, value in lines).encode() + noise
    place = folder(tmp_path_factory.mktemp("any"), wav_scp=made, text=texts, segments="", utt2spk=noise)
    table = scan(KaldiSource(uri=str(place)))
    ids = set(table.column("id").to_pylist())
    assert {f"u{index}" for index in range(len(lines))} | {"last"} <= ids
    json.dumps(table.to_pylist())
