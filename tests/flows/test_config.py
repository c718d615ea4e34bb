"""The configuration: what a right file means, and that every mistake is found, at its line, all of them at once."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import config
from flows.config import ConfigError, Problem
from sorigil.errors import RequestError
from sorigil.folds import LeaveOneOut
from sorigil.split_specs import FieldSplit, SpeakerSplit

GOOD = """\
version: 1
storage: {root: ./data/store, catalog: "sqlite:///data/store/catalog.db"}
cluster: {kind: local, workers: auto, memory: auto}
pipelines:
  digits:
    source: {kind: manifest, uri: ./data/fsdd/manifest.jsonl}
    audio: {sample_rate: 16000, channels: mono, normalize: {kind: peak}, trim: {kind: none}}
    features:
      - {kind: log_mel, n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80}
      - {kind: mfcc, n_mfcc: 40}
    split: {by: speaker, test: [theo]}
    train:
      - {name: which, model: {kind: cnn2d}, features: log_mel, objective: classification, epochs: 20}
      - {name: words, model: deepspeech2, objective: ctc, tokens: characters, epochs: 30, learning_rate: 1e-3}
    evaluate: {metrics: [accuracy, wer, cer], normalizer: english}
    transcribe: {source: {kind: folder, uri: ./archive}, model: words, output: ./out}
    schedule: {cron: "0 3 * * *", timezone: Asia/Seoul, steps: [ingest, prepare]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipelines.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, *overrides: str, **options: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        config.load(path, overrides, **options)
    return caught.value.problems


def only_problem(path: Path, *overrides: str, **options: Any) -> Problem:
    found = problems(path, *overrides, **options)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


# --- a right file


def test_the_example_of_the_design(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, GOOD))
    digits = loaded.pipeline("digits")
    assert (digits.name, digits.dataset) == ("digits", "digits")
    assert digits.source.kind == "manifest"
    assert [each.name for each in digits.features] == ["log_mel", "mfcc"]
    assert digits.features[1].n_mfcc == 40
    which, words = digits.train
    assert (which.name, which.model.kind, which.features, which.target) == ("which", "cnn2d", "log_mel", "label")
    assert (words.name, words.model.kind, words.features, words.target) == (
        "words",
        "deepspeech2",
        "log_mel",
        "reference",
    )
    assert (which.train.epochs, words.train.epochs, words.train.learning_rate) == (20, 30, 0.001)
    assert digits.split == SpeakerSplit(test=("theo",))
    assert digits.transcribe is not None
    assert digits.transcribe.formats == ("json", "txt", "srt", "vtt")
    assert digits.schedule == config.ScheduleConfig(
        cron="0 3 * * *", timezone="Asia/Seoul", steps=("ingest", "prepare")
    )


def test_defaults(tmp_path: Path) -> None:
    text = "version: 1\npipelines:\n  a:\n    source: {kind: folder, uri: x}\n    features: [log_mel]\n"
    text += "    train: [{model: gru, objective: ctc}]\n"
    loaded = config.load(write(tmp_path, text))
    pipeline = loaded.pipeline("a")
    assert loaded.storage.root == str(tmp_path / "data/store")
    assert loaded.cluster == config.LocalCluster()
    assert pipeline.split == FieldSplit(dev=0.1, seed=0)
    assert pipeline.train[0].name == "gru"
    assert pipeline.audio.sample_rate == 16_000
    assert (pipeline.max_rejected, pipeline.max_vanished, pipeline.keep_audio) == (0.1, 0.1, True)
    assert (pipeline.transcribe, pipeline.schedule) == (None, None)


def test_the_store_spells_out_what_is_not_given(tmp_path: Path) -> None:
    store = config.load(write(tmp_path, GOOD)).storage.store()
    assert store.root == str(tmp_path / "data/store")
    assert store.catalog == f"sqlite:///{tmp_path}/data/store/catalog.db"
    assert store.mlflow == f"sqlite:///{tmp_path}/data/mlflow.db"


def test_yaml_1_2_keeps_labels_and_reads_exponents(tmp_path: Path) -> None:
    text = GOOD.replace("[theo]", "[no, yes, on, off, 2024-01-01, '007']")
    digits = config.load(write(tmp_path, text)).pipeline("digits")
    assert digits.split.test == ("no", "yes", "on", "off", "2024-01-01", "007")
    assert digits.train[1].train.learning_rate == 1e-3


def test_anchors_merge_and_their_copies_are_apart(tmp_path: Path) -> None:
    text = GOOD + "  again:\n    <<: &base {source: {kind: folder, uri: a}, max_rejected: 0.2}\n    max_rejected: 0.3\n"
    text += "  third: *base\n"
    loaded = config.load(write(tmp_path, text), ["pipelines.again.source.uri=/b", "pipelines.third.dataset=other"])
    assert loaded.pipeline("again").max_rejected == 0.3
    assert loaded.pipeline("again").source.uri == "/b"
    assert loaded.pipeline("third").source.uri == str(tmp_path / "a")
    assert loaded.pipeline("third").max_rejected == 0.2


def test_an_unknown_pipeline_is_named_with_its_nearest(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="did you mean digits"):
        config.load(write(tmp_path, GOOD)).pipeline("digit")


# --- one mistake at a time: (what is replaced, by what, line, path, words that must be said)

END = "steps: [ingest, prepare]}\n"
MISTAKES = [
    ("version: 1", "version: 2", 1, "version", ["2", "expected 1"]),
    ("version: 1", "version: 1: 2", 1, "", ["not valid YAML"]),
    ("storage: {root", "storage: {rot", 2, "storage.rot", ["unknown key", "did you mean root?"]),
    ("storage: {root: ./data/store", "storage: {root: 5", 2, "storage.root", ["5", "expected text", "'5'"]),
    ("kind: local", "kind: lokal", 3, "cluster.kind", ["'lokal'", "one of local, address", "did you mean local?"]),
    ("kind: local, workers: auto", "kind: local, workers: 0", 3, "cluster.workers", ["0", "at least 1"]),
    ("kind: local, workers: auto", "kind: local, workers: true", 3, "cluster.workers", ["true", "a whole number"]),
    ("memory: auto", "memory: 4 bananas", 3, "cluster.memory", ["4GiB"]),
    (
        "{kind: local, workers: auto, memory: auto}",
        "{kind: address, scheduler: host}",
        3,
        "cluster.scheduler",
        ["tcp://"],
    ),
    ("{kind: local, ", "{kimd: local, ", 3, "cluster", ["kind is missing", "one of local, address"]),
    ("  digits:", "  dig its:", 5, "pipelines.dig its", ["letters, digits, - and _"]),
    (
        "kind: manifest",
        "kind: manifst",
        6,
        "pipelines.digits.source.kind",
        ["folder, manifest, ", "did you mean manifest?"],
    ),
    ("uri: ./data/fsdd/manifest.jsonl", "uri: [a]", 6, "pipelines.digits.source.uri", ["a list of 1", "expected text"]),
    (", uri: ./data/fsdd/manifest.jsonl", "", 6, "pipelines.digits.source.uri", ["missing"]),
    (
        "sample_rate: 16000",
        "sample_rate: '16000'",
        7,
        "pipelines.digits.audio.sample_rate",
        ["whole number", "without quotes"],
    ),
    ("sample_rate: 16000", "sample_rate: 1", 7, "pipelines.digits.audio.sample_rate", ["1;", "Hz"]),
    (
        "channels: mono",
        "channels: mno",
        7,
        "pipelines.digits.audio.channels",
        ["mono", "whole number", "did you mean mono?"],
    ),
    ("{kind: peak}", "peek", 7, "pipelines.digits.audio.normalize.kind", ["'peek'", "did you mean peak?"]),
    ("n_mels: 80", "n_mel: 80", 9, "pipelines.digits.features[0].n_mel", ["unknown key", "did you mean n_mels?"]),
    ("n_mels: 80", "n_mels: 80.5", 9, "pipelines.digits.features[0].n_mels", ["80.5", "a whole number"]),
    ("n_mels: 80", "n_mels: 0", 9, "pipelines.digits.features[0].n_mels", ["0; it must be at least 1"]),
    ("n_mels: 80", "fmax: 9000", 9, "pipelines.digits.features[0]", ["9000", "8000"]),
    ("{kind: mfcc, n_mfcc: 40}", "{kind: log_mel}", 10, "pipelines.digits.features[1]", ["'log_mel'", "entry 0"]),
    ("test: [theo]", "test: theo", 11, "pipelines.digits.split.test", ["a list", "[theo]"]),
    ("test: [theo]", "test: [7]", 11, "pipelines.digits.split.test[0]", ["7", "text", "'7'"]),
    ("test: [theo]", "test: []", 11, "pipelines.digits.split.test", ["at least one speaker"]),
    ("test: [theo]", "test: [theo], dev: 1.5", 11, "pipelines.digits.split.dev", ["1.5", "below 1"]),
    ("test: [theo]", "test: [theo], dev: [theo]", 11, "pipelines.digits.split.dev", ["theo", "one of them"]),
    ("by: speaker", "bye: speaker", 11, "pipelines.digits.split", ["by is missing", "field, speaker, hash"]),
    ("{by: speaker, test: [theo]}", "{by: hash, test: 0.6, dev: 0.5}", 11, "pipelines.digits.split.test", ["together"]),
    ("features: log_mel", "features: log_mell", 13, "pipelines.digits.train[0].features", ["did you mean log_mel?"]),
    ("epochs: 20", "epoch: 20", 13, "pipelines.digits.train[0].epoch", ["did you mean epochs?"]),
    ("epochs: 20", "epochs: 0", 13, "pipelines.digits.train[0].epochs", ["0", "at least 1"]),
    ("epochs: 20", "copies: -1", 13, "pipelines.digits.train[0].copies", ["-1", "at least 0"]),
    ("epochs: 20", "input: audio, copies: 2", 13, "pipelines.digits.train[0].copies", ["input: features"]),
    ("features: log_mel", "input: raw, copies: 2", 13, "pipelines.digits.train[0].copies", ["input: features"]),
    ("epochs: 20", "input: raw", 13, "pipelines.digits.train[0].features", ["'log_mel'", "no features"]),
    ("features: log_mel", "input: raw, mask: {}", 13, "pipelines.digits.train[0].mask", ["mask", "wave_augment"]),
    ("epochs: 20", "monitor: wer", 13, "pipelines.digits.train[0].monitor", ["'wer'", "classification"]),
    ("epochs: 20", "tokens: words", 13, "pipelines.digits.train[0].tokens", ["objective: ctc"]),
    ("objective: classification, ", "", 13, "pipelines.digits.train[0].objective", ["missing"]),
    ("name: which", "name: words", 14, "pipelines.digits.train[1]", ["'words'", "entry 0"]),
    ("1e-3", ".nan", 14, "pipelines.digits.train[1].learning_rate", ["a finite number"]),
    (
        "model: deepspeech2",
        "model: deepspeach2",
        14,
        "pipelines.digits.train[1].model.kind",
        ["did you mean deepspeech2?"],
    ),
    ("accuracy, wer", "acuracy, wer", 15, "pipelines.digits.evaluate.metrics[0]", ["did you mean accuracy?"]),
    ("english", "englisch", 15, "pipelines.digits.evaluate.normalizer.kind", ["did you mean english?"]),
    ("model: words", "model: word", 16, "pipelines.digits.transcribe.model", ["did you mean words?"]),
    ("model: words", "model: which", 16, "pipelines.digits.transcribe.model", ["classifier", "objective: ctc"]),
    (
        "output: ./out",
        "output: ./out, formats: [pdf]",
        16,
        "pipelines.digits.transcribe.formats[0]",
        ["json, txt, srt, vtt"],
    ),
    ("{kind: folder, uri", "{kind: demo, uri", 16, "pipelines.digits.transcribe.source.kind", ["folder, manifest"]),
    ('"0 3 * * *"', '"0 25 * * *"', 17, "pipelines.digits.schedule.cron", ["hour", "0 to 23"]),
    ('"0 3 * * *"', '"0 3 * *"', 17, "pipelines.digits.schedule.cron", ["4 fields", "5"]),
    ("Asia/Seoul", "Asia/Soul", 17, "pipelines.digits.schedule.timezone", ["did you mean Asia/Seoul?"]),
    ("[ingest, prepare]", "[ingest, prepair]", 17, "pipelines.digits.schedule.steps[1]", ["did you mean prepare?"]),
    ("Asia/Seoul", "Asia/Seoul, timezone: UTC", 17, "pipelines.digits.schedule.timezone", ["twice", "line 17"]),
    (END, END + "    max_rejected: 2\n", 18, "pipelines.digits.max_rejected", ["2", "0 to 1"]),
    (
        END,
        END + "    keep_audio: yes\n",
        18,
        "pipelines.digits.keep_audio",
        ["'yes'", "true or false"],
    ),
    (END, END + "    filter: {max_seconds: 9}\n", 18, "pipelines.digits.filter", ["did you mean filters?"]),
    (
        END,
        END + "    filters: [{over: sconds, max: 9}]\n",
        18,
        "pipelines.digits.filters[0].over",
        ["did you mean seconds?"],
    ),
    (
        END,
        END + "    filters: [{over: lufs}]\n",
        18,
        "pipelines.digits.filters[0].over",
        ["without a limit", "min, max"],
    ),
    (
        END,
        END + "    filters: [{over: lufs, min: 1, max: 0}]\n",
        18,
        "pipelines.digits.filters[0].max",
        ["at least min (1"],
    ),
    (
        END,
        END + "    filters: [{over: text, alphabet: z-a}]\n",
        18,
        "pipelines.digits.filters[0].alphabet",
        ["z-a", "range"],
    ),
    (END, END + "    filters: [{over: text}]\n", 18, "pipelines.digits.filters[0].alphabet", ["missing"]),
    (END, END + "    filters: [{max: 9}]\n", 18, "pipelines.digits.filters[0]", ["over is missing"]),
    (END, END + "    dataset: a b\n", 18, "pipelines.digits.dataset", ["letters"]),
    (
        END,
        END + "    source: {kind: folder, uri: x}\n",
        18,
        "pipelines.digits.source",
        ["twice", "line 6"],
    ),
    ("english", "!mine english", 15, "pipelines.digits.evaluate.normalizer", ["!mine", "a plain value"]),
    (END, END + "  other:\n", 18, "pipelines.other", ["empty", "a mapping"]),
    (END, "\n  b: 3\n", 19, "", ["not valid YAML", "begun on line 17"]),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "words"), MISTAKES, ids=[f"{m[2]}-{m[1][:24]}" for m in MISTAKES]
)
def test_a_mistake_is_found_at_its_place(
    tmp_path: Path, old: str, new: str, line: int, path: str, words: list[str]
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = [each for each in problems(write(tmp_path, text)) if each.path == path]
    assert len(found) == 1, found
    assert found[0].line == line
    assert found[0].file.endswith("pipelines.yaml")
    for word in words:
        assert word in str(found[0])


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD
    chosen = [3, 6, 12, 16, 20, 27, 32, 41, 43, 44, 46, 47, 51, 54, 55]
    lines: set[int] = set()
    wanted = []
    for index in chosen:
        old, new, line, path, words = MISTAKES[index]
        if line in lines or old not in text or "\n" in new:
            continue
        lines.add(line)
        text = text.replace(old, new, 1)
        wanted.append((line, path, words))
    assert len(wanted) > 8
    found = problems(write(tmp_path, text))
    for line, path, words in wanted:
        assert any(
            each.line == line and each.path == path and all(word in str(each) for word in words) for each in found
        ), (line, path)
    assert len(found) == len(wanted), [str(each) for each in found]
    assert [each.line for each in found] == sorted(each.line or 0 for each in found)


def test_a_mistake_hides_no_other_in_the_same_spec(tmp_path: Path) -> None:
    text = GOOD.replace("n_fft: 512", "n_fft: two, hop_lenght: 3").replace("hop_length: 160", "hop_length: 0")
    text = text.replace("n_mels: 80", "n_mels: 0, fmin: -1")
    found = {each.path.removeprefix("pipelines.digits.features[0].") for each in problems(write(tmp_path, text))}
    assert found == {"n_fft", "hop_lenght", "hop_length", "n_mels", "fmin"}


def test_a_mistake_invents_no_other(tmp_path: Path) -> None:
    """channels taken out for the search would leave three of them by default, for two strides."""
    text = GOOD.replace("{kind: cnn2d}", "{kind: cnn2d, channels: [8, x], time_strides: [1, 2]}")
    assert only_problem(write(tmp_path, text)).path == "pipelines.digits.train[0].model.channels[1]"


def test_the_error_lists_its_problems_one_per_line(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("n_mels", "n_mel").replace("epochs: 30", "epochs: 0"))
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    first, second, third = str(caught.value).splitlines()
    assert first == "the configuration has 2 mistakes:"
    assert second == f"{path}:9  pipelines.digits.features[0].n_mel: unknown key; did you mean n_mels?"
    assert third.startswith(f"{path}:14  pipelines.digits.train[1].epochs: 0; ")
    assert caught.value.exit_code == 2
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


@pytest.mark.parametrize(
    ("written", "path", "said"),
    [
        ("model: {kind: sincnet}", "input", "sincnet takes raw audio"),
        ("input: raw, model: {kind: cnn2d}", "input", "cnn2d takes features, not raw audio"),
        ("input: raw, model: {kind: sincnet, sample_rate: 8000}", "model.sample_rate", "8000 Hz, but the audio"),
        ("input: raw, model: {kind: wav2vec2, sample_rate: 8000}", "model.sample_rate", "8000 Hz, but the audio"),
        ("model: {kind: ast, pretrained: ./a, sample_rate: 8000}", "model.sample_rate", "8000 Hz, but the audio"),
    ],
)
def test_a_model_hears_what_it_is_made_for(tmp_path: Path, written: str, path: str, said: str) -> None:
    problem = only_problem(write(tmp_path, GOOD.replace("model: {kind: cnn2d}, features: log_mel", written)))
    assert problem.path == f"pipelines.digits.train[0].{path}" and said in problem.seen


def test_a_model_learns_what_it_is_made_for(tmp_path: Path) -> None:
    problem = only_problem(write(tmp_path, GOOD.replace("model: deepspeech2", "model: ast")))
    assert (problem.path, problem.seen) == ("pipelines.digits.train[1].objective", "ast does not learn ctc")
    assert problem.expected == "objective: one of classification, tagging"


def test_a_pretrained_folder_is_beside_the_file_and_a_name_stays_a_name(tmp_path: Path) -> None:
    for written, meant in (("./a", str(tmp_path / "a")), ("owner/name", "owner/name"), ("s3://b/c", "s3://b/c")):
        text = GOOD.replace("model: {kind: cnn2d}", f"model: {{kind: ast, pretrained: {written}}}")
        entry = config.load(write(tmp_path, text)).pipelines["digits"].train[0]
        assert entry.model.pretrained == meant


@pytest.mark.parametrize("read", ["input: audio", "input: raw"])
def test_keep_audio_is_needed_to_train_on_audio(tmp_path: Path, read: str) -> None:
    text = GOOD.replace("features: log_mel,", f"{read},") + "    keep_audio: false\n"
    problem = only_problem(write(tmp_path, text))
    assert (problem.line, problem.path) == (13, "pipelines.digits.train[0].input")
    assert "keep_audio: true" in problem.expected


def test_metrics_need_a_model_that_they_can_judge(tmp_path: Path) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if "name: words" not in line and "transcribe" not in line)
    assert [each.path[-10:] for each in problems(write(tmp_path, text))] == ["metrics[1]", "metrics[2]"]


def test_training_needs_features_and_steps_their_sections(tmp_path: Path) -> None:
    text = (
        "version: 1\npipelines:\n  a:\n    source: {kind: folder, uri: x}\n    train: [{model: gru, objective: ctc}]\n"
    )
    assert "no features" in only_problem(write(tmp_path, text)).seen
    text = (
        "version: 1\npipelines:\n  a:\n    source: {kind: folder, uri: x}\n    schedule: {cron: '@', steps: [train]}\n"
    )
    assert {each.path[-8:] for each in problems(write(tmp_path, text))} == {"ule.cron", "steps[0]"}


MORE = """\
  more:
    source: {kind: folder, uri: ./more}
    audio: {sample_rate: 16000}
    features:
      - {name: bands, kind: log_mel, n_fft: 512, win_length: 400, hop_length: 160, n_mels: 80}
"""


def test_a_training_mixes_datasets_that_are_made_the_same(tmp_path: Path) -> None:
    text = GOOD.replace("epochs: 20", "epochs: 20, data: [{dataset: more, weight: 0.5}]")
    path = write(tmp_path, text + MORE)
    assert config.load(path).pipeline("digits").train[0].data == (config.MixedData(dataset="more", weight=0.5),)
    changed = config.load(path, ["train.which.data.more.weight=0.25"], pipeline="digits")
    assert changed.pipeline("digits").train[0].data[0].weight == 0.25
    alone = config.load(path, ["train.which.data=[more]"], pipeline="digits")
    assert alone.pipeline("digits").train[0].data == (config.MixedData(dataset="more"),)
    at = "pipelines.digits.train[0].data[0]"
    unknown = only_problem(write(tmp_path, text.replace("dataset: more", "dataset: mor") + MORE))
    assert (unknown.line, unknown.path, unknown.hint) == (13, at, "did you mean more?")
    itself = only_problem(write(tmp_path, text.replace("dataset: more", "dataset: digits") + MORE))
    assert "another pipeline: more" in itself.expected
    audio = only_problem(write(tmp_path, text + MORE.replace("16000", "8000")))
    assert audio.path == at and "in another way" in audio.seen
    feature = only_problem(write(tmp_path, text + MORE.replace("n_mels: 80", "n_mels: 40")))
    assert feature.path == at and "no feature like 'log_mel'" in feature.seen
    share = only_problem(write(tmp_path, text.replace("0.5", "1.5") + MORE))
    assert share.path == f"{at}.weight" and "1.5; it must be above 0, and at most 1" in share.seen
    twice = only_problem(write(tmp_path, text.replace("data: [", "data: [more, ") + MORE))
    assert "'more' a second time" in twice.seen


def test_a_sweep_is_the_grid_of_its_values(tmp_path: Path) -> None:
    sweep = "sweep: {learning_rate: [1e-3, 2e-3], model.dropout: [0.1], model: [cnn2d, gru], seed: [0, 1]}"
    text = GOOD.replace("epochs: 20", f"epochs: 20, {sweep.replace('model.dropout: [0.1], ', '')}")
    entry = config.load(write(tmp_path, text)).pipeline("digits").train[0]
    assert [values for values, _ in entry.points[:3]] == [
        {"learning_rate": 1e-3, "model": "cnn2d", "seed": 0},
        {"learning_rate": 1e-3, "model": "cnn2d", "seed": 1},
        {"learning_rate": 1e-3, "model": "gru", "seed": 0},
    ]
    assert len(entry.points) == 8
    last = entry.points[-1][1]
    assert (last.train.learning_rate, last.model.kind, last.train.seed) == (2e-3, "gru", 1)
    assert (last.name, last.features, last.train.epochs) == ("which", "log_mel", 20) and not last.sweep
    changed = ["train.which.sweep={model.dropout: [0.1, 0.3], features: [mfcc]}", "train.which.folds=leave_one_out"]
    entry = config.load(write(tmp_path, GOOD), changed, pipeline="digits").pipeline("digits").train[0]
    assert [each.model.dropout for _, each in entry.points] == [0.1, 0.3]
    assert entry.points[0][1].features == "mfcc" and entry.folds == LeaveOneOut()


@pytest.mark.parametrize(
    ("sweep", "path", "words"),
    [
        ("{model.dropot: [0.1]}", ".model.dropot", ["unknown key", "dropout"]),
        ("{seed: [0, -1]}", ".seed", ["-1; it must be at least 0"]),
        ("{epochs: [many]}", ".epochs", ["many", "a whole number"]),
        ("{features: [log_mal]}", ".features", ["log_mal", "did you mean log_mel"]),
        ("{model: [{kind: gru, hiden: 3}]}", ".model", ["hiden: unknown key", "hidden"]),
        ("{name: [a, b]}", ".name", ["all points share"]),
        ("{seed: []}", ".seed", ["empty"]),
        ("{seed: [1, 1]}", ".seed", ["twice"]),
        ("{input: [features, audio], copies: [1]}", ".copies", ["input: features"]),
        ("{epochs.x: [1]}", ".epochs.x", ["epochs"]),
        ("{seed: 1}", ".seed", ["expected a list"]),
    ],
)
def test_a_point_of_a_sweep_is_checked_like_an_entry(tmp_path: Path, sweep: str, path: str, words: list[str]) -> None:
    found = only_problem(write(tmp_path, GOOD.replace("epochs: 20", f"epochs: 20, sweep: {sweep}")))
    assert (found.line, found.path) == (13, f"pipelines.digits.train[0].sweep{path}"), str(found)
    assert all(word in str(found) for word in words), str(found)


def test_what_transcribes_is_one_model(tmp_path: Path) -> None:
    found = only_problem(write(tmp_path, GOOD.replace("epochs: 30", "epochs: 30, folds: {kind: k_fold, k: 3}")))
    assert found.path == "pipelines.digits.transcribe.model" and "has folds" in found.seen


def test_two_sources_may_not_fill_one_dataset(tmp_path: Path) -> None:
    text = GOOD + "  more:\n    source: {kind: folder, uri: x}\n    dataset: digits\n"
    problem = only_problem(write(tmp_path, text))
    assert (problem.line, problem.path) == (20, "pipelines.more.dataset")
    same = GOOD + "  more:\n    source: {kind: manifest, uri: ./data/fsdd/manifest.jsonl}\n    dataset: digits\n"
    assert config.load(write(tmp_path, same)).pipeline("more").dataset == "digits"


@pytest.mark.parametrize("text", ["", "# nothing\n", "[1, 2]", "text", "version: 1\npipelines: {}\n"])
def test_an_empty_or_foreign_file(tmp_path: Path, text: str) -> None:
    assert problems(write(tmp_path, text))


def test_a_missing_file_has_a_near_name(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    problem = only_problem(tmp_path / "pipeline.yaml")
    assert "no such file" in problem.seen
    assert problem.hint == "did you mean pipelines.yaml?"


def test_other_encodings_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_bytes("version: 1\n# Prüfung\n".encode("latin-1"))
    assert only_problem(path).line == 2


# --- the environment and secrets


def test_variables_come_from_the_environment(tmp_path: Path) -> None:
    text = GOOD.replace("./data/fsdd/manifest.jsonl", '"${DATA}/m.jsonl"').replace("./archive", '"$${DATA}"')
    text = text.replace("{kind: local, workers: auto, memory: auto}", "\n  kind: local\n  workers: ${N}")
    loaded = config.load(write(tmp_path, text), environ={"DATA": "s3://bucket/a", "N": "3"})
    digits = loaded.pipeline("digits")
    assert digits.source.uri == "s3://bucket/a/m.jsonl"
    assert digits.transcribe is not None
    assert digits.transcribe.source.uri == str(tmp_path / "${DATA}")
    assert loaded.cluster == config.LocalCluster(workers=3)


def test_an_unset_variable_is_a_problem(tmp_path: Path) -> None:
    text = GOOD.replace("./out", '"${OUTPT}"')
    problem = only_problem(write(tmp_path, text), environ={"OUTPUT": "x"})
    assert (problem.line, problem.path, problem.hint) == (
        16,
        "pipelines.digits.transcribe.output",
        "did you mean OUTPUT?",
    )
    assert "OUTPT" in problem.expected


def test_passwords_are_refused_and_never_repeated(tmp_path: Path) -> None:
    text = GOOD.replace("sqlite:///data/store/catalog.db", "postgresql://me:geheim@host/db")
    found = problems(write(tmp_path, text), "storage.mlflow=https://me:geheim@host")
    assert [each.path for each in found] == ["storage.catalog", "storage.mlflow"]
    assert "geheim" not in str(ConfigError(found))
    assert all("${NAME}" in each.hint for each in found)


def test_a_secret_from_the_environment_is_used_and_not_shown(tmp_path: Path) -> None:
    text = GOOD.replace("sqlite:///data/store/catalog.db", "postgresql://me:${PW}@host/db")
    loaded = config.load(write(tmp_path, text), environ={"PW": "geheim"})
    assert loaded.storage.store().catalog == "postgresql://me:geheim@host/db"
    assert "geheim" not in repr(loaded)
    wrongs = ["workers: '@'", "memory: ['@']", "memory: '@'", "kind: '@'", "x: '@'", "workers: {'a': '@'}"]
    wrongs = [GOOD.replace("memory: auto", wrong) for wrong in wrongs]
    for old in (
        "n_mels: 80",
        "n_fft: 512",
        "sample_rate: 16000",
        "Asia/Seoul",
        "mono",
        "{kind: peak}",
        "name: which",
        "theo",
    ):
        key = f"{old.split(':')[0]}: " if ":" in old and "{" not in old else ""
        wrongs.append(GOOD.replace(old, f"{key}'@'", 1))
    for wrong in wrongs:
        for secret in ("geheim" * 30, "31337", "ge'heim\n"):
            try:
                config.load(write(tmp_path, wrong.replace("@", "${PW}")), environ={"PW": secret})
            except ConfigError as error:
                assert secret[:5] not in str(error)


def test_an_unknown_key_stays_one_whatever_it_holds(tmp_path: Path) -> None:
    problem = only_problem(write(tmp_path, GOOD.replace("n_mels: 80", "n_mel: '${PW}'")), environ={"PW": "x"})
    assert (problem.seen, problem.hint) == ("unknown key", "did you mean n_mels?")


# --- overrides


def test_overrides_by_index_by_name_and_for_the_whole_file(tmp_path: Path) -> None:
    overrides = [
        "train.words.epochs=3",
        "train.0.epochs=4",
        "features.mfcc.n_mfcc=13",
        "train.words.model.layers=1",
        "audio.trim={kind: silence, top_db: 30}",
        "audio.normalize=none",
        "split.test=[jackson, no]",
        "cluster.workers=2",
        "storage.root=/elsewhere",
        "max_rejected=1e-2",
        "filters=[{over: seconds, min: 0.3}, {over: snr_db, min: 10}]",
        "filters.seconds.min=0.5",
    ]
    loaded = config.load(write(tmp_path, GOOD), overrides, pipeline="digits")
    digits = loaded.pipeline("digits")
    assert (digits.train[0].train.epochs, digits.train[1].train.epochs) == (4, 3)
    assert digits.features[1].n_mfcc == 13
    assert digits.train[1].model.layers == 1
    assert (digits.audio.trim.kind, digits.audio.normalize.kind) == ("silence", "none")
    assert digits.split.test == ("jackson", "no")
    assert loaded.cluster == config.LocalCluster(workers=2)
    assert loaded.storage.root == "/elsewhere"
    assert (digits.max_rejected, [each.min for each in digits.filters]) == (0.01, [0.5, 10])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("noequals", ["a.b=value"]),
        ("=3", ["a.b=value"]),
        ("a..b=3", ["a.b=value"]),
        ("train.wrds.epochs=3", ["train has no 'wrds'", "which, words", "did you mean words?"]),
        ("train.2.epochs=3", ["train has no '2'", "0 to 1"]),
        ("train.words.epoch=3", ["train[1].epoch: unknown key", "did you mean epochs?"]),
        ("train.words.epochs=many", ["train[1].epochs: 'many'", "a whole number"]),
        ("train.words.epochs=0", ["train[1].epochs: 0", "at least 1"]),
        ("sauce.uri=x", ["sauce: unknown key", "did you mean source?"]),
        ("source.uri.x=3", ["single value"]),
        ("split.test=[a", ["not valid YAML"]),
        ("source.uri=${NOWHERE_SET}", ["NOWHERE_SET"]),
        ("pipelines.digit.dataset=x", ["no pipeline 'digit'", "did you mean digits?"]),
        ("features.0.n_fft=${NOWHERE_SET", ["a whole number"]),
    ],
)
def test_a_wrong_override_names_itself(tmp_path: Path, override: str, words: list[str]) -> None:
    problem = only_problem(write(tmp_path, GOOD), override, pipeline="digits", environ={})
    assert (problem.file, problem.line) == (f"--set {override}", None)
    for word in words:
        assert word in str(problem)


def test_without_a_pipeline_an_override_needs_a_whole_path(tmp_path: Path) -> None:
    assert "pipelines" in only_problem(write(tmp_path, GOOD), "source.uri=x").expected
    loaded = config.load(write(tmp_path, GOOD), ["pipelines.digits.source.uri=/x"])
    assert loaded.pipeline("digits").source.uri == "/x"


def test_overrides_for_a_pipeline_that_is_not_there(tmp_path: Path) -> None:
    assert "did you mean digits?" in str(only_problem(write(tmp_path, GOOD), "dataset=x", pipeline="digts"))


def test_an_override_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    text = GOOD.replace("n_mels: 80", "n_mels: 0").replace("./out", '"${NOWHERE_SET}"')
    overrides = ["features.0.n_mels=64", "transcribe.output=/o"]
    loaded = config.load(write(tmp_path, text), overrides, pipeline="digits", environ={})
    assert loaded.pipeline("digits").features[0].n_mels == 64


# --- paths


def test_paths_are_relative_to_the_file_and_overrides_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    path = write(tmp_path, GOOD)
    monkeypatch.chdir(here)
    digits = config.load(path).pipeline("digits")
    assert digits.transcribe is not None
    assert digits.source.uri == str(tmp_path / "data/fsdd/manifest.jsonl")
    assert digits.transcribe.source.uri == str(tmp_path / "archive")
    assert digits.transcribe.output == str(tmp_path / "out")
    loaded = config.load(path, ["source.uri=../m.jsonl", "storage.mlflow=sqlite:///m.db"], pipeline="digits")
    assert loaded.pipeline("digits").source.uri == str(tmp_path / "m.jsonl")
    assert loaded.storage.store().mlflow == f"sqlite:///{here}/m.db"
    assert loaded.storage.store().catalog == f"sqlite:///{tmp_path}/data/store/catalog.db"
    bare = write(tmp_path, "version: 1\npipelines: {a: {source: {kind: folder, uri: ~/a}}}")
    loaded = config.load(bare, ["storage.mlflow=sqlite:////abs/m.db"])
    assert loaded.storage.root == str(tmp_path / "data/store")
    assert loaded.storage.store().mlflow == "sqlite:////abs/m.db"
    assert loaded.pipeline("a").source.uri == str(Path.home() / "a")


def test_urls_stay_as_they_are(tmp_path: Path) -> None:
    text = GOOD.replace("./archive", "https://host/a/").replace("./out", "s3://bucket/out")
    transcribe = config.load(write(tmp_path, text)).pipeline("digits").transcribe
    assert transcribe is not None
    assert (transcribe.source.uri, transcribe.output) == ("https://host/a/", "s3://bucket/out")


def test_an_object_store_needs_a_catalogue_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    found = problems(path, "storage={root: 's3://bucket/store'}")
    assert [each.path for each in found] == ["storage.catalog", "storage.mlflow"]
    assert "s3://" in found[0].hint
    given = "storage={root: 's3://bucket/store', catalog: 'postgresql://h/d', mlflow: 'https://h'}"
    assert config.load(path, [given]).storage.store().catalog == "postgresql://h/d"
    assert "sqlite:///" in only_problem(path, "storage.catalog=catalog.db").expected


# --- the JSON Schema, and what importing costs


def test_the_json_schema_says_the_same(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    schema = json.loads(json.dumps(config.json_schema()))
    checker = jsonschema.Draft202012Validator(schema)
    data = YAML(typ="safe", pure=True).load(GOOD)
    assert list(checker.iter_errors(data)) == []
    for old, new in [
        ("n_mels: 80", "n_mel: 80"),
        ("kind: peak", "kind: peek"),
        ("epochs: 20", "epoch: 20"),
        ("by: speaker", "by: x"),
    ]:
        wrong = YAML(typ="safe", pure=True).load(GOOD.replace(old, new))
        assert list(checker.iter_errors(wrong)), new


def test_importing_it_is_cheap() -> None:
    heavy = [
        "torch",
        "prefect",
        "mlflow",
        "dask",
        "distributed",
        "librosa",
        "pyarrow",
        "pydantic",
        "scipy",
        "numpy",
        "ruamel.yaml",
    ]
    code = f"import sys, flows.config; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_file_needs_no_engine_and_no_torch(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    load = "import sys, pathlib, flows.config; flows.config.load(pathlib.Path('pipelines.yaml'))"
    code = f"{load}; print([name for name in ('torch', 'prefect', 'distributed', 'mlflow') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.strip() == "[]"


# --- schedules


@pytest.mark.parametrize("cron", ["* * * * *", "*/15 0-6,22 1 jan-mar Mon", "0 3 * * 7", "5/10 * * * sun,sat"])
def test_good_schedules(cron: str) -> None:
    assert config.ScheduleConfig(cron=cron, steps=("ingest",)).timezone == "UTC"


@pytest.mark.parametrize("cron", ["", "@daily", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *",
                                  "1, * * * *", "- * * * *", "x * * * *", "* * * * * *", "-1 * * * *", "１ * * * *"])  # fmt: skip
def test_bad_schedules(cron: str) -> None:
    with pytest.raises(ValueError, match="cron is "):
        config.ScheduleConfig(cron=cron, steps=("ingest",))


@pytest.mark.parametrize("timezone", ["", "Seoul", "../UTC", "/etc/passwd", "UTC\0"])
def test_bad_timezones(timezone: str) -> None:
    with pytest.raises(ValueError, match="timezone is "):
        config.ScheduleConfig(cron="0 3 * * *", timezone=timezone, steps=("ingest",))


# --- whatever is written

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@FUZZ
@given(
    gaps=st.lists(st.integers(0, 3), min_size=17, max_size=17),
    mistake=st.sampled_from([m for m in MISTAKES if "\n" not in m[1]]),
)
def test_lines_are_right_whatever_stands_between(tmp_path: Path, gaps: list[int], mistake: Any) -> None:
    old, new, line, path, _ = mistake
    written: list[str] = []
    for gap, each in zip(gaps, GOOD.replace(old, new, 1).splitlines(), strict=True):
        written += ["# a comment, 소리길"] * gap + [each]
    found = [each for each in problems(write(tmp_path, "\n".join(written))) if each.path == path]
    assert [each.line for each in found] == [line + sum(gaps[:line])]


@FUZZ
@given(data=st.data())
def test_no_value_anywhere_ends_in_anything_but_a_list_of_problems(tmp_path: Path, data: st.DataObject) -> None:
    from ruamel.yaml import YAML

    tree = YAML(typ="safe", pure=True).load(GOOD)
    value = data.draw(VALUES)
    parent = tree
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(parent[key], dict | list) or not parent[key] or data.draw(st.booleans()):
            parent[key] = value
            break
        parent = parent[key]
    try:
        config.load(write(tmp_path, json.dumps(tree)))
    except ConfigError as error:
        assert error.problems
