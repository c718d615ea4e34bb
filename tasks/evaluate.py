"""Score one model on one slice of a dataset: hypotheses, metrics with their intervals, and a table row per utterance.

The score's key is H(the slice with its references, model, decoder, normaliser, metrics): the same key is the same
score, and is not computed again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.objectives import OBJECTIVES
from sorigil.text import normalize, tags
from sorigil.types import Rejection
from storage import bundles, files, parts
from storage.dataset import StoredRows
from tasks.answers import Answers, said_from
from tasks.evaluate_job import EvaluateJob, Scored, from_json, to_json
from tasks.hypotheses import hypotheses_of, model_of
from tasks.latency import latency_of
from tasks.slices import speakers_of
from tasks.tag_table import lists_of, marked


def evaluate_model(job: EvaluateJob) -> Scored:
    """Score, or find the score. Raises RequestError where the slice has no reference."""
    place = job.store.score(job.key)
    address = job.store.path(f"{place}/score.json")
    if files.exists(address):
        return from_json(files.read_json(address), reused=True)
    began = time.perf_counter()
    bundle = model_of(job)
    rows = usable(job)
    if not len(rows):
        raise RequestError(
            f"{bundle.name}: none of the {len(job.rows)} rows of the split {job.split} has a {job.target}; nothing to score"
        )
    stored = StoredRows(job.store, rows, audio=job.from_audio)
    answers, decoding_seconds = hypotheses_of(job, bundle, rows)
    table = _utterances(job, bundle, rows, stored, answers)
    judged = _judged(job, bundle, table, answers)
    scored = Scored(
        key=job.key,
        reused=False,
        model=bundle.name,
        objective=bundle.objective,
        split=job.split,
        scores=_scores(job, bundle.name, judged, speakers_of(rows)),
        table=f"{place}/utterances.parquet",
        seconds=round(time.perf_counter() - began, 3),
        audio_seconds=round(float(stored.seconds.sum()), 3),
        decoding_seconds=round(decoding_seconds, 6),
        latency=latency_of(job, bundle, rows) if job.latency and job.external is None else None,
        rejections=_unlearnt(job, bundle, table),
        tags=_tag_rows(bundle, judged["probabilities"]) if OBJECTIVES[bundle.objective].several else [],
        normalizer=normalize.label(job.normalizer) if OBJECTIVES[bundle.objective].text else None,
    )
    parts.write_table(job.store.path(scored.table), table)
    files.write_bytes(address, to_json(scored))
    return scored


def usable(job: EvaluateJob) -> pa.Table:
    """The rows that can be scored: with a reference, and with what the model is to hear."""
    needed = "audio_part" if job.from_audio else "feature_part"
    return job.rows.filter(pc.and_(pc.is_valid(job.rows.column(job.target)), pc.is_valid(job.rows.column(needed))))


def _utterances(
    job: EvaluateJob, bundle: bundles.Bundle, rows: pa.Table, stored: StoredRows, answers: Answers
) -> pa.Table:
    """One row per utterance: id, speaker, reference and hypothesis as given and as compared, confidence, errors."""
    references = rows.column(job.target).to_pylist()
    compared, heard, errors = _compared(job, bundle, references, answers.texts)
    sure = _carried(job, answers, heard)
    several = OBJECTIVES[bundle.objective].several
    table = pa.table(
        {
            **{name: rows.column(name) for name in ("id", "key", "uri", "speaker", "lang", "audio_part", "audio_row")},
            "seconds": stored.seconds,
            "reference": references,
            "hypothesis": [tags.show(text, job.separator) for text in answers.texts] if several else answers.texts,
            "reference_compared": compared,
            "hypothesis_compared": heard,
            "errors": errors,
            "confidence": pa.array(answers.confidences, pa.float64()),
            **({} if sure is None else {"word_confidences": pa.array(sure, pa.list_(pa.float32()))}),
            **({"probabilities": lists_of(answers.probabilities_NC)} if several else {}),
            **({} if answers.n_best is None else {"n_best": _n_best(answers.n_best)}),
        }
    )
    return marked(table, bundle.outputs, job.separator) if several else table


def _compared(
    job: EvaluateJob, bundle: bundles.Bundle, references: list[str], hypotheses: list[str]
) -> tuple[list[str], list[str], list[int]]:
    """References and hypotheses as they are compared, and the errors of each: wrong words, a wrong label, wrong tags."""
    from sorigil.metrics.errors import word_error_columns
    from sorigil.text.normalize import normalizer

    facts = OBJECTIVES[bundle.objective]
    if facts.several:
        own = [tags.read(text, job.separator) for text in references]
        pairs = zip(own, hypotheses, strict=True)
        errors = [len({*tags.split(one)} ^ {*tags.split(other)}) for one, other in pairs]
        shown = ([tags.show(text, job.separator) for text in texts] for texts in (own, hypotheses))
        return *shown, errors  # type: ignore[return-value]
    if not facts.text:
        return references, hypotheses, [int(one != other) for one, other in zip(references, hypotheses, strict=True)]
    clean = normalizer(job.normalizer)
    compared, heard = [clean(text) for text in references], [clean(text) for text in hypotheses]
    return compared, heard, word_error_columns(compared, heard).errors.tolist()


def _carried(job: EvaluateJob, answers: Answers, heard: list[str]) -> list[list[float]] | None:
    """How sure the model is of each word as it is compared; None where it does not say."""
    from sorigil.metrics.word_confidence import carried
    from sorigil.text.normalize import normalizer

    if answers.word_confidences is None:
        return None
    clean = lru_cache(maxsize=100_000)(normalizer(job.normalizer))
    rows = zip(answers.texts, answers.word_confidences, heard, strict=True)
    return [carried(text, sure, compared, clean) for text, sure, compared in rows]


def _n_best(found: list[list[tuple[str, float]]]) -> pa.Array:
    one = pa.struct([pa.field("text", pa.string()), pa.field("score", pa.float64())])
    return pa.array([[{"text": text, "score": score} for text, score in row] for row in found], pa.list_(one))


def _judged(job: EvaluateJob, bundle: bundles.Bundle, table: pa.Table, answers: Answers) -> dict[str, tuple[Any, ...]]:
    """What metrics compare, by what they read: two columns of texts or labels; of texts also how sure the model is of each
    word; of labels and tags truth_NC, probabilities_NC and their names; of tags also which were said.

    Names that training never saw stand behind the others, with the probability 0 that the model gives them.
    """
    from sorigil.metrics import METRICS

    references, heard = table.column("reference_compared").to_pylist(), table.column("hypothesis_compared").to_pylist()
    judged: dict[str, tuple[Any, ...]] = {"texts": (references, heard)}
    if "word_confidences" in table.column_names:
        judged["words"] = (references, heard, table.column("word_confidences").to_pylist())
    several = OBJECTIVES[bundle.objective].several
    asked = several or any(METRICS[name].reads == "probabilities" for name in job.metrics)
    if answers.probabilities_NC is None or not asked:
        return judged
    there = [set(tags.split(tags.read(text, job.separator))) if several else {text} for text in references]
    unknown = sorted(set().union(*there) - set(bundle.outputs))
    names = (*bundle.outputs, *unknown)
    truth_NC = np.array([[name in own for name in names] for own in there], dtype=bool)
    probabilities_NC = np.pad(answers.probabilities_NC, ((0, 0), (0, len(unknown))))
    judged["probabilities"] = (truth_NC, probabilities_NC, names)
    if several:
        judged["tags"] = (truth_NC, probabilities_NC >= _said_from(bundle, names), names)
    return judged


def _scores(
    job: EvaluateJob, model: str, judged: dict[str, tuple[Any, ...]], speakers: list[str] | None
) -> list[dict[str, Any]]:
    """Raises RequestError where a metric needs what the model does not give."""
    from sorigil.metrics import METRICS

    found = []
    for name in job.metrics:
        metric = METRICS[name]
        if metric.reads not in judged:
            raise RequestError(f"{name} needs the {_READ[metric.reads]}, which {model} does not give; leave it out")
        score = metric.compute(*judged[metric.reads], speakers)
        found.append(
            {
                "metric": name,
                "value": float(score.value),
                "interval": _rounded(score.interval),
                "interval_by_speaker": _rounded(score.interval_by_group),
                "n": int(score.n),
                "detail": score.detail,
            }
        )
    return found


_READ = {
    "probabilities": "probabilities of the classes",
    "tags": "probabilities of the tags",
    "words": "confidences of the words",
}


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(float(bound), 6) for bound in interval]


def _tag_rows(bundle: bundles.Bundle, judged: tuple[Any, ...]) -> list[dict[str, Any]]:
    from sorigil.metrics.per_tag import per_tag

    truth_NC, probabilities_NC, names = judged
    return [asdict(row) for row in per_tag(truth_NC, probabilities_NC, names, _said_from(bundle, names))]


def _said_from(bundle: bundles.Bundle, names: Sequence[str]) -> NDArray[np.float64]:
    """Of the model's tags, then of those that it does not know."""
    own_C = said_from(bundle)
    return np.pad(own_C, (0, len(names) - len(own_C)), constant_values=tags.SAID_FROM)


def _unlearnt(job: EvaluateJob, bundle: bundles.Bundle, table: pa.Table) -> list[Rejection]:
    """Rows of classes, or with symbols in their text, that training never saw: they count as errors, and are named so
    that nobody wonders why."""
    if job.external is not None:  # what it learned is its own affair
        return []
    references = table.column("reference").to_pylist()
    if OBJECTIVES[bundle.objective].several:
        known = set(bundle.outputs)
        said = {
            row: f"{', '.join(unknown)}: in this split but not in train; each counts as an error"
            for row, label in enumerate(references)
            if (unknown := sorted({*tags.split(tags.read(label, job.separator))} - known))
        }
        return _named(table, said, reason="tag_not_in_train")
    if not OBJECTIVES[bundle.objective].text:
        known = set(bundle.outputs)
        said = {
            row: f"the class {label} is in this split but not in train; it counts as an error"
            for row, label in enumerate(references)
            if label not in known
        }
        return _named(table, said, reason="class_not_in_train")
    from sorigil.text.normalize import normalizer

    tokenizer, clean = bundle.tokenizer(), normalizer(bundle.normalizer)
    said = {
        row: f"the text has {', '.join(map(repr, unknown))}, which no training text had; each counts as an error"
        for row, text in enumerate(references)
        if (unknown := tokenizer.unknown([clean(text)]))
    }
    return _named(table, said, reason="symbol_not_in_train")


def _named(table: pa.Table, said: dict[int, str], *, reason: str) -> list[Rejection]:
    rows = table.select(["id", "uri"]).take(pa.array(list(said), pa.int64())).to_pylist()
    return [
        Rejection(id=row["id"], uri=row["uri"], stage="evaluate", reason=reason, detail=detail)
        for row, detail in zip(rows, said.values(), strict=True)
    ]
