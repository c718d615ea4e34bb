"""`sorigil score`: two files of texts, scored without a pipeline, a store or a model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flows import normalize
from sorigil.errors import RequestError
from sorigil.fingerprint import digest
from sorigil.metrics import METRICS, Score
from sorigil.metrics.align import columns
from sorigil.metrics.errors import word_error_columns
from sorigil.report import differences, numbers
from sorigil.report.summary import table
from sorigil.text import exchange
from sorigil.text.exchange import Joined, Texts
from sorigil.text.normalize import NormalizerSpec, normalizer
from storage import files

METRICS_OF_TEXTS = tuple(
    name for name, metric in METRICS.items() if "ctc" in metric.objectives and metric.reads == "texts"
)


def score_files(reference: str, hypothesis: str, spec: NormalizerSpec, *, show: bool = False) -> dict[str, Any]:
    """Score one file against another; returns what the verb prints with `--json`. `show` adds the aligned differences.

    Raises RequestError where a file cannot be read or the two do not hold the same utterances.
    """
    texts = [read(each) for each in (reference, hypothesis)]
    there = join(*texts)
    references, hypotheses = cleaned(there, spec)
    scores = {name: METRICS[name].compute(references, hypotheses, there.speakers) for name in METRICS_OF_TEXTS}
    words = scores["wer"].detail
    found = {
        "reference": reference,
        "hypothesis": hypothesis,
        **normalize.described(spec),
        "slice": slice_of(there),
        "utterances": len(there.ids),
        "speakers": len(set(there.speakers)) if there.speakers else None,
        "wer": scores["wer"].value,
        "cer": scores["cer"].value,
        **{name: words[name] for name in ("hits", "substitutions", "deletions", "insertions")},
        "reference_words": words["total"],
        "interval": scores["wer"].interval,
        "interval_by_speaker": scores["wer"].interval_by_group,
        "metrics": {name: _metric(score) for name, score in scores.items()},
        "notes": notes(texts, there),
    }
    shown = {"differences": _differences(there.ids, references, hypotheses)} if show else {}
    return {"schema": 1, "status": "completed", "errors": [], **found, **shown}


def score_text(found: dict[str, Any]) -> str:
    """The same for a person."""
    counts = ", ".join(f"{name} {numbers.count(found[name])}" for name in ("substitutions", "deletions", "insertions"))
    head = ["metric", "value", "95 % by utterance", "95 % by speaker"]
    rows = [
        [name, numbers.score(name, row["value"]), *(numbers.interval(name, row[each]) for each in _INTERVALS)]
        for name, row in found["metrics"].items()
    ]
    lines = [
        f"{found['hypothesis']} against {found['reference']}, normaliser {found['normalizer']}",
        f"  {numbers.count(found['utterances'])} utterances, {numbers.count(found['reference_words'])} words: {counts}",
        "",
        *table([head, *rows], right=(1,)),
        *(f"  note: {note}" for note in found["notes"]),
    ]
    for row in found.get("differences", ()):
        lines += ["", f"{row['id']}: {row['errors']} of {row['words']} words"]
        lines += differences.aligned(row["reference"], [("HYP", row["hypothesis"])])
    return "\n".join(lines)


_INTERVALS = ("interval", "interval_by_speaker")


def read(address: str) -> Texts:
    """A file's texts. Raises RequestError where it cannot be read."""
    try:
        data = files.read_bytes(address)
    except OSError as wrong:
        raise RequestError(f"{address}: the file cannot be read ({wrong.strerror or wrong})") from wrong
    return exchange.read(data, address)


def join(reference: Texts, *others: Texts) -> Joined:
    """The texts side by side. Raises RequestError where there are none, or not the same."""
    if not reference.entries:
        raise RequestError(f"{reference.name} holds no utterance; there is nothing to score")
    return exchange.joined(reference, *others)


def cleaned(there: Joined, spec: NormalizerSpec) -> list[list[str]]:
    """Each column as it is compared; what several say alike is normalised once."""
    clean: Callable[[str], str] = functools.cache(normalizer(spec))
    return [[clean(text) for text in column] for column in there.columns]


def slice_of(there: Joined) -> str:
    """Names the scored utterances with their references: scores are put side by side only where it is equal."""
    pairs = sorted(zip(there.ids, there.columns[0], strict=True))
    return digest("slice", *(part for pair in pairs for part in pair))


def notes(texts: Sequence[Texts], there: Joined) -> list[str]:
    return [
        f"{other.name} is a CTM and lacks {len(missing):,} of the utterances ({', '.join(missing[: exchange.MOST_SHOWN])}"
        f"{', …' if len(missing) > exchange.MOST_SHOWN else ''}): nothing was heard there"
        for other, missing in zip(texts[1:], there.silent, strict=True)
        if missing
    ]


def _metric(score: Score) -> dict[str, Any]:
    return {"value": score.value, "interval": score.interval, "interval_by_speaker": score.interval_by_group}


def _differences(ids: Sequence[str], references: Sequence[str], hypotheses: Sequence[str]) -> list[dict[str, Any]]:
    """Each utterance with an error, in the order of the file, its words in columns (reference, hypothesis)."""
    counts = word_error_columns(references, hypotheses)
    rows = zip(ids, references, hypotheses, counts.errors.tolist(), counts.totals.tolist(), strict=True)
    return [
        {
            "id": name,
            "reference": reference,
            "hypothesis": hypothesis,
            "errors": errors,
            "words": total,
            "columns": columns(reference, hypothesis),
        }
        for name, reference, hypothesis, errors, total in rows
        if errors
    ]
