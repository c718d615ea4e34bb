"""Tables: the same cells on a terminal and in Markdown, numbers to the right, differences in points with their sign."""

from __future__ import annotations

import pytest

from sorigil.report import numbers
from sorigil.report.comparison_tables import metric_table, paired_table
from sorigil.report.error_tables import slice_table
from sorigil.report.tables import Cell, chance, in_markdown, in_terminal, table

PETS = table(
    {"pet": [Cell(text="cat"), Cell(text="a|b")], "times": [Cell(text="9"), Cell(text="1,000", sort=1000)]},
    words=("pet",),
)
SLICE = {"column": "lang", "value": "ko", "utterances": 1200, "groups": 4, "q": None}


def test_a_table_is_set_for_a_terminal_and_in_markdown() -> None:
    assert in_terminal(PETS) == ["  pet  times", "  cat      9", "  a|b  1,000"]
    assert in_terminal(PETS, 1, "pets", title="an animal") == [
        "  an animal  times",
        "  cat            9",
        "  and 1 more pets",
    ]
    assert in_markdown(PETS.behind("who", ["ann", "ben"])).splitlines()[2:] == [
        "| ann | cat | 9 |",
        "| ben | a\\|b | 1,000 |",
    ]
    assert PETS.without("pet").heads == ("times",) and PETS.without("times").rows[0] == (Cell(text="cat"),)


def test_speakers_are_a_column_where_they_are_known() -> None:
    row = {**SLICE, "rate": 0.1, "interval": (0.05, 0.2), "rest": None, "share_of_errors": 0.5, "worse": True}
    one = slice_table([row])
    assert dict(zip(one.heads, (cell.text for cell in one.rows[0]), strict=True)) == {
        "column": "lang", "value": "ko", "utterances": "1,200", "speakers": "4", "rate": "10.00 %", "95 %": "5.00 – 20.00 %",
        "rest": "–", "q": "–", "of all errors": "50 %",
    }  # fmt: skip
    assert one.rows[0][5].reach == (0.25, 0.5, 1.0) and one.rows[0][1].mark == "worse"
    assert "speakers" not in slice_table([{**row, "groups": None}]).heads


def test_intervals_by_speaker_are_a_column_where_any_is_known() -> None:
    row = {"a": 0.5, "b": 0.25, "delta": -0.25, "interval": (-0.4, -0.1), "interval_by_speaker": None, "p": 0.01}
    row |= {"test": {"p_exact": 0.004}, "better": "b"}
    alone = metric_table({"wer": row})
    assert alone.heads == ("metric", "A", "B", "B − A, points", "95 % by utterance", "p", "shown")
    assert [cell.text for cell in alone.rows[0]][-2:] == ["0.004", "B is better"]
    both = metric_table({"wer": row, "cer": {**row, "interval_by_speaker": (-0.5, 0.0)}})
    assert [cells[5].text for cells in both.rows] == ["–", "−50.00 to 0.00"]


def test_differences_of_shares_are_in_points() -> None:
    row = {**SLICE, "a": 0.5, "b": 0.25, "delta": -0.25, "interval": (-0.4, 0.001), "change": "better"}
    heads = paired_table("wer", [row]).heads
    assert heads[6] == "B − A, points" and paired_table("tag_errors", [row]).heads[6] == "B − A"
    assert [cell.text for cell in paired_table("wer", [row]).rows[0]][6:8] == ["−25.00", "−40.00 to +0.10"]
    assert [cell.text for cell in paired_table("tag_errors", [row]).rows[0]][6] == "−0.25"


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0.00"), (-1e-9, "0.00"), (0.0255, "+2.55"), (-1.0, "−100.00"), (None, "–")]
)
def test_a_difference_has_a_sign_unless_it_is_none(value: float | None, said: str) -> None:
    assert numbers.difference("wer", value) == said


@pytest.mark.parametrize(("p", "said"), [(0.0291, "0.029"), (1.0, "1"), (1e-12, "< 0.0001"), (None, "–")])
def test_a_chance_has_two_digits(p: float | None, said: str) -> None:
    assert chance(p).text == said
