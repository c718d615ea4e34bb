"""A run in plain text for the end of the console: what went in, what was kept, how fast, how well, what to type next.

Its input is the object that `sorigil run NAME --json` prints, so that people and scripts are told the same. Columns are
aligned for a fixed-width font (a Hangul syllable is two columns wide); no colour.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sorigil.report import numbers
from sorigil.report.charts import spaced
from sorigil.report.model import PARTS_OF_SCANNED, Stage
from sorigil.report.studies import choice_rows, counts, spread_rows, study_rows

MOST_REASONS = 12
MOST_ERRORS = 10
EXAMPLE_WIDTH = 48


def summary(result: Mapping[str, Any], commands: Sequence[tuple[str, str]] = ()) -> str:
    """The whole summary, ending in a newline. `commands` are (what for, command line) pairs, printed last.

    Keys of `result` that are missing, empty or null leave their paragraph out.
    """
    paragraphs = [
        _headline(result),
        _books(result.get("books") or {}, result.get("work") or {}),
        _filtered(result.get("quarantine") or {}),
        _quarantine(result.get("quarantine") or {}),
        _stages(result.get("stages") or ()),
        _scores(_of_no_study(result)),
        *(_study(study) for study in result.get("studies") or ()),
        _transcripts(result.get("transcripts")),
        _alignments(result.get("alignments") or ()),
        _errors(result.get("errors") or ()),
        _commands(commands),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines) + "\n"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """Lines of aligned columns, two spaces apart; the columns numbered in `right` are aligned to the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [_pad(cell, widths[place], place in right) for place, cell in enumerate(row)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def width(text: str) -> int:
    """Columns of a terminal that the text takes: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def cut(text: str, most: int) -> str:
    """The text on one line and at most `most` columns wide, with an ellipsis where something is missing."""
    line = " ".join(text.split())
    if width(line) <= most:
        return line
    while width(line) > most - 1:
        line = line[:-1]
    return line.rstrip() + "…"


def _pad(text: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


def _headline(result: Mapping[str, Any]) -> list[str]:
    version = result.get("version")
    parts = [
        f"pipeline {result.get('pipeline') or numbers.UNKNOWN}",
        *([f"version {version}"] if version is not None else []),
        str(result.get("status") or "unknown"),
    ]
    return [" · ".join(parts)]


def _amount(value: Any) -> tuple[int, float | None]:
    """`{items, seconds}` of the contract; a missing row counts as nothing."""
    if not value:
        return 0, 0.0
    return int(value.get("items") or 0), value.get("seconds")


def _books(books: Mapping[str, Any], work: Mapping[str, Any]) -> list[str]:
    if not books and not work:
        return []
    lines = ["Books"]
    if books:
        names = [name for name in ("scanned", *PARTS_OF_SCANNED, "trimmed") if name in books]
        scanned = _amount(books.get("scanned"))[0]
        lines += table([_book_row(name, books[name], scanned) for name in names], right=(1, 2, 3))
        missing = scanned - sum(_amount(books.get(name))[0] for name in PARTS_OF_SCANNED)
        if missing:
            lines.append(f"  THE BOOKS DO NOT BALANCE: {missing:,} scanned utterances are not accounted for")
    if work:
        done = [f"{name} {_items(*_amount(work[name]))}" for name in ("new", "reused") if name in work]
        lines.append("  this run: " + ", ".join(done))
        if work.get("new") is not None and _amount(work["new"])[0] == 0 and _amount(work.get("reused"))[0]:
            lines[-1] += " – nothing was computed again"
    return lines


def _items(items: int, seconds: float | None) -> str:
    return f"{items:,} ({numbers.span(seconds)})" if seconds else f"{items:,}"


def _book_row(name: str, value: Any, scanned: int) -> list[str]:
    items, seconds = _amount(value)
    share = f"{100 * items / scanned:.1f} %" if scanned and name in PARTS_OF_SCANNED else ""
    indent = "  " if name in PARTS_OF_SCANNED else ""
    return [indent + name, f"{items:,}", numbers.span(seconds), share]


def _quarantine(quarantine: Any) -> list[str]:
    """`{rows, total, table}`, or the rows alone."""
    rows = quarantine.get("rows") or [] if isinstance(quarantine, Mapping) else list(quarantine)
    facts = quarantine if isinstance(quarantine, Mapping) else {}
    total = int(facts.get("total") or len(rows))
    if not total:
        return []
    reasons = Counter(str(row.get("reason")) for row in rows)
    seen = "" if total == len(rows) else f" (reasons of the first {len(rows):,})"
    lines = [f"Quarantined: {total:,}{seen}"]
    first = {str(row.get("reason")): row for row in reversed(rows)}
    listed = [
        [reason, f"{number:,}", cut(f"{first[reason].get('id')}: {first[reason].get('detail') or ''}", EXAMPLE_WIDTH)]
        for reason, number in reasons.most_common(MOST_REASONS)
    ]
    lines += table([["reason", "items", "for example"], *listed], right=(1,)) if listed else []
    if len(reasons) > MOST_REASONS:
        lines.append(f"  and {len(reasons) - MOST_REASONS} more reasons")
    if facts.get("table"):
        lines.append(f"  all of them: {facts['table']}")
    return lines


def _filtered(quarantine: Any) -> list[str]:
    reasons = quarantine.get("filtered") or {} if isinstance(quarantine, Mapping) else {}
    if not reasons:
        return []
    listed = [[reason, f"{number:,}"] for reason, number in reasons.items()]
    return [f"Filtered: {sum(reasons.values()):,}", *table([["reason", "items"], *listed], right=(1,))]


def _stages(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    stages = [
        Stage(name=str(r["name"]), seconds=r.get("seconds") or 0.0, audio_seconds=r.get("audio_seconds")) for r in rows
    ]
    body = [
        [s.name, numbers.span(s.seconds), numbers.span(s.audio_seconds or None), numbers.times(s.times_real_time)]
        for s in stages
    ]
    body.append(["together", numbers.span(sum(s.seconds for s in stages)), "", ""])
    lines = table([["stage", "time", "audio", "real time"], *body], right=(1, 2, 3))
    return ["Stages", *lines, *(line for row in rows for line in _steps(row))]


def _steps(row: Mapping[str, Any]) -> list[str]:
    """Where a stage's workers spent their time, the largest share first: there it can be made faster."""
    steps = {step: seconds for step, seconds in (row.get("worker_seconds") or {}).items() if seconds}
    total = sum(steps.values())
    shares = [
        f"{step} {100 * steps[step] / total:.0f} %" for step in sorted(steps, key=steps.__getitem__, reverse=True)
    ]
    return [f"  workers' time in {row['name']}: {', '.join(shares)}"] if shares else []


def _scores(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per score. Counts of errors come from a row's `detail`, which goes beyond the contract."""
    if not rows:
        return []
    head = ["model", "dataset", "split", "metric", "value", "95 %", "by speaker", "n", ""]
    body = [
        [
            cut(str(row.get("run") or row.get("model") or numbers.UNKNOWN), 18),
            cut(str(row.get("dataset") or numbers.UNKNOWN), 14),
            str(row.get("split") or numbers.UNKNOWN) + (f" {row['fold']}" if row.get("fold") is not None else ""),
            spaced(str(row.get("metric"))),
            numbers.score(str(row.get("metric")), row.get("value")),
            numbers.interval(str(row.get("metric")), row.get("interval")),
            numbers.interval(str(row.get("metric")), row.get("interval_by_speaker")),
            numbers.count(row.get("n")),
            _detail(row.get("detail") or {}),
        ]
        for row in rows
    ]
    return ["Scores", *table([head, *body], right=(4, 5, 6, 7))]


def _of_no_study(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The scores of models that stand alone; those of folds and sweeps have tables of their own."""
    studies = {study["run"] for study in result.get("studies") or ()}
    return [row for row in result.get("scores") or () if row.get("run") not in studies]


def _study(study: Mapping[str, Any]) -> list[str]:
    """What was compared, every training, then what they come to."""
    tables = [
        table(rows, right=range(left, len(rows[0])))
        for rows, left in ((choice_rows(study), 0), (study_rows(study), 0), (spread_rows(study), 2))
        if len(rows) > 1
    ]
    return [f"{study['run']}: {counts(study)}", *(line for lines in tables for line in [*lines, ""])][:-1]


def _detail(detail: Mapping[str, Any]) -> str:
    """3 substitutions, 1 deletion, 0 insertions -> S 3 D 1 I 0."""
    names = ("substitutions", "deletions", "insertions")
    return " ".join(f"{name[0].upper()} {detail[name]:,}" for name in names if detail.get(name) is not None)


def _transcripts(value: Any) -> list[str]:
    """A list of recordings, or a mapping that counts them."""
    if not value:
        return []
    if isinstance(value, Mapping):
        return ["Transcripts: " + ", ".join(f"{spaced(str(key))} {numbers.plain(item)}" for key, item in value.items())]
    return [f"Transcripts: {len(value):,} recordings"]


def _alignments(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    utterances, words = (sum(row[what] for row in rows) for what in ("utterances", "words"))
    return [f"Aligned: {len(rows):,} recordings, {utterances:,} utterances, {words:,} words"]


def _errors(errors: Sequence[Any]) -> list[str]:
    if not errors:
        return []
    shown = [f"  {_error(error)}" for error in errors[:MOST_ERRORS]]
    rest = [f"  and {len(errors) - MOST_ERRORS} more"] if len(errors) > MOST_ERRORS else []
    return [f"Errors: {len(errors)}", *shown, *rest]


def _error(error: Any) -> str:
    return " ".join(str(error.get("message", error) if isinstance(error, Mapping) else error).split())


def _commands(commands: Sequence[tuple[str, str]]) -> list[str]:
    return ["Next", *table([list(pair) for pair in commands])] if commands else []
