"""Decoders as a pipeline's file names them: in scores, in transcripts, in their keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yaml_world import make_project

from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, fingerprint
from sorigil.lm.spec import NGramSpec
from storage import bundles, language_models, parts
from storage.experiments import Experiments

QUIET = PlainReporter(lambda line: None)
ONLY_LETTERS = ("train.which.epochs=1", "train.letters.epochs=12")


def run(path: Path, *changes: str) -> dict[str, Any]:
    loaded = config.load(path, [*ONLY_LETTERS, *changes], pipeline="tones")
    return execute(loaded, "tones", Options(local=True), QUIET)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_project(tmp_path_factory.mktemp("project"), items=20)
    run(path)
    return path


def utterances(path: Path, result: dict[str, Any]) -> dict[str, list[Any]]:
    store = config.load(path).storage.store()
    (key,) = result["score_keys"]["letters"]
    return parts.read_table(store.path(f"{store.score(key)}/utterances.parquet")).to_pydict()


def test_a_beam_is_another_score_and_another_transcript_of_the_same_model(project: Path) -> None:
    greedy = run(project)
    beam = "{kind: beam, beam_width: 8, n_best: 3, token_threshold: 12}"
    found = run(project, f"evaluate.decode={beam}", f"transcribe.decode={beam}")
    assert found["models"] == greedy["models"]
    assert found["score_keys"]["letters"] != greedy["score_keys"]["letters"]
    rows = utterances(project, found)
    assert "n_best" not in utterances(project, greedy)
    for hypothesis, n_best in zip(rows["hypothesis"], rows["n_best"], strict=True):
        assert 1 <= len(n_best) <= 3 and n_best[0]["text"] == hypothesis
        assert [each["score"] for each in n_best] == sorted((each["score"] for each in n_best), reverse=True)
    written = json.loads((project.parent / "transcripts" / "one.wav.json").read_text())
    assert written["decoder"] == "beam"


LM = "{kind: beam, beam_width: 8, lm: {kind: ngram, order: 2}, lexicon: true, lm_weight: 1.0, hot_words: [zz]}"


def test_a_language_model_is_learned_from_the_training_texts_once(project: Path) -> None:
    found = run(project, f"evaluate.decode={LM}", f"transcribe.decode={LM}")
    key = found["models"]["letters"]
    store = config.load(project).storage.store()
    spec = NGramSpec(order=2)
    facts = language_models.facts(store, key, spec)
    assert facts is not None
    rows = parts.read_table(store.path(f"{store.model(key)}/rows.parquet"))  # dev is among these
    assert facts["texts"] + facts["dev_units"] // 2 == len(rows) and facts["dev_units"]
    assert (facts["vocabulary"], facts["dev_unknown"]) == (5, 0)  # a, b and the marks
    assert 1 < facts["dev_perplexity"] < 5
    assert set(utterances(project, found)["hypothesis"]) <= {"", "a", "b", "a b", "b a", "a a", "b b"}
    arpa = Path(store.path(store.language_models(key))) / f"{fingerprint(spec)}.arpa"
    written = arpa.stat().st_mtime_ns
    again = run(project, f"evaluate.decode={LM}", f"transcribe.decode={LM}")
    assert again["score_keys"] == found["score_keys"] and arpa.stat().st_mtime_ns == written
    other = run(project, f"evaluate.decode={LM.replace('1.0', '2.0')}")
    assert other["score_keys"]["letters"] != found["score_keys"]["letters"] and arpa.stat().st_mtime_ns == written
    logged = Experiments(store).find("tones", digest("mlflow", "letters", key, *found["score_keys"]["letters"]))
    assert logged is not None
    bundles.delete(store, key)
    assert not arpa.exists()
    with pytest.raises(RunError, match="language model cannot be read"):
        language_models.load(store, "nothing", spec)


def test_every_fold_has_a_language_model_of_its_own_training_texts(project: Path) -> None:
    folds = "train.letters.folds={kind: k_fold, k: 2, dev: 0}"
    only = "train.letters.epochs=1"
    found = run(project, f"evaluate.decode={LM}", folds, only, "transcribe=null")
    assert found["status"] == "completed", found["errors"]
    store = config.load(project).storage.store()
    kept = list(Path(store.path("models")).glob(f"*/lm/{fingerprint(NGramSpec(order=2))}.json"))
    texts = [json.loads(path.read_text())["texts"] for path in kept]
    assert len(texts) == 2 and sum(texts) == 20, texts


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ("{kind: beem}", "kind"),
        ("{kind: greedy, beam_width: 4}", "beam_width"),
        ("{kind: beam, beam_width: 0}", "beam_width: 0; it must be at least 1"),
        ("{kind: beam, n_best: 99}", "n_best: 99; it must be 1 to beam_width (16)"),
        ("{kind: beam, beam_with: 9}", "beam_width"),
        ("{kind: beam, lexicon: true}", "it needs an lm"),
        ("{kind: beam, hot_words: [new york]}", "each must be one word"),
        ("{kind: beam, lm: {kind: ngram, order: 0}}", "lm.order: 0; it must be 1 to 10"),
    ],
)
def test_a_decoder_that_makes_no_sense_is_refused_with_its_place(project: Path, decoder: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"evaluate\.decode") as wrong:
        config.load(project, [f"evaluate.decode={decoder}"], pipeline="tones")
    assert said in str(wrong.value)
