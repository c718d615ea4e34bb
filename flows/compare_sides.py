"""What `sorigil compare` was asked for by name: a file, a score of the store, the newest scores of a pipeline's entry.

A side is one of the two systems: what it heard of each utterance and, where it is a score, what was said there. Whether
two of them may be put side by side is decided in `compare`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from flows.last_run import results
from flows.score import read
from sorigil.errors import RequestError
from sorigil.fingerprint import digest
from sorigil.objectives import Objective
from sorigil.text.exchange import SUFFIXES, Entry, Texts
from storage import files, parts
from storage.layout import Store

TABLE = ".parquet"  # the utterances of a score: they bring their references
HEAVY = ("probabilities", "n_best")  # columns that no comparison looks at
SHORTEST_KEY = 4  # digits by which a key may be named
MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """`said`, `table`, and what follows are None for a file of texts; what an older score does not say is None too.

    `run`: the experiment in MLflow and the key by which its run is found.
    """

    name: str
    heard: Texts
    said: Texts | None = None
    table: pa.Table | None = None
    objective: Objective | None = None
    normalizer: str | None = None
    score: str | None = None
    model: str | None = None
    split: str | None = None
    run: tuple[str, str] | None = None


@dataclass(frozen=True)
class Names:
    """Finds sides by their names. `open_store` is called once, for the first name that is no file."""

    open_store: Callable[[], Store]
    split: str

    @cached_property
    def store(self) -> Store:
        return self.open_store()

    def known_store(self) -> Store | None:
        """The store where there is one to be found; two files need none."""
        try:
            return self.store
        except RequestError:
            return None

    def side(self, asked: str) -> Side:
        """Raises RequestError where nothing is called so, or several things are."""
        if files.exists(asked) and (files.is_url(asked) or not files.local_path(asked).is_dir()):
            return _table(asked, asked) if asked.endswith(TABLE) else Side(name=asked, heard=read(asked))
        if asked.endswith((TABLE, ".txt", *SUFFIXES)) or files.is_url(asked):
            raise RequestError(f"{asked}: there is no such file")
        for find in (self._entry, self._score):
            if (found := find(asked)) is not None:
                return found
        raise RequestError(f"{asked}: no file, no PIPELINE.ENTRY and no score is called so{self._near(asked)}")

    def _entry(self, asked: str) -> Side | None:
        """`digits.words`: the scores of the newest run of the pipeline that scored this entry; `digits` alone where it
        has one entry."""
        pipeline, _, entry = asked.partition(".")
        for result in results(self.store):
            keys = result["score_keys"]
            if result["pipeline"] != pipeline or not keys or (entry and entry not in keys):
                continue
            if not entry and len(keys) > 1:
                raise RequestError(f"{pipeline} has several models; name one: {', '.join(_entries(pipeline, keys))}")
            return self._of_result(asked, result, entry or next(iter(keys)))
        return None

    def _of_result(self, asked: str, result: dict[str, Any], entry: str) -> Side:
        keys = result["score_keys"][entry]
        found = {self._facts(key)["split"]: key for key in keys}
        if self.split not in found:
            raise RequestError(
                f"{asked} was not scored on {self.split}, but on {', '.join(found)}; choose with --split"
            )
        rows = (row for row in result["scores"] if (row["run"], row["split"]) == (entry, self.split))
        normalizer = next((row["normalizer"] for row in rows), None)
        run = (result["pipeline"], digest("mlflow", entry, result["models"].get(entry, ""), *keys))
        return self._of_score(asked, found[self.split], normalizer, run)

    def _score(self, asked: str) -> Side | None:
        """`1a3663b4`: the one score of the store whose key begins so."""
        if not re.fullmatch(f"[0-9a-f]{{{SHORTEST_KEY},32}}", asked):
            return None
        there = sorted(key for key in self._keys() if key.startswith(asked))
        if len(there) > 1:
            raise RequestError(f"{asked}: {len(there)} scores begin so ({some(there)}); give more digits")
        return self._of_score(asked, there[0]) if there else None

    def _of_score(
        self, asked: str, key: str, normalizer: str | None = None, run: tuple[str, str] | None = None
    ) -> Side:
        return _table(asked, self.store.path(f"{self.store.score(key)}/utterances{TABLE}"), normalizer, run)

    def _facts(self, key: str) -> dict[str, Any]:
        return _facts(self.store.path(self.store.score(key)))

    def _keys(self) -> Iterator[str]:
        root = self.store.path("scores")
        if files.is_url(root) or files.exists(root):
            for entry in files.walk(root):
                if entry.uri.endswith("/score.json"):
                    yield entry.uri.split("/")[-2]

    def _near(self, asked: str) -> str:
        there = list(
            dict.fromkeys(
                name for result in results(self.store) for name in _entries(result["pipeline"], result["score_keys"])
            )
        )
        if not there:
            return f"; {self.store.root} holds no scores of a run yet"
        near = difflib.get_close_matches(asked, there, n=1)
        return f"; did you mean {near[0]}?" if near else f"; there are {some(there)}"


def _entries(pipeline: str, entries: Sequence[str] | dict[str, Any]) -> list[str]:
    return [f"{pipeline}.{entry}" for entry in entries]


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", …" if len(names) > MOST_SHOWN else "")


def _facts(folder: str) -> dict[str, Any]:
    """What is known of a score; nothing where its table lies alone."""
    address = f"{folder}/score.json"
    found: dict[str, Any] = json.loads(files.read_bytes(address)) if files.exists(address) else {}
    return found


def _table(name: str, address: str, normalizer: str | None = None, run: tuple[str, str] | None = None) -> Side:
    """The side of a score's table. Raises RequestError where it is none."""
    try:
        reader = parts.open_parquet(address)
        table = reader.read(columns=[each for each in reader.schema_arrow.names if each not in HEAVY])
        said, heard = _texts(name, table)
    except (OSError, ValueError, KeyError) as wrong:
        raise RequestError(f"{address}: not the table of a score (scores/KEY/utterances.parquet): {wrong}") from wrong
    facts = _facts(files.parent(address))
    return Side(
        name=name,
        heard=heard,
        said=said,
        table=table,
        objective=facts.get("objective"),
        normalizer=facts.get("normalizer") or normalizer,
        score=facts.get("key"),
        model=facts.get("model"),
        split=facts.get("split"),
        run=run,
    )


def _texts(name: str, table: pa.Table) -> tuple[Texts, Texts]:
    """References and hypotheses as they are."""
    ids, speakers, said, heard = (
        table.column(each).to_pylist() for each in ("id", "speaker", "reference", "hypothesis")
    )
    rows = range(len(table))
    references = (Entry(line=row + 1, id=ids[row], text=said[row], speaker=speakers[row] or None) for row in rows)
    hypotheses = (Entry(line=row + 1, id=ids[row], text=heard[row]) for row in rows)
    return tuple(Texts(name=name, format="jsonl", entries=tuple(each)) for each in (references, hypotheses))  # type: ignore[return-value]
