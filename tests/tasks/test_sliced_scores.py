"""Who is taken for an independent witness of a score's slices: speakers, else utterances that several models answered to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from sorigil.metrics.slice_columns import categories
from tasks.slices import sliced, speakers_of


def table(speakers: Sequence[str | None], keys: Sequence[str]) -> pa.Table:
    """Of 40 rows the first ten are wrong."""
    errors = np.repeat([1, 0], [10, 30])
    columns = {"key": keys, "speaker": speakers, "errors": errors, "seconds": np.ones(40)}
    return pa.table({**columns, "reference_compared": ["a"] * 40})


OWN = [f"k{row}" for row in range(40)]


@pytest.mark.parametrize(
    ("speakers", "known"),
    [(["ann", "ben"] * 20, True), (["ann"] * 40, False), ([None, *["ann", "ben"] * 19, "ann"], False), ([""] * 40, False)],
)  # fmt: skip
def test_speakers_count_where_all_are_known_and_there_are_several(speakers: list[str | None], known: bool) -> None:
    room = categories("room", ["hall"] * 20 + ["studio"] * 20)
    found = sliced(table(speakers, OWN), "classification", [room])
    assert (speakers_of(table(speakers, OWN)) is not None) is known
    assert [row.groups for row in found] == ([2, 2] if known else [None, None])


def test_answers_to_one_utterance_are_no_independent_witnesses() -> None:
    """Ten seeds got one utterance wrong, and two others right."""
    room = categories("room", ["hall"] * 20 + ["studio"] * 20)
    nobody: list[str | None] = [None] * 40
    alone = sliced(table(nobody, OWN), "classification", [room])
    assert [row.value for row in alone if row.worse] == ["hall"]
    together = sliced(table(nobody, [f"k{row // 10}" for row in range(40)]), "classification", [room])
    assert [(row.groups, row.worse) for row in together] == [(None, False)] * 2
