"""An external hears the rows of a dataset: each its own audio at its own rate, whatever the batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import soxr
from conftest import World
from demo_speech import spoken

from sorigil import external
from sorigil.audio.spec import AudioSpec
from sorigil.errors import RequestError
from storage.dataset import StoredRows, open_dataset
from tasks import externals
from tasks.answers import Answers

pytest.importorskip("pocketsphinx")


@pytest.fixture
def phrases(tmp_path: Path) -> Path:
    place = tmp_path / "phrases.txt"
    place.write_text("\n".join(text for text, _ in spoken()))
    return place


def test_each_row_gets_the_answer_to_its_own_audio(
    world: World, phrases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (text, samples) in enumerate(spoken()):
        name = f"{number:02}.wav"
        soundfile.write(world.source / name, soxr.resample(samples, 16_000, 8000), 8000, subtype="PCM_16")
        world.rows.append({"id": f"{number:02}", "audio": name, "text": text})
    version = world.run(audio=AudioSpec(sample_rate=8000), features=()).version
    rows = open_dataset(world.catalog, version)
    stored = StoredRows(world.store, rows, audio=True)

    found = externals.find(external.parse(f"pocketsphinx:{phrases}"))
    assert (found.name, found.objective) == (f"pocketsphinx:{phrases}", "ctc")
    whole = externals.external_answers(found, rows, stored)
    monkeypatch.setattr(externals, "BATCH_SECONDS", 1.0)
    again = externals.external_answers(found, rows, stored)
    assert (again.texts, again.confidences) == (whole.texts, whole.confidences) and whole.seconds > 0
    right = sum(heard == text for heard, text in zip(whole.texts, rows.column("reference").to_pylist(), strict=True))
    assert right >= 0.6 * len(rows)
    assert len(whole.confidences) == len(rows) and all(0 <= each <= 1 for each in whole.confidences)


def test_batches_are_the_rows_in_order_and_no_longer_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(externals, "BATCH_SECONDS", 10.0)
    assert list(externals._batches(np.array([4.0, 6.0, 1.0, 20.0, 2.0]))) == [[0, 1], [2], [3], [4]]
    assert list(externals._batches(np.array([]))) == []


def test_the_key_changes_with_the_content_of_the_grammar(phrases: Path) -> None:
    spec = external.parse(f"pocketsphinx:{phrases}")
    before = externals.find(spec)
    phrases.write_text("seven\n")
    assert externals.find(spec).key != before.key


def test_a_grammar_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none.gram: the file cannot be read \(No such file"):
        externals.find(external.parse(f"pocketsphinx:{tmp_path}/none.gram"))
    (tmp_path / "latin.gram").write_bytes("zéro".encode("latin-1"))
    with pytest.raises(RequestError, match=r"latin.gram: line 1 is not UTF-8"):
        externals.find(external.parse(f"pocketsphinx:{tmp_path}/latin.gram"))


def test_a_classifier_answers_with_its_labels(world: World, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tiny_checkpoints import save_classifier

    world.add("a", label="dog")
    world.add("b", label="cat", seconds=0.5)
    rows = open_dataset(world.catalog, world.run(features=()).version)
    stored = StoredRows(world.store, rows, audio=True)
    place = save_classifier(tmp_path / "ast", ("rain", "dog", "cat"), num_mel_bins=24)
    found = externals.find(external.parse(f"transformers:{place}"))
    assert (found.objective, found.outputs) == ("classification", ("rain", "dog", "cat"))
    said = externals.external_answers(found, rows, stored)
    assert said.probabilities_NC is not None and said.probabilities_NC.shape == (2, 3)
    np.testing.assert_allclose(said.probabilities_NC.sum(axis=1), 1.0, rtol=1e-5)
    assert said.texts == [found.outputs[best] for best in said.probabilities_NC.argmax(axis=1)]
    assert said.confidences == pytest.approx(said.probabilities_NC.max(axis=1))


def test_whisper_is_not_sure_of_what_is_longer_than_its_window(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("transformers")
    from tiny_checkpoints import save_whisper

    world.add("a", text="one", seconds=31.0)
    world.add("b", text="two")
    rows = open_dataset(world.catalog, world.run(features=()).version)
    found = externals.find(external.parse(f"transformers:{save_whisper(tmp_path / 'whisper')}?language=en"))
    said = externals.external_answers(found, rows, StoredRows(world.store, rows, audio=True))
    assert said.confidences[0] is None and 0 < (said.confidences[1] or 0) < 1
    assert "?language=en: 1 of 2 texts are as long as its decoder may write" in caplog.text


def written(place: Path, text: str, *ids: str) -> Answers:
    """What a file says of these ids. It hears nothing, so there are no stored rows."""
    place.write_text(text)
    found = externals.find(external.parse(f"file:{place}"))
    externals.check(found, ids)
    return externals.external_answers(found, pa.table({"id": list(ids)}), None)  # type: ignore[arg-type]


def test_a_file_answers_by_id_and_may_have_more(tmp_path: Path) -> None:
    lines = '{"id": "b", "text": "two"}\n{"id": "a", "text": "one", "confidence": 0.5}\n{"id": "c", "text": ""}\n'
    assert written(tmp_path / "h.jsonl", lines, "a", "b") == Answers(texts=["one", "two"], confidences=[0.5, None])
    assert written(tmp_path / "h.trn", "one (a)\ntwo (b)\n", "b").texts == ["two"]


def test_a_file_of_labels_is_a_classifier(tmp_path: Path) -> None:
    place = tmp_path / "h.jsonl"
    assert written(place, '{"id": "a", "label": "dog", "confidence": 1}\n', "a").texts == ["dog"]
    assert externals.find(external.parse(f"file:{place}")).objective == "classification"


def test_a_missing_id_is_refused_except_in_a_ctm(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"h.jsonl has no answer for 2 of 3 utterances \(b, c\)"):
        written(tmp_path / "h.jsonl", '{"id": "a", "text": "one"}\n', "a", "b", "c")
    words = "a 1 0.0 0.5 one 0.5\n"
    assert written(tmp_path / "h.ctm", words, "a", "b") == Answers(texts=["one", ""], confidences=[0.5, None])
    with pytest.raises(RequestError, match=r"h.ctm has no answer for 2 of 2 utterances \(x, y\)"):
        written(tmp_path / "h.ctm", words, "x", "y")


def test_a_file_is_found_from_wherever_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h.trn").write_text("one (a)\n")
    monkeypatch.chdir(tmp_path)
    found = externals.find(external.parse("file:h.trn"))
    assert (found.name, found.key) == ("file:h.trn", externals.find(external.parse(f"file:{tmp_path}/h.trn")).key)
    monkeypatch.chdir("/")
    assert externals.external_answers(found, pa.table({"id": ["a"]}), None).texts == ["one"]  # type: ignore[arg-type]


def test_a_file_without_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"h.txt: plain lines have no ids"):
        written(tmp_path / "h.txt", "one\ntwo\n", "1")


def test_a_file_that_changes_while_it_is_used_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "h.trn"
    place.write_text("one (a)\n")
    found = externals.find(external.parse(f"file:{place}"))
    place.write_text("two (a)\n")
    assert externals.find(external.parse(f"file:{place}")).key != found.key
    with pytest.raises(RequestError, match="another than when the run began"):
        externals.external_answers(found, pa.table({"id": ["a"]}), None)  # type: ignore[arg-type]
