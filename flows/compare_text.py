"""A comparison for the terminal: the figures, the words, the utterances that changed most, aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sorigil.report import differences, numbers
from sorigil.report.comparison import ERRORS, seed_lines
from sorigil.report.summary import table

MOST_WORDS = 10
MOST_SLICES = 12
WORDS = {"ctc": "", "classification": "classes that ", "tagging": "tags that "}


def compare_text(found: dict[str, Any], limit: int) -> str:
    """The same for a person, with the aligned words of at most `limit` utterances that got better, and worse."""
    head = ["metric", "A", "B", "B - A", "95 % by utterance", "95 % by speaker", "p", ""]
    rows = [_row(metric, row) for metric, row in found["metrics"].items()]
    same, what = found["utterances"] - len(found["changes"]), WORDS[found["objective"]]
    how = f", normaliser {found['normalizer']}" if found["normalizer"] else ""
    lines = [
        *(f"{letter} {_called(side)}" for letter, side in zip("AB", found["sides"], strict=True)),
        f"  {numbers.count(found['utterances'])} utterances of {found['reference']}{how}",
        "",
        *table([head, *rows], right=(1, 2, 3)),
        *(f"  {line}" for line in seed_lines(found)),
        "",
        f"  B has fewer {ERRORS[found['objective']]} in {found['better']:,} utterances, more in {found['worse']:,}, "
        f"as many but others in {found['otherwise']:,}; {same:,} are heard alike",
        *_words(f"{what}only B has right", found["words"]["mended"]),
        *_words(f"{what}only A has right", found["words"]["broken"]),
        *_slices(found),
        *(f"  note: {note}" for note in found["notes"]),
    ]
    mended = [each for each in found["changes"] if each["errors_b"] < each["errors_a"]][:limit]
    broken = [each for each in reversed(found["changes"]) if each["errors_b"] > each["errors_a"]][:limit]
    for each in (*mended, *broken):
        lines += ["", f"{each['id']}: {_errors(each['errors_a'])} in A, {each['errors_b']} in B"]
        lines += differences.aligned_columns(each["columns"], ("REF", "A", "B"))
    return "\n".join(lines)


def _called(side: dict[str, Any]) -> str:
    known = [side["split"], side["score"] and f"score {side['score'][:12]}", side["run"] and f"run {side['run'][:12]}"]
    said = ", ".join(filter(None, known))
    return f"{side['name']} ({said})" if said else str(side["name"])


def _slices(found: dict[str, Any]) -> list[str]:
    metric = next(iter(found["metrics"]))
    changed = sorted((row for row in found["slices"] if row["change"]), key=lambda row: row["q"])
    if not changed:
        return [f"  in none of {len(found['slices']):,} slices a change is shown"] if found["slices"] else []
    head = [
        f"slices ({len(changed):,} of {len(found['slices']):,})",
        "utterances",
        "A",
        "B",
        "B - A",
        "95 %",
        "q",
        "B is",
    ]
    rows = [
        [
            f"{row['column']} {row['value']}",
            numbers.count(row["utterances"]),
            *(numbers.score(metric, row[each]) for each in ("a", "b", "delta")),
            numbers.interval(metric, row["interval"]),
            f"{row['q']:.2g}",
            row["change"],
        ]
        for row in changed[:MOST_SLICES]
    ]
    return ["", *table([head, *rows], right=(1, 2, 3, 4))]


def _errors(number: int) -> str:
    return f"{number} error{'' if number == 1 else 's'}"


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
