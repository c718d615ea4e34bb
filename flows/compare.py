"""`sorigil compare`: two systems' texts for the same utterances, from files or from scores in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows import normalize
from flows.score import cleaned, join, notes, read, slice_of
from sorigil.errors import RequestError
from sorigil.metrics.comparison import COUNTERS, Comparison, changes, compare, words_changed
from sorigil.report import differences, numbers
from sorigil.report.summary import table
from sorigil.text.exchange import Entry, Texts
from sorigil.text.normalize import NormalizerSpec

TABLE = ".parquet"  # the utterances of a score in the store: they bring their references
MOST_WORDS = 10


def compare_files(a: str, b: str, reference: str | None, spec: NormalizerSpec) -> dict[str, Any]:
    """Compare two files; returns what the verb prints with `--json`.

    Raises RequestError where a file cannot be read, no reference is given, or the utterances are not the same.
    """
    tables = {address: _utterances(address) for address in (a, b) if address.endswith(TABLE)}
    said = [read(reference)] if reference else [each for each, _ in tables.values()]
    if not said:
        raise RequestError("what was said is not known; name it with --reference (JSON lines, TRN, CTM or plain lines)")
    heard = [tables[address][1] if address in tables else read(address) for address in (a, b)]
    texts = [said[0], *heard, *said[1:]]
    there = join(*texts)
    _same_references(there.columns[0], there.columns[3:])
    references, first, second = cleaned(there, spec)[:3]
    compared = {metric: compare(metric, references, first, second, there.speakers) for metric in COUNTERS}
    changed = changes(there.ids, references, first, second)
    mended, broken = words_changed(changed)
    found = {
        "reference": said[0].name,
        "a": a,
        "b": b,
        **normalize.described(spec),
        "slice": slice_of(there),
        "utterances": len(there.ids),
        "speakers": len(set(there.speakers)) if there.speakers else None,
        "metrics": {metric: _metric(each) for metric, each in compared.items()},
        "better": sum(each.gain > 0 for each in changed),
        "worse": sum(each.gain < 0 for each in changed),
        "otherwise": sum(each.gain == 0 for each in changed),
        "words": {"mended": mended.most_common(), "broken": broken.most_common()},
        "notes": notes(texts, there),
        "changes": [asdict(each) for each in changed],
    }
    return {"schema": 1, "status": "completed", "errors": [], **found}


def compare_text(found: dict[str, Any], limit: int) -> str:
    """The same for a person, with the aligned words of at most `limit` utterances that got better, and worse."""
    head = ["metric", "A", "B", "B - A", "95 % by utterance", "95 % by speaker", "p", ""]
    rows = [_row(metric, row) for metric, row in found["metrics"].items()]
    same = found["utterances"] - len(found["changes"])
    lines = [
        f"A {found['a']}",
        f"B {found['b']}",
        f"  {numbers.count(found['utterances'])} utterances of {found['reference']}, normaliser {found['normalizer']}",
        "",
        *table([head, *rows], right=(1, 2, 3)),
        "",
        f"  B has fewer word errors in {found['better']:,} utterances, more in {found['worse']:,}, as many but others "
        f"in {found['otherwise']:,}; {same:,} are heard alike",
        *_words("only B has right", found["words"]["mended"]),
        *_words("only A has right", found["words"]["broken"]),
        *(f"  note: {note}" for note in found["notes"]),
    ]
    mended = [each for each in found["changes"] if each["errors_b"] < each["errors_a"]][:limit]
    broken = [each for each in reversed(found["changes"]) if each["errors_b"] > each["errors_a"]][:limit]
    for each in (*mended, *broken):
        lines += ["", f"{each['id']}: {each['errors_a']} errors in A, {each['errors_b']} in B"]
        lines += differences.aligned(each["reference"], [("A", each["a"]), ("B", each["b"])])
    return "\n".join(lines)


def _utterances(address: str) -> tuple[Texts, Texts]:
    """References and hypotheses of a score's table. Raises RequestError where it is none."""
    from storage import parts

    try:
        rows = parts.read_table(address, ["id", "speaker", "reference", "hypothesis"]).to_pylist()
    except (OSError, ValueError, KeyError) as wrong:
        raise RequestError(f"{address}: not the table of a score (scores/KEY/utterances.parquet): {wrong}") from wrong
    numbered = list(enumerate(rows, start=1))
    said = (
        Entry(line=line, id=row["id"], text=row["reference"], speaker=row["speaker"] or None) for line, row in numbered
    )
    heard = (Entry(line=line, id=row["id"], text=row["hypothesis"]) for line, row in numbered)
    return tuple(Texts(name=address, format="jsonl", entries=tuple(each)) for each in (said, heard))  # type: ignore[return-value]


def _same_references(first: Sequence[str], others: Sequence[Sequence[str]]) -> None:
    for other in others:
        differ = sum(one != two for one, two in zip(first, other, strict=True))
        if differ:
            raise RequestError(
                f"A and B were scored against other references in {differ:,} of {len(first):,} utterances: "
                "they are not the same slice; score one of them anew, or name the references with --reference"
            )


def _metric(row: Comparison) -> dict[str, Any]:
    return {
        "a": row.a,
        "b": row.b,
        "delta": row.delta.value,
        "interval": row.delta.interval,
        "p": row.delta.p,
        "interval_by_speaker": row.by_speaker.interval if row.by_speaker else None,
        "test": asdict(row.test),
        "better": row.better,
    }


def _row(metric: str, row: dict[str, Any]) -> list[str]:
    verdict = f"{row['better'].upper()} is better" if row["better"] else "no difference is shown"
    return [
        metric,
        *(numbers.score(metric, row[each]) for each in ("a", "b", "delta")),
        numbers.interval(metric, row["interval"]),
        numbers.interval(metric, row["interval_by_speaker"]),
        f"{row['test']['p_exact']:.2g}",
        verdict,
    ]


def _words(title: str, counted: Sequence[tuple[str, int]]) -> list[str]:
    if not counted:
        return []
    shown = ", ".join(f"{word} {times}" for word, times in counted[:MOST_WORDS])
    more = f" and {len(counted) - MOST_WORDS:,} more words" if len(counted) > MOST_WORDS else ""
    return [f"  {title}: {shown}{more}"]
