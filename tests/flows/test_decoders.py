"""Decoders as a pipeline's file names them: in scores, in transcripts, in their keys."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from yaml_world import make_project

from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options
from sorigil.decoding.spec import BeamSpec
from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, fingerprint
from sorigil.lm.arpa import to_arpa
from sorigil.lm.kneser_ney import learn
from sorigil.lm.spec import ArpaSpec, NGramSpec
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


def test_how_sure_a_recogniser_is_of_its_words_is_kept_and_judged(project: Path) -> None:
    found = run(project, "evaluate.metrics=[wer, word_ece, nce, accuracy]", "evaluate.normalizer=english")
    values = {row["metric"]: row for row in found["scores"] if row["run"] == "letters"}
    assert set(values) == {"wer", "word_ece", "nce"} and 0 <= values["word_ece"]["value"] <= 1
    rows = utterances(project, found)
    for text, sure in zip(rows["hypothesis_compared"], rows["word_confidences"], strict=True):
        assert len(text.split()) == len(sure) and all(0 <= each <= 1 for each in sure)
    assert "with a confidence in that range" in Path(found["report"]).read_text()
    store = config.load(project).storage.store()
    run_id = Experiments(store).find(
        "tones", digest("mlflow", "letters", found["models"]["letters"], *found["score_keys"]["letters"])
    )
    assert run_id is not None and "test/reliability.png" in Experiments(store).artifacts(run_id, "test")


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


LSTM = "{kind: beam, beam_width: 8, lm: {kind: lstm, hidden: 8, epochs: 4, patience: 1}, lm_weight: 1.0}"


def test_a_recurrent_language_model_is_learned_once_and_listened_to(project: Path) -> None:
    found = run(project, f"evaluate.decode={LSTM}", f"transcribe.decode={LSTM}")
    assert found["status"] == "completed", found["errors"]
    loaded, key = config.load(project, [f"evaluate.decode={LSTM}"], pipeline="tones"), found["models"]["letters"]
    store, decode = loaded.storage.store(), loaded.pipeline("tones").evaluate.decode
    assert isinstance(decode, BeamSpec) and decode.lm is not None
    facts = language_models.facts(store, key, decode.lm)
    assert facts is not None and 1 <= facts["epochs"] <= 4 and facts["dev_units"] > 0
    assert facts["dev_perplexity"] == pytest.approx(min(row["dev_perplexity"] for row in facts["history"]), abs=1e-4)
    experiments = Experiments(store)
    logged = experiments.find("tones", digest("mlflow", "letters", key, *found["score_keys"]["letters"]))
    assert logged is not None
    assert experiments._client.get_run(logged).data.metrics["lm_dev_perplexity"] == facts["dev_perplexity"]
    assert "language_model.json" in [each.path for each in experiments._client.list_artifacts(logged)]

    place = Path(store.path(store.language_models(key))) / f"{fingerprint(decode.lm)}.safetensors"
    written = place.stat().st_mtime_ns
    again = run(project, f"evaluate.decode={LSTM}", f"transcribe.decode={LSTM}")
    assert again["score_keys"] == found["score_keys"] and place.stat().st_mtime_ns == written
    place.write_bytes(place.read_bytes()[:-5])
    language_models.load.cache_clear()
    with pytest.raises(RunError, match="the language model cannot be read"):
        language_models.load(store, key, decode.lm)
    language_models.delete(store, key)
    assert not place.exists()


def written_arpa(place: Path, texts: list[str]) -> Path:
    data = "".join(to_arpa(learn([text.split() for text in texts], 2))).encode()
    place.write_bytes(gzip.compress(data) if place.suffix == ".gz" else data)
    return place


def test_an_arpa_file_that_is_given_counts_by_what_is_in_it(project: Path) -> None:
    place = written_arpa(project.parent / "one.arpa.gz", ["a b", "b b", "a"])
    with_it = "{kind: beam, lexicon: true, lm: {kind: arpa, uri: %s}}"
    once = run(project, f"evaluate.decode={with_it % place}", f"transcribe.decode={with_it % place}")
    assert once["status"] == "completed", once["errors"]
    assert set(utterances(project, once)["hypothesis"]) <= {"", "a", "b", "a b", "b a", "a a", "b b"}
    store, key = config.load(project).storage.store(), once["models"]["letters"]
    (said,) = [
        facts
        for path in Path(store.path(store.language_models(key))).glob("*.json")
        if "spellable" in (facts := json.loads(path.read_text()))
    ]
    assert (said["spellable"], said["vocabulary"], said["order"], said["dev_unknown"]) == (2, 5, 2, 0)
    assert said["dev_perplexity"] > 1

    plain = written_arpa(project.parent / "two.arpa", ["a b", "b b", "a"])
    moved = place.rename(project.parent / "elsewhere.arpa.gz")
    assert run(project, f"evaluate.decode={with_it % moved}")["score_keys"] == once["score_keys"]
    assert run(project, f"evaluate.decode={with_it % plain}")["score_keys"] != once["score_keys"]
    written_arpa(moved, ["b"])
    assert run(project, f"evaluate.decode={with_it % moved}")["score_keys"] != once["score_keys"]


def test_an_arpa_file_that_cannot_be_is_refused_with_its_name(project: Path) -> None:
    def refused(place: Path, units: str = "words") -> str:
        lm = f"{{kind: arpa, uri: {place}, units: {units}}}"
        found = run(project, f"evaluate.decode={{kind: beam, lm: {lm}}}")
        assert found["status"] == "failed"
        return str(found["errors"][0]["message"])

    folder = project.parent
    assert "nowhere.arpa: there is no such file" in refused(folder / "nowhere.arpa")
    loud = written_arpa(folder / "loud.arpa", ["A B"])
    assert "loud.arpa: none of its 2 words (such as 'A') can be written with the tokens" in refused(loud)
    assert "none of its 1 tokens (such as 'ab')" in refused(written_arpa(folder / "long.arpa", ["ab"]), "tokens")
    text = loud.read_text()
    loud.write_text(text.replace("\tA\t", "\tA B C D\t", 1))
    assert "loud.arpa: line 9 of this ARPA file is" in refused(loud)
    loud.write_bytes(text.encode().replace(b"\tA\t", b"\t\xff\t", 1))
    assert "loud.arpa: line 9 is not UTF-8 (byte 0xff)" in refused(loud)
    torn = written_arpa(folder / "torn.arpa.gz", ["a b"])
    torn.write_bytes(torn.read_bytes()[:-9])
    assert "torn.arpa.gz: cannot be unpacked" in refused(torn)


def test_a_file_that_changes_during_a_run_is_not_taken_for_the_one_before(project: Path) -> None:
    place = written_arpa(project.parent / "changing.arpa", ["a b"])
    decode = language_models.resolve(BeamSpec(lm=ArpaSpec(uri=str(place))))
    assert fingerprint(decode) != fingerprint(BeamSpec(lm=ArpaSpec(uri=str(place))))
    written_arpa(place, ["b a"])
    with pytest.raises(RequestError, match="changed since the run began"):
        language_models.load(config.load(project).storage.store(), "any", decode.lm)


def test_texts_that_are_given_are_learned_from_besides(project: Path) -> None:
    more = project.parent / "more.txt"
    more.write_text("b b b\n\nab ba\n")
    decode = "{kind: beam, lm: {kind: ngram, order: 2, texts: [%s]}}"
    run(project, f"evaluate.decode={decode % ''}")
    found = run(project, f"evaluate.decode={decode % more}")
    store, key = config.load(project).storage.store(), found["models"]["letters"]
    facts = language_models.facts(
        store, key, language_models.resolve(BeamSpec(lm=NGramSpec(order=2, texts=(str(more),)))).lm
    )
    plain = language_models.facts(store, key, NGramSpec(order=2))
    assert facts and plain and facts["texts"] == plain["texts"] + 2 and facts["vocabulary"] == plain["vocabulary"] + 2


def test_places_of_language_models_are_relative_to_the_file(project: Path) -> None:
    loaded = config.load(
        project, ["evaluate.decode={kind: beam, lm: {kind: ngram, texts: [a.txt, s3://b/c.txt]}}"], pipeline="tones"
    )
    texts = loaded.pipeline("tones").evaluate.decode.lm.texts
    assert Path(texts[0]).is_absolute() and texts[1] == "s3://b/c.txt"


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
        ("{kind: beam, lm: {kind: arpa}}", "uri"),
        ("{kind: beam, lm: {kind: ngram, content: abc}}", "content"),
        ("{kind: beam, lm: {kind: ngram, order: 0}}", "lm.order: 0; it must be 1 to 10"),
    ],
)
def test_a_decoder_that_makes_no_sense_is_refused_with_its_place(project: Path, decoder: str, said: str) -> None:
    with pytest.raises(RequestError, match=r"evaluate\.decode") as wrong:
        config.load(project, [f"evaluate.decode={decoder}"], pipeline="tones")
    assert said in str(wrong.value)
