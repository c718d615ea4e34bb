"""`sorigil compare` by names: a pipeline's entry, the key of a score; what may not be put side by side is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from flows import config
from flows.cli import app
from sorigil.errors import RequestError
from storage import files, parts
from storage.experiments import Experiments
from storage.layout import Store
from tasks.tag_table import marked

YAML = """\
version: 1
storage: {root: ./store}
pipelines:
  speech: {source: {kind: folder, uri: ./nowhere}}
"""
SAID = ["a b c d", "e f", "g h", "i j"]
BETTER = ["a b c d", "e f", "g h", "i x"]
WORSE = ["a b x d", "x f", "g x", "i j"]


class Scores:
    """A store with scores and runs as a pipeline leaves them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(root=str(folder / "store"), catalog="", mlflow="").open()
        self.runs = 0

    def add(self, key: str, heard: list[str], *, said: list[str] = SAID, **facts: Any) -> str:
        """A score; `ids` and `keys` are of its utterances."""
        names = facts.pop("ids", [f"u{row}" for row in range(len(said))])
        key = key.ljust(32, "0")
        place = self.store.path(self.store.score(key))
        columns = {
            "id": names,
            "key": facts.pop("keys", [f"k-{name}" for name in names]),
            "speaker": [("ann", "ben")[row % 2] for row in range(len(said))],
            "reference": said,
            "hypothesis": heard,
            "reference_compared": said,
            "hypothesis_compared": heard,
            "errors": facts.pop("errors", [int(one != other) for one, other in zip(said, heard, strict=True)]),
        }
        table = pa.table(columns)
        if "tags" in facts:  # their names, and a row of probabilities for each utterance
            tags, rows = facts.pop("tags")
            table = marked(table.append_column("probabilities", pa.array(rows, pa.list_(pa.float32()))), tags, ";")
        parts.write_table(f"{place}/utterances.parquet", table)
        facts = {"key": key, "model": "words", "objective": "ctc", "split": "test", "normalizer": "basic", **facts}
        files.write_bytes(f"{place}/score.json", json.dumps(facts).encode())
        return key

    def run(
        self,
        pipeline: str,
        studies: tuple[dict[str, Any], ...] = (),
        models: dict[str, str] | None = None,
        **scores: list[str],
    ) -> None:
        """A run of a pipeline that made these scores and models, by entry; the newest yet."""
        self.runs += 1
        result = {
            "pipeline": pipeline,
            "version": "v1",
            "score_keys": scores,
            "models": models or {},
            "scores": [],
            "studies": studies,
        }
        place = self.store.path(f"runs/20260101T00000{self.runs}/result.json")
        files.write_bytes(place, json.dumps(result).encode())


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scores:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines.yaml").write_text(YAML)
    return Scores(tmp_path)


def compare(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["compare", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_newest_scores_of_an_entry_and_the_key_of_a_score(scores: Scores) -> None:
    old, new, dev = scores.add("aaaa1", WORSE), scores.add("bbbb1", BETTER), scores.add("bbbb2", WORSE, split="dev")
    scores.run("speech", words=[old])
    scores.run("speech", words=[dev, new])
    scores.run("speech")  # it only prepared
    scores.run("other", words=[old])
    found = compare("aaaa", "speech.words")
    assert [side["score"] for side in found["sides"]] == [old, new] and found["normalizer"] == "basic"
    assert found["metrics"]["wer"]["a"] == pytest.approx(3 / 10) and found["metrics"]["wer"]["b"] == pytest.approx(
        1 / 10
    )
    assert (found["better"], found["worse"], found["speakers"]) == (3, 1, 2)
    assert compare("aaaa1", "speech")["sides"][1]["score"] == new  # it has but one entry
    assert compare("speech", "speech", "--split", "dev")["sides"][0]["score"] == dev


def test_the_newest_scores_of_a_model_by_its_key(scores: Scores) -> None:
    old, new, dev = scores.add("aaaa1", WORSE), scores.add("bbbb1", BETTER), scores.add("bbbb2", WORSE, split="dev")
    for key in ("cccc1", "dddd1", "eeee1"):
        files.write_bytes(scores.store.path(f"{scores.store.model(key)}/model.json"), b"{}")
    trial = {"fold": None, "seed": 1, "chosen": True, "model": "dddd1", "score_keys": [old]}
    scores.run("speech", ({"run": "words", "trials": [trial]},), models={"words": "cccc1"}, words=[old])
    scores.run("speech", models={"words": "cccc1"}, words=[dev, new])
    scores.run("speech", models={"words": "cccc1"})  # it was not scored again
    assert [side["score"] for side in compare("dddd", "cccc")["sides"]] == [old, new]
    assert compare("bbbb2", "cccc", "--split", "dev")["sides"][1]["score"] == dev
    with pytest.raises(RequestError, match="dddd was not scored on dev, but on test; choose with --split"):
        compare("cccc", "dddd", "--split", "dev")
    with pytest.raises(
        RequestError, match="eeee: no run scored the model eeee1; `sorigil evaluate --models eeee1 --data"
    ):
        compare("cccc", "eeee")


def test_sides_that_are_swapped_mirror_each_other_and_one_is_as_good_as_itself(scores: Scores) -> None:
    scores.add("aaaa", WORSE), scores.add("bbbb", BETTER)
    forth, back, same = compare("aaaa", "bbbb"), compare("bbbb", "aaaa"), compare("aaaa", "aaaa")
    for metric in ("wer", "cer"):
        one, other, itself = (each["metrics"][metric] for each in (forth, back, same))
        assert one["delta"] == -other["delta"] and one["test"]["p_exact"] == other["test"]["p_exact"]
        assert one["interval"] == pytest.approx([-bound for bound in reversed(other["interval"])])
        assert (itself["delta"], itself["interval"], itself["better"]) == (0, [0, 0], None)
        assert itself["test"]["p_exact"] == 1
    assert (forth["better"], forth["worse"]) == (back["worse"], back["better"])
    assert forth["words"]["mended"] == back["words"]["broken"]
    assert same["changes"] == [] and same["words"] == {"mended": [], "broken": []}


def test_classifiers_are_compared_by_their_labels(scores: Scores) -> None:
    said = ["view glass"] * 12 + ["dog"] * 4
    for key, heard in (("aaaa", ["dog"] * 12 + ["dog"] * 4), ("bbbb", ["view glass"] * 12 + ["cat"] + ["dog"] * 3)):
        scores.add(key, heard, said=said, objective="classification", normalizer=None)
    found = compare("aaaa", "bbbb")
    accuracy, balanced = (found["metrics"][name] for name in ("accuracy", "balanced_accuracy"))
    assert (accuracy["a"], accuracy["b"], accuracy["better"]) == (4 / 16, 15 / 16, "b")
    assert (balanced["a"], balanced["b"]) == pytest.approx((1 / 2, (1 + 3 / 4) / 2))
    assert accuracy["test"]["p_exact"] == pytest.approx(2 * (1 + 13) / 2**13)  # McNemar: 12 against 1
    assert found["normalizer"] is None and found["words"]["mended"] == [["view glass", 12]]
    assert found["changes"][0]["columns"] == [["view glass", "dog", "view glass"]]
    said_of_it = CliRunner().invoke(app, ["compare", "aaaa", "bbbb"]).stdout
    assert "B has fewer wrong answers in 12 utterances, more in 1" in said_of_it
    assert "classes that only B has right: view glass 12" in said_of_it


def test_taggers_are_compared_by_their_wrong_tags(scores: Scores) -> None:
    said = ["dog;rain", "cat"] * 5
    scores.add("aaaa", ["sea"] * 10, said=said, errors=[3, 2] * 5, objective="tagging", normalizer=None)
    scores.add("bbbb", ["dog", "cat"] * 5, said=said, errors=[1, 0] * 5, objective="tagging", normalizer=None)
    found = compare("aaaa", "bbbb")
    row = found["metrics"]["tag_errors"]
    assert found["notes"] == ["mAP, d′ and F1 are not compared: aaaa does not say which tags its probabilities are of"]
    assert (row["a"], row["b"], row["delta"], row["better"]) == (2.5, 0.5, -2, "b")
    assert row["test"]["p_exact"] == pytest.approx(2 / 2**10)


def test_two_normalisers_are_not_put_side_by_side_unless_one_is_named(scores: Scores) -> None:
    scores.add("aaaa", ["A b c d", *WORSE[1:]], normalizer="none"), scores.add("bbbb", BETTER, normalizer="english")
    with pytest.raises(RequestError, match=r"with the normaliser none, B with english.*--normalizer none"):
        compare("aaaa", "bbbb")
    found = compare("aaaa", "bbbb", "--normalizer", "basic")
    assert found["normalizer"] == "basic" and found["metrics"]["wer"]["a"] == pytest.approx(2 / 10)


def test_what_only_the_scores_know_is_used(scores: Scores, tmp_path: Path) -> None:
    """A normaliser with rules of its own is known by its label: what it made of the texts is in the tables."""
    scores.add("aaaa", WORSE, normalizer="mine 0123"), scores.add("bbbb", BETTER, normalizer="mine 0123")
    assert compare("aaaa", "bbbb")["normalizer"] == "mine 0123"
    lines = [json.dumps({"id": f"u{row}", "text": text.upper()}) for row, text in enumerate(BETTER)]
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    with pytest.raises(RequestError, match="mine 0123 is not known by its label alone; give it with --normalizer"):
        compare("aaaa", "b.jsonl")
    scores.add("cccc", WORSE, normalizer="english")
    found = compare("cccc", "b.jsonl")
    assert found["normalizer"] == "english" and found["metrics"]["wer"]["b"] == pytest.approx(1 / 10)


def test_an_older_score_does_not_say_its_normaliser(scores: Scores) -> None:
    scores.add("aaaa", WORSE, normalizer=None), scores.add("bbbb", BETTER, normalizer=None)
    assert compare("aaaa", "bbbb")["notes"][0] == "aaaa does not say its normaliser; basic is used"
    assert compare("aaaa", "bbbb", "--normalizer", "none")["notes"] == []


RINGING = ["bell", "bell;dog", "dog", "dog;owl"] * 6  # nobody learned owls


def tagger(
    scores: Scores, key: str, sure: float, rows: slice = slice(None), names: tuple[str, ...] = ("bell", "dog")
) -> str:
    """One that finds a tag that is there as likely as `sure` says, and any other with 0.5; it says what it finds likelier."""
    said = RINGING[rows]
    likely = [[sure if name in text else 0.5 for name in names] for text in said]
    heard = [";".join(name for name, p in zip(names, row, strict=True) if p > 0.5) for row in likely]
    errors = [
        len({*one.split(";")} ^ {*filter(None, other.split(";"))}) for one, other in zip(said, heard, strict=True)
    ]
    ids = [f"u{row}" for row in range(len(RINGING))][rows]
    facts = {"objective": "tagging", "normalizer": None, "tags": (names, likely), "ids": ids, "errors": errors}
    return scores.add(key, heard, said=said, **facts)


def test_taggers_are_compared_by_the_order_of_their_probabilities_and_by_what_they_say(scores: Scores) -> None:
    tagger(scores, "aaaa", 0.4), tagger(scores, "bbbb", 0.9, names=("dog", "cat", "bell"))
    found = compare("aaaa", "bbbb")
    assert (
        list(found["metrics"]) == ["map", "d_prime", "micro_f1", "tag_errors"] and found["slice_metric"] == "tag_errors"
    )
    assert found["metrics"]["map"]["b"] == pytest.approx((1 + 1 + 6 / 24) / 3)  # of owls all are alike
    assert found["metrics"]["map"]["a"] < 0.7 and found["metrics"]["micro_f1"]["a"] == 0
    assert found["metrics"]["micro_f1"]["b"] == pytest.approx(2 * 30 / (36 + 30))
    assert {name: row["better"] for name, row in found["metrics"].items()} == dict.fromkeys(found["metrics"], "b")
    assert found["metrics"]["map"]["test"] is None and found["metrics"]["tag_errors"]["test"]["p_exact"] < 0.001
    said = CliRunner().invoke(app, ["compare", "aaaa", "bbbb"]).stdout
    assert "B is better: mAP" in said and "wrong tags an utterance" in said and found["notes"] == []


def test_the_folds_of_taggers_have_the_tags_of_all(scores: Scores) -> None:
    folds = {"1/2": (slice(0, 12), ("bell", "dog")), "2/2": (slice(12, 24), ("dog",))}
    trials = [
        {
            "fold": fold,
            "seed": seed,
            "chosen": True,
            "score_keys": [tagger(scores, f"{fold[0]}{seed}" * 3, sure, *which)],
        }
        for fold, which in folds.items()
        for seed, sure in enumerate((0.8, 0.9))
    ]
    better = [
        {"fold": None, "seed": seed, "chosen": True, "score_keys": [tagger(scores, f"b{seed}bb", sure)]}
        for seed, sure in enumerate((0.8, 0.9))
    ]
    scores.run("speech", ({"run": "folded", "trials": trials}, {"run": "whole", "trials": better}))
    found = compare("speech.folded", "speech.whole")
    assert found["metrics"]["micro_f1"]["a"] == pytest.approx(2 * 24 / (36 + 24))  # half of the bells were not learned
    assert found["seeds"]["map"]["a"]["n"] == 2 and found["pooled"]["map"]["better"] == "b"
    said = CliRunner().invoke(app, ["compare", "speech.folded", "speech.whole"]).stdout
    assert "mAP over seeds: mean" in said and "B is better, whatever the seed" in said


@pytest.mark.parametrize(
    ("b", "says"),
    [
        ({"ids": ["u0", "u1", "u2", "v9"], "split": "dev"}, "aaaa of 4 .test., bbbb of 4 .dev.; only in A: u3; only in B: v9"),
        ({"keys": ["k-u0", "k-u1", "k-u2", "other"]}, "1 utterances have the same id in A and B but are other recordings"),
        ({"said": ["a b c d", "e f", "g h", "i k"]}, "other references in 1 of 4"),
        ({"objective": "classification"}, "A is a score of ctc, B of classification"),
    ],
)  # fmt: skip
def test_other_slices_are_refused(scores: Scores, b: dict[str, Any], says: str) -> None:
    scores.add("aaaa", WORSE), scores.add("bbbb", BETTER, **b)
    with pytest.raises(RequestError, match=says):
        compare("aaaa", "bbbb")


def test_what_is_not_there_is_said_with_what_is(scores: Scores, tmp_path: Path) -> None:
    with pytest.raises(
        RequestError,
        match=r"words: no file, PIPELINE.ENTRY, score, model or run of MLflow is called so; .* holds no",
    ):
        compare("words", "x")
    key = scores.add("aaaa1", WORSE)
    scores.add("aaaa2", WORSE)
    scores.run("speech", words=[key], more=[key])
    (tmp_path / "speech").mkdir()  # a folder of the same name is no file
    for asked, says in (
        ("speech.wrods", r"did you mean speech\.words\?"),
        ("zzz", r"there are speech\.words, speech\.more"),
        ("aaaa", "2 scores begin so"),
        ("speech", r"several models; name one: speech\.words, speech\.more"),
        ("old.trn", "old.trn: there is no such file"),
    ):
        with pytest.raises(RequestError, match=says):
            compare(asked, "speech.words")
    with pytest.raises(RequestError, match=r"speech\.words was not scored on dev, but on test; choose with --split"):
        compare("speech.words", "speech.more", "--split", "dev")


def test_the_folds_of_a_study_are_put_together_seed_by_seed(scores: Scores) -> None:
    trials = []
    for fold, rows in (("1/2", slice(0, 2)), ("2/2", slice(2, 4))):
        for seed, heard in ((0, WORSE), (1, SAID)):
            ids = [f"u{row}" for row in range(4)][rows]
            key = scores.add(f"{len(trials) + 1}" * 5, heard[rows], said=SAID[rows], ids=ids)
            trials.append({"fold": fold, "seed": seed, "chosen": True, "score_keys": [key]})
    trials.append({"fold": "1/2", "seed": 0, "chosen": False, "score_keys": []})
    whole = scores.add("bbbb", BETTER)
    scores.run("speech", ({"run": "folded", "trials": trials},), words=[whole])
    found = compare("speech.folded", "speech.words")
    assert found["utterances"] == 4 and found["metrics"]["wer"]["a"] == pytest.approx(3 / 10)
    spread = found["seeds"]["wer"]
    assert spread["b"] is None and (spread["a"]["n"], spread["a"]["mean"]) == (2, pytest.approx(0.15))
    said = CliRunner().invoke(app, ["compare", "speech.folded", "speech.words"]).stdout
    assert "WER of A over 2 seeds: mean 15.00 % (standard deviation 21.21 %); compared is the first" in said
    assert compare("speech.folded", "bbbb", "--normalizer", "none")["seeds"]["wer"]["a"] is None
    with pytest.raises(RequestError, match=r"speech\.folded was not scored on dev, but on test; choose with --split"):
        compare("speech.folded", "bbbb", "--split", "dev")


def test_slices_say_where_it_changed(scores: Scores) -> None:
    """Ben, who speaks every second utterance, is understood by B alone."""
    said = ["a b", "c d e f"] * 15
    scores.add("aaaa", ["a b", "c x e f"] * 15, said=said), scores.add("bbbb", said, said=said)
    found = compare("aaaa", "bbbb")
    changed = {(row["column"], row["value"]) for row in found["slices"] if row["change"] == "better"}
    assert changed == {("speaker", "ben")}, "that all longer ones are Ben's says nothing of their length"
    (ann,) = (row for row in found["slices"] if row["value"] == "ann")
    assert (ann["utterances"], ann["delta"], ann["change"], ann["q"]) == (15, 0, None, 1)
    lines = CliRunner().invoke(app, ["compare", "aaaa", "bbbb"]).stdout.splitlines()
    assert "  B is better in 1 and worse in 0 of 4 slices" in lines
    assert [line.split()[:2] for line in lines if line.endswith("  better")] == [["speaker", "ben"]]
    assert compare("aaaa", "aaaa")["slices"] and not any(row["change"] for row in compare("aaaa", "aaaa")["slices"])


def test_scores_that_are_gone_are_said(scores: Scores) -> None:
    key = scores.add("aaaa", WORSE)
    scores.run("speech", words=[key])
    files.remove(scores.store.path(f"{scores.store.score(key)}/score.json"))
    with pytest.raises(
        RequestError, match=r"speech.words was not scored on test, or its scores are gone; run it again"
    ):
        compare("speech.words", "speech.words")


def test_the_comparison_as_a_page(scores: Scores, tmp_path: Path) -> None:
    scores.add("aaaa", WORSE), scores.add("bbbb", BETTER)
    done = CliRunner().invoke(app, ["compare", "aaaa", "bbbb", "--html", "pages/one.html"], catch_exceptions=False)
    html = (tmp_path / "pages/one.html").read_text(encoding="utf-8")
    assert "No difference is shown: WER " in html and "a difference of −20.00 points" in html
    assert html.count("<li data-kind") == 4
    assert "page: pages/one.html" in done.stdout
    assert compare("aaaa", "bbbb", "--by", "words")["slices"] == []  # fewer than ten
    with pytest.raises(RequestError, match="--by snr: there is no such column; there are speaker, words"):
        compare("aaaa", "bbbb", "--by", "snr")
    for name in ("a.trn", "r.trn"):
        (tmp_path / name).write_text("a (x-1)\n")
    (tmp_path / "pipelines.yaml").unlink()  # two files need no store
    CliRunner().invoke(app, ["compare", "a.trn", "a.trn", "--reference", "r.trn", "--html", "two.html"])
    assert "1 are heard alike" in (tmp_path / "two.html").read_text(encoding="utf-8")
    with pytest.raises(RequestError, match=r"--html r.trn/one.html: it cannot be written there"):
        compare("a.trn", "a.trn", "--reference", "r.trn", "--html", "r.trn/one.html")


@pytest.mark.slow
def test_runs_of_mlflow_are_compared_and_the_comparison_is_kept_with_the_second(scores: Scores, tmp_path: Path) -> None:
    store = config.load(tmp_path / "pipelines.yaml").storage.store()
    experiments = Experiments(store)
    runs = []
    for name, heard in (("older", WORSE), ("newer", BETTER)):
        folder = store.path(store.score(scores.add(name, heard)))
        rows = [{"run": "words", "objective": "ctc", "split": "test", "normalizer": "basic"}]
        logged = {"test/scores.json": json.dumps(rows).encode()}
        logged["test/utterances.parquet"] = files.read_bytes(f"{folder}/utterances.parquet")
        facts = {"params": {}, "tags": {}, "history": (), "metrics": {}}
        runs.append(experiments.log(experiment="speech", name=name, key=name, artifacts=logged, **facts))
        experiments.register("speech.words", runs[-1], "nowhere")
    trials = [{"fold": None, "seed": seed, "chosen": True, "score_keys": [key]} for seed, key in enumerate(
        (scores.add("1111", WORSE), scores.add("2222", SAID)))]  # fmt: skip
    study = {"study.json": json.dumps({"run": "words", "trials": trials}).encode()}
    experiments.log(experiment="speech", name="seeds", key="seeds", artifacts=study, **facts)
    assert compare("seeds", "newer")["seeds"]["wer"]["a"]["n"] == 2, (
        "the parent of a study's runs stands for all of them"
    )
    a, b = runs
    found = compare(a[:9], "newer")
    assert [side["run"] for side in found["sides"]] == runs and found["normalizer"] == "basic"
    assert (found["better"], found["worse"]) == (3, 1)
    place = found["logged"]["page"]
    assert found["logged"]["run"] == b and place.startswith(f"comparisons/{a[:12]}-")
    assert b"3</b> utterances" in experiments.read_artifact(b, place)
    kept = json.loads(experiments.read_artifact(b, place.replace(".html", ".json")))
    assert kept["changes"] == found["changes"]

    (page,) = tmp_path.glob(f"store/mlflow/**/{place}")
    before = page.stat().st_mtime_ns
    again = compare("speech.words/1", "speech.words@newest")
    assert again["logged"] == found["logged"] and page.stat().st_mtime_ns == before
    page.unlink()  # it was killed before it had written both
    assert compare("older", b)["logged"] == found["logged"] and page.exists()
    assert compare("newer", "older", "--no-log")["logged"] is None
    assert experiments.artifacts(a, "comparisons") == []
    assert compare("newer", "older")["logged"]["run"] == a

    for asked, says in (
        ("older", "not scored on dev, but on test"),
        ("speech.words/7", "speech.words has no such version or alias; there are versions 1, 2; aliases newest"),
    ):
        with pytest.raises(RequestError, match=says):
            compare(asked, "newer", "--split", "dev")
    experiments.log(experiment="speech", name="newer", key="third", artifacts={}, **facts)
    with pytest.raises(RequestError, match=r"2 runs are called so .* of speech, .*name one by its id"):
        compare("newer", "older")
