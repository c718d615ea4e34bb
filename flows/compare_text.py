"""A comparison for the terminal: the verdict, the figures, slices and words that changed, and utterances, aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sorigil.report import differences, numbers
from sorigil.report.comparison_tables import (
    ERRORS,
    changed_slices,
    metric_table,
    paired_table,
    seed_lines,
    slices_said,
    verdict,
)
from sorigil.report.tables import in_terminal

MOST_WORDS = 10
MOST_SLICES = 12
WORDS = {"ctc": "", "classification": "classes that ", "tagging": "tags that "}


def compare_text(found: dict[str, Any], limit: int) -> str:
    """The same for a person, with the aligned words of at most `limit` utterances that got better, and worse."""
    same, what = found["utterances"] - len(found["changes"]), WORDS[found["objective"]]
    how = f", normaliser {found['normalizer']}" if found["normalizer"] else ""
    metric = next(iter(found["metrics"]))
    lines = [
        *(f"{letter} {_called(side)}" for letter, side in zip("AB", found["sides"], strict=True)),
        f"  {numbers.count(found['utterances'])} utterances of {found['reference']}{how}",
        "",
        verdict(metric, found["metrics"][metric]),
        "",
        *in_terminal(metric_table(found["metrics"])),
        *(f"  {line}" for line in seed_lines(found)),
        *_slices(found["slice_metric"], found["slices"]),
        "",
        f"  B has fewer {ERRORS[found['objective']]} in {found['better']:,} utterances, more in {found['worse']:,}, "
        f"as many but others in {found['otherwise']:,}; {same:,} are heard alike",
        *_words(f"{what}only B has right", found["words"]["mended"]),
        *_words(f"{what}only A has right", found["words"]["broken"]),
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


def _slices(metric: str, slices: Sequence[dict[str, Any]]) -> list[str]:
    if not slices:
        return []
    shown = changed_slices(slices)
    lines = in_terminal(paired_table(metric, shown), MOST_SLICES, "slices") if shown else []
    return ["", f"  {slices_said(slices)}", *lines]


def _errors(number: int) -> str:
    return f"{number} error{'' if number == 1 else 's'}"


def _words(title: str, counted: Sequence[tuple[str, int]]) -> list[str]:
    if not counted:
        return []
    shown = ", ".join(f"{word} {times}" for word, times in counted[:MOST_WORDS])
    more = f" and {len(counted) - MOST_WORDS:,} more words" if len(counted) > MOST_WORDS else ""
    return [f"  {title}: {shown}{more}"]
