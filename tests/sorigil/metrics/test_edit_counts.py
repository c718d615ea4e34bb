"""The compiled count of many pairs: equal, pair by pair, to rapidfuzz, which counts few of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from sorigil.metrics import errors
from sorigil.metrics.edit_counts import MOST_UNITS, UNCOUNTED, _white_space, character_counts, word_counts
from sorigil.metrics.errors import MANY_COLD, character_error_columns, word_error_columns

TEXTS = st.text("ab가\t  \u00a0\u3000é\U0001f600\ud800", max_size=150)


def by_rapidfuzz(reference: str, hypothesis: str, units: Callable[[str], list[str]]) -> list[int]:
    said, heard = units(reference), units(hypothesis)
    tags = [edit.tag for edit in Levenshtein.editops(said, heard)]
    replaced, dropped, added = (tags.count(tag) for tag in ("replace", "delete", "insert"))
    return [len(said) - replaced - dropped, replaced, dropped, added]


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), max_size=5), spaces=st.booleans())
def test_every_pair_equals_rapidfuzz(pairs: list[tuple[str, str]], spaces: bool) -> None:
    references, hypotheses = [text for text, _ in pairs], [text for _, text in pairs]
    characters = lambda text: list((" " if spaces else "").join(text.split()))  # noqa: E731
    assert word_counts(references, hypotheses).tolist() == [by_rapidfuzz(*pair, str.split) for pair in pairs]
    found = character_counts(references, hypotheses, spaces).tolist()
    assert found == [by_rapidfuzz(*pair, characters) for pair in pairs]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 6), most=st.sampled_from([64, 65, 129, 700]))
def test_long_pairs_equal_rapidfuzz(seed: int, symbols: int, most: int) -> None:
    """Of several blocks of 64, with whatever carries from one to the next, and of more or fewer on the other side."""
    generator = np.random.default_rng(seed)
    references, hypotheses = (
        ["".join(generator.choice(list("abcdef"[:symbols]), size)) for size in generator.integers(0, most, 4)]
        for _ in range(2)
    )
    expected = [by_rapidfuzz(*pair, list) for pair in zip(references, hypotheses, strict=True)]
    assert character_counts(references, hypotheses, True).tolist() == expected


def test_the_longest_pair_equals_rapidfuzz_and_a_longer_one_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    said, heard = ("".join(generator.choice(list("ab"), MOST_UNITS + 1)) for _ in range(2))
    said, heard = f"a{said[1:-1]}a", f"b{heard[1:-1]}b"  # nothing to leave out at the ends
    longest = said[:-2] + "a", heard[:-2] + "b"
    references, hypotheses = [longest[0], said, "ab"], [longest[1], heard, "b"]
    found = character_counts(references, hypotheses, True)
    assert found[0].tolist() == by_rapidfuzz(*longest, list)
    assert found[1].tolist() == [UNCOUNTED] * 4
    assert found[2].tolist() == [1, 0, 1, 0]
    few = character_error_columns(references, hypotheses, spaces=True)
    monkeypatch.setattr(errors, "MANY", 1)
    many = character_error_columns(references, hypotheses, spaces=True)
    assert [each.tolist() for each in many.as_dict().values()] == [each.tolist() for each in few.as_dict().values()]
    assert many.sum().total == 2 * MOST_UNITS + 3


def test_many_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    references, hypotheses = ["a b", "", "나는 학교에", "x"] * 3, ["a c d", "a", "나는", ""] * 3
    few = word_error_columns(references, hypotheses)
    monkeypatch.setattr(errors, "MANY", 1)
    monkeypatch.setattr(errors, "AT_ONCE", 5)
    many = word_error_columns(tuple(references), hypotheses)
    assert [each.tolist() for each in many.as_dict().values()] == [each.tolist() for each in few.as_dict().values()]


def test_white_space_is_pythons() -> None:
    assert np.flatnonzero(_white_space()).tolist() == [i for i in range(sys.maxunicode + 1) if chr(i).isspace()]


@pytest.mark.parametrize("pairs, loaded", [(MANY_COLD - 1, "False"), (MANY_COLD, "True")])
def test_only_as_many_pairs_as_save_it_wait_for_the_compiler(pairs: int, loaded: str) -> None:
    code = (
        f"from sorigil.metrics import METRICS as m; m['wer'].compute(['a'] * {pairs}, ['b'] * {pairs}); "
        "import sys; print('numba' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        == loaded
    )
