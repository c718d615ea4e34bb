"""What `sorigil compare` was asked for by name: a file, a score of the store, the newest scores of a pipeline's entry.

A side is one of the two systems: what it heard of each utterance and, where it is a score, what was said there. Whether
two of them may be put side by side is decided in `compare_pair`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flows.compare_side import TABLE, Side, facts_of, read_side, side_of_table, texts_of, together
from flows.last_run import results
from flows.named import Names, nothing, some
from flows.score import read
from sorigil.errors import RequestError
from sorigil.fingerprint import digest
from sorigil.text.exchange import SUFFIXES
from storage import bundles, files, parts
from storage.layout import Store


@dataclass(frozen=True)
class Sides:
    """Finds sides by their names. `which_store` is called for the first name that is no file."""

    which_store: Callable[[], Store]
    split: str
    runs: bool = True  # whether the run of an entry's scores is looked up

    @cached_property
    def store(self) -> Store:
        return self.which_store().open()

    @cached_property
    def names(self) -> Names:
        return Names(self.store)

    def known_store(self) -> Store | None:
        """The store if there is one: what is compared need not be of any, and none is made."""
        try:
            found = self.which_store()
        except RequestError:
            return None
        return self.store if files.exists(found.path("sorigil.json")) else None

    def side(self, asked: str) -> Side:
        """Raises RequestError where nothing is called so, or several things are."""
        if files.exists(asked) and (files.is_url(asked) or not files.local_path(asked).is_dir()):
            return side_of_table(asked, asked) if asked.endswith(TABLE) else Side(name=asked, heard=read(asked))
        if asked.endswith((TABLE, ".txt", *SUFFIXES)) or files.is_url(asked):
            raise RequestError(f"{asked}: there is no such file")
        try:
            names = self.names
        except RequestError as wrong:
            raise RequestError(f"{asked}: there is no such file, and no store to find a score in: {wrong}") from wrong
        for find in (self._entry, self._score, self._model, self._registered, self._run):
            if (found := find(asked)) is not None:
                return found
        scored = (name for each in results(self.store) for name in _entries(each["pipeline"], each["score_keys"]))
        none = f"{self.store.root} holds no scores of a run yet"
        what = "file, PIPELINE.ENTRY, score, model or run of MLflow"
        raise nothing(asked, what, [*scored, *names.models], none=none)

    def _entry(self, asked: str) -> Side | None:
        """`digits.words`: the scores of the newest run of the pipeline that scored this entry; `digits` alone where it
        has one entry."""
        pipeline, _, entry = asked.partition(".")
        for result in results(self.store):
            studies = {study["run"]: study for study in result.get("studies", ()) if _trials(study)}
            there = list(dict.fromkeys([*result["score_keys"], *studies]))
            if result["pipeline"] != pipeline or not there or (entry and entry not in there):
                continue
            if not entry and len(there) > 1:
                raise RequestError(f"{pipeline} has several models; name one: {', '.join(_entries(pipeline, there))}")
            name = entry or there[0]
            return (
                self._of_study(asked, result, studies[name])
                if name in studies
                else self._of_result(asked, result, name)
            )
        return None

    def _of_study(self, asked: str, result: dict[str, Any], study: dict[str, Any]) -> Side:
        """The folds put together, each utterance as the model heard it that had not learned from it; seed by seed."""
        found: dict[int, list[tuple[str, Side]]] = {}
        others: list[str] = []
        for trial in _trials(study):
            for key in trial["score_keys"]:
                if (split := self._split(key)) != self.split:
                    others.append(split)
                    continue
                side = self._of_score(asked, key, self._normalizer(result, study["run"]))
                found.setdefault(trial["seed"], []).append((trial["fold"] or "", side))
        if not found:
            raise _not_scored(asked, self.split, list(dict.fromkeys(others)))
        tables = [together(scores) for scores in found.values()]
        first = next(iter(found.values()))[0][1]
        said, heard = texts_of(asked, tables[0])
        seeds = tuple(table for table in tables if len(table) == len(tables[0]))  # of another a fold failed
        return replace(
            first, said=said, heard=heard, table=tables[0], score=None, seeds=seeds if len(seeds) > 1 else ()
        )

    def _normalizer(self, result: dict[str, Any], entry: str) -> str | None:
        """What a result says of it; older scores do not themselves."""
        rows = (row for row in result["scores"] if (row["run"], row["split"]) == (entry, self.split))
        return next((row["normalizer"] for row in rows), None)

    def _of_result(self, asked: str, result: dict[str, Any], entry: str) -> Side:
        keys = result["score_keys"][entry]
        score = self._on_split(asked, keys)
        logged = digest("mlflow", entry, result["models"].get(entry, ""), *keys)
        look = self.runs and self.names.tracked
        run = self.names.experiments.find(result["pipeline"], logged) if look else None
        return self._of_score(asked, score, self._normalizer(result, entry), run)

    def _on_split(self, asked: str, keys: Sequence[str]) -> str:
        """That of a model's scores which is of the split."""
        found = {self._split(key): key for key in keys}
        if self.split not in found:
            raise _not_scored(asked, self.split, list(found))
        return found[self.split]

    def _score(self, asked: str) -> Side | None:
        """`1a3663b4`: the score of the store whose key begins so."""
        key = self.names.key(asked, self._keys, "scores")
        return None if key is None else self._of_score(asked, key)

    def _model(self, asked: str) -> Side | None:
        """`7025fe86`: the newest scores of a run of the model of the store whose key begins so."""
        key = self.names.key(asked, lambda: bundles.keys(self.store), "models")
        if key is None:
            return None
        for result in results(self.store):
            for entry, model in result["models"].items():
                if model == key and result["score_keys"].get(entry):
                    return self._of_result(asked, result, entry)
            for study in result.get("studies", ()):
                for trial in (each for each in _trials(study) if each["model"] == key):
                    score = self._on_split(asked, trial["score_keys"])
                    return self._of_score(asked, score, self._normalizer(result, study["run"]))
        raise RequestError(
            f"{asked}: no run scored the model {key}; `sorigil evaluate --models {key[:8]} --datasets NAME` does, and says "
            "the key of the score"
        )

    def _registered(self, asked: str) -> Side | None:
        """`digits.words/3` and `digits.words@best`: what MLflow has registered."""
        found = self.names.registered(asked)
        return None if found is None or found.run is None else self._of_run(asked, found.run)

    def _run(self, asked: str) -> Side | None:
        run = self.names.run(asked)
        return None if run is None else self._of_run(asked, run)

    def _of_run(self, asked: str, run: str) -> Side:
        """The table that was logged with a run: the store need not have the score any more."""
        try:
            rows = json.loads(self.names.experiments.read_artifact(run, f"{self.split}/scores.json"))
            data = self.names.experiments.read_artifact(run, f"{self.split}/utterances{TABLE}")
        except OSError as wrong:
            folders = self.names.experiments.artifacts(run)
            if "study.json" in folders:  # the parent of folds or seeds
                return self._of_study(
                    asked, {"scores": ()}, json.loads(self.names.experiments.read_artifact(run, "study.json"))
                )
            there = [each for each in folders if f"{each}/scores.json" in self.names.experiments.artifacts(run, each)]
            why = f"but on {some(there)}; choose with --split" if there else "nor on any other split"
            raise RequestError(f"{asked}: the run {run} was not scored on {self.split}, {why}") from wrong
        facts = {"objective": rows[0]["objective"], "model": rows[0]["run"], "split": self.split} if rows else {}
        normalizer = rows[0]["normalizer"] if rows else None
        return read_side(asked, parts.open_bytes(data), {**facts, "normalizer": normalizer}, run)

    def _of_score(self, asked: str, key: str, normalizer: str | None = None, run: str | None = None) -> Side:
        return side_of_table(asked, self.store.path(f"{self.store.score(key)}/utterances{TABLE}"), normalizer, run)

    def _split(self, key: str) -> str:
        """Of a score; nothing of one that is gone."""
        return str(facts_of(self.store.path(self.store.score(key))).get("split", ""))

    def _keys(self) -> Iterator[str]:
        root = self.store.path("scores")
        if files.is_url(root) or files.exists(root):
            for entry in files.walk(root):
                if entry.uri.endswith("/score.json"):
                    yield entry.uri.split("/")[-2]


def _trials(study: dict[str, Any]) -> list[dict[str, Any]]:
    """The trainings of a study that were scored."""
    return [trial for trial in study["trials"] if trial["chosen"] and trial["score_keys"]]


def _not_scored(asked: str, split: str, there: Sequence[str]) -> RequestError:
    known = [each for each in there if each]
    why = f"but on {', '.join(known)}; choose with --split" if known else "or its scores are gone; run it again"
    return RequestError(f"{asked} was not scored on {split}, {why}")


def _entries(pipeline: str, entries: Sequence[str] | dict[str, Any]) -> list[str]:
    return [f"{pipeline}.{entry}" for entry in entries]
