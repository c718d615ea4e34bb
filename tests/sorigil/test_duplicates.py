"""Near-duplicates and groups: against brute force over all pairs, and at the edges of what counts as the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil import duplicates
from sorigil.audio.acoustic import BITS
from sorigil.duplicates import Fingerprints, linked, near_pairs


def prints(items: list[dict[int, int]], seconds: list[float] | None = None) -> Fingerprints:
    """From the codes of each item by frame."""
    flat = [code << 32 | frame for item in items for frame, code in sorted(item.items())]
    return Fingerprints(
        entries=np.array(flat, np.uint64),
        starts=np.cumsum([0, *map(len, items)]),
        seconds=np.array(seconds or [1.0] * len(items)),
    )


def is_pair(one: dict[int, int], other: dict[int, int], shift: int) -> bool:
    """The rule, written out: frames of `one` against those of `other` that stand `shift` later."""
    both = [(code, other[frame + shift]) for frame, code in one.items() if frame + shift in other]
    if len(both) < max(6, 0.2 * min(len(one), len(other))):
        return False
    return sum((a ^ b).bit_count() for a, b in both) <= 0.15 * BITS * (len(both) - 5)


def brute(items: list[dict[int, int]]) -> list[list[int]]:
    found = []
    for first in range(len(items)):
        for second in range(first + 1, len(items)):
            one, other = items[first], items[second]
            shifts = {later - frame for frame, code in one.items() for later, match in other.items() if code == match}
            if any(abs(shift) <= 200 and is_pair(one, other, shift) for shift in shifts):
                found.append([first, second])
    return found


_code = st.sampled_from([0, 1, 3, 7, 1 << 19, (1 << 20) - 1, 0b1010101010])
_item = st.dictionaries(st.integers(0, 30), _code, max_size=14)


@settings(max_examples=100, deadline=None)
@given(items=st.lists(_item, max_size=6))
def test_pairs_are_those_of_brute_force(items: list[dict[int, int]]) -> None:
    assert near_pairs(prints(items)).tolist() == brute(items)


def random_item(rng: Any, frames: int = 64) -> dict[int, int]:
    places = np.sort(rng.choice(500, frames, replace=False))
    return dict(zip(places.tolist(), rng.integers(0, 1 << BITS, frames).tolist(), strict=True))


def test_twins_among_many_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    items = [random_item(rng) for _ in range(300)]
    items += [
        {frame + 7: code ^ (1 << int(rng.integers(BITS)) if rng.random() < 0.3 else 0) for frame, code in item.items()}
        for item in items[:50]
    ]
    assert near_pairs(prints(items)).tolist() == [[number, number + 300] for number in range(50)]


def test_a_shift_or_a_length_beyond_two_seconds_is_no_twin() -> None:
    item = random_item(np.random.default_rng(1))
    for later, longer, twins in ((200, 0.0, 1), (201, 0.0, 0), (0, 1.99, 1), (0, 2.01, 0)):
        moved = {frame + later: code for frame, code in item.items()}
        assert len(near_pairs(prints([item, moved], [5.0, 5.0 + longer]))) == twins


def test_common_codes_are_left_out_once_there_are_too_many_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What everybody has says nothing: the rarest codes are looked at first, and they find the twins."""
    rng = np.random.default_rng(2)
    items = [random_item(rng) | dict.fromkeys(range(1000, 1010), 5) for _ in range(40)]
    items.append(dict(items[3]))
    monkeypatch.setattr(duplicates, "_MOST_HITS", 200)
    seen = np.concatenate(list(duplicates._hits(prints(items), np.repeat(np.arange(41), [len(i) for i in items]))))
    assert len(seen) <= 200
    assert near_pairs(prints(items)).tolist() == [[3, 40]]


def test_no_items_and_empty_fingerprints() -> None:
    assert near_pairs(prints([])).shape == (0, 2)
    assert near_pairs(prints([{}, {}])).shape == (0, 2)


@given(count=st.integers(1, 30), data=st.data())
def test_groups_are_what_links_reach(count: int, data: Any) -> None:
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20))
    groups = linked(count, np.array(pairs, np.int64).reshape(-1, 2))
    sets = [{number} for number in range(count)]
    for one, other in pairs:
        merged = sets[one] | sets[other]
        for member in merged:
            sets[member] = merged
    for one in range(count):
        assert {other for other in range(count) if groups[other] == groups[one]} == sets[one]
