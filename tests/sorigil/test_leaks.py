"""Leaks: what is on two sides, against sets; which sides count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.leaks import leak

_rows = st.lists(st.tuples(st.integers(-1, 4), st.sampled_from(["train", "dev", "test", "unused"])), max_size=30)


@given(rows=_rows, kind=st.sampled_from(["duplicates", "recordings", "speakers"]))
def test_leaks_are_groups_with_rows_on_several_sides(rows: list[tuple[int, str]], kind: str) -> None:
    sides = np.array([side for _, side in rows], dtype="<U6")
    found = leak(kind, np.array([group for group, _ in rows], np.int64), sides, [f"i{row}" for row in range(len(rows))])
    seen: dict[int, list[str]] = {}
    for group, side in rows:
        if group >= 0 and side != "unused":
            seen.setdefault(group, []).append("train" if kind == "speakers" and side == "dev" else side)
    wide = [group for group in sorted(seen) if len(set(seen[group])) > 1]
    assert (found.groups if found else 0) == len(wide)
    if found:
        assert found.items == sum(side != "train" for group in wide for side in seen[group])
        assert len(found.examples) == min(3, len(wide))


def test_an_example_names_a_row_of_each_side() -> None:
    found = leak("duplicates", np.array([7, 7, 7, 7]), np.array(["test", "train", "train", "dev"]), list("abcd"))
    assert found is not None and found.examples == ("b (train) and d (dev) and a (test)",)


@pytest.mark.parametrize("sides", [["train", "train"], ["unused", "test"], []])
def test_one_side_is_no_leak(sides: list[str]) -> None:
    assert leak("recordings", np.zeros(len(sides), np.int64), np.array(sides, dtype="<U6"), sides) is None
