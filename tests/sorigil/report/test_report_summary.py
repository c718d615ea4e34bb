"""The console's summary: what the JSON says, aligned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.report.summary import cut, summary, table, width

RESULT: dict[str, Any] = {
    "schema": 1,
    "status": "completed",
    "errors": [],
    "pipeline": "quickstart",
    "version": "3",
    "books": {
        "scanned": {"items": 2140, "seconds": 3912.4},
        "kept": {"items": 2110, "seconds": 3890.1},
        "filtered": {"items": 4, "seconds": 8.2},
        "duplicate": {"items": 6, "seconds": 14.1},
        "quarantined": {"items": 20, "seconds": None},
        "trimmed": {"items": 37, "seconds": 120.5},
    },
    "work": {"new": {"items": 41, "seconds": 75.0}, "reused": {"items": 2069, "seconds": 3815.0}},
    "quarantine": {
        "rows": [
            *[
                {"id": f"bad-{i}", "uri": "x.wav", "reason": "not_audio", "detail": "a text file\nnamed .wav"}
                for i in range(14)
            ],
            *[{"id": f"시험-{i}", "uri": "y.wav", "reason": "truncated", "detail": "끝이 없다"} for i in range(6)],
        ],
        "total": 20,
        "table": "store/quarantine",
    },
    "stages": [
        {"name": "prepare", "seconds": 21.4, "audio_seconds": 3890.0},
        {"name": "train words", "seconds": 141.0, "audio_seconds": None},
    ],
    "scores": [
        {
            **{"run": "words", "dataset": "quickstart", "split": "test", "metric": "wer", "value": 0.0417},
            **{"interval": [0.031, 0.0552], "n": 4012, "fold": None},
            "detail": {"substitutions": 101, "deletions": 44, "insertions": 22},
        },
        {
            **{"run": "낱말", "dataset": "quickstart", "split": "test", "metric": "accuracy", "value": 0.9712},
            **{"interval": None, "n": 1545, "fold": None},
        },
    ],
    "transcripts": [{"recording": "a"}, {"recording": "b"}],
}
COMMANDS = [("dashboard", "sorigil dashboard"), ("the page", "sorigil report quickstart")]


@pytest.mark.parametrize(
    "shown",
    [
        *("pipeline quickstart · version 3 · completed", "2,140", "1.09 h", "98.6 %", "0.9 %", "2 min 00 s"),
        *(
            "new 41 (1 min 15 s)",
            "reused 2,069 (1.06 h)",
            "Quarantined: 20",
            "not_audio",
            "14",
            "bad-0: a text file named .wav",
        ),
        *("store/quarantine", "21.4 s", "× 182", "train words", "2 min 42 s", "4.17 %", "3.10 – 5.52 %", "4,012"),
        *("S 101 D 44 I 22", "97.12 %", "Transcripts: 2 recordings", "sorigil report quickstart"),
    ],
)
def test_what_the_json_says_is_told(shown: str) -> None:
    assert shown in summary(RESULT, COMMANDS)


def test_columns_are_aligned_and_fit_a_terminal() -> None:
    lines = summary(RESULT, COMMANDS).splitlines()
    assert max(map(width, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)
    scores = lines[lines.index("Scores") + 1 :][:3]
    ends = {
        width(line[: line.index(word) + len(word)])
        for line, word in zip(scores, ("value", "4.17 %", "97.12 %"), strict=True)
    }
    assert len(ends) == 1  # right-aligned, though one name is in wide characters


def test_a_second_run_says_that_nothing_was_computed() -> None:
    again = {**RESULT, "work": {"new": {"items": 0, "seconds": 0.0}, "reused": {"items": 2110, "seconds": 3890.1}}}
    assert "nothing was computed again" in summary(again)
    assert "nothing was computed again" not in summary(RESULT)


def test_books_that_do_not_balance_cry_out() -> None:
    books = {**RESULT["books"], "kept": {"items": 2100, "seconds": 1.0}}
    assert "DO NOT BALANCE: 10 scanned" in summary({**RESULT, "books": books})
    assert "BALANCE" not in summary(RESULT)


def test_a_failed_run_tells_its_errors_and_what_there_is() -> None:
    text = summary(
        {"status": "failed", "pipeline": "p", "errors": ["the disk is\nfull", {"message": "shard 3 is missing"}]}
    )
    assert text == "pipeline p · failed\n\nErrors: 2\n  the disk is full\n  shard 3 is missing\n"


def test_many_reasons_and_errors_are_cut_short() -> None:
    rows = [{"id": str(i), "reason": f"reason {i}", "detail": "x"} for i in range(30)]
    text = summary({"quarantine": {"rows": rows, "total": 5000}, "errors": [str(i) for i in range(25)]})
    assert "Quarantined: 5,000 (reasons of the first 30)" in text
    assert "and 18 more reasons" in text
    assert "and 15 more" in text


def test_what_was_filtered_is_listed_by_reason() -> None:
    text = summary(
        {"quarantine": {"rows": [], "total": 0, "filtered": {"snr_db_below_min": 1200, "seconds_above_max": 3}}}
    )
    assert "Filtered: 1,203\n" in text and "  snr_db_below_min   1,200\n" in text and "Quarantined" not in text


@pytest.mark.parametrize("value", [None, {}, []])
def test_empty_and_null_parts_are_left_out(value: Any) -> None:
    names = ("errors", "books", "work", "quarantine", "stages", "scores", "transcripts")
    assert (
        summary({"status": "completed", "pipeline": "p", **dict.fromkeys(names, value)}) == "pipeline p · completed\n"
    )


@given(st.lists(st.lists(st.text(alphabet="a한-1 ", max_size=8), min_size=3, max_size=3), min_size=1, max_size=6))
def test_right_columns_end_together(rows: list[list[str]]) -> None:
    marked = [[*row, "|"] for row in rows]
    assert len({width(line) for line in table(marked, right=(1,))}) == 1


@given(st.text(max_size=60), st.integers(1, 40))
def test_cut_text_is_one_line_within_its_width(text: str, most: int) -> None:
    found = cut(text, most)
    assert width(found) <= most
    assert "\n" not in found


def test_the_workers_time_is_told_by_step_the_largest_first() -> None:
    steps = {"read": 1.0, "decode": 6.0, "write": 3.0, "wait": 0.0}
    lines = summary({"stages": [{"name": "prepare", "seconds": 5.0, "worker_seconds": steps}]}).splitlines()
    assert "  workers' time in prepare: decode 60 %, write 30 %, read 10 %" in lines
    assert "workers' time" not in summary({"stages": [{"name": "prepare", "seconds": 5.0, "worker_seconds": {}}]})
