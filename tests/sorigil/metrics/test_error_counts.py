"""Word and character errors against brute force and jiwer, and the edges that the README quotes."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.metrics.align import align, align_words, columns, split_characters
from sorigil.metrics.errors import (
    ErrorCounts,
    character_error_columns,
    character_errors,
    respace,
    spaced_word_error_columns,
    spaced_word_errors,
    word_error_columns,
    word_errors,
)

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "가", "나다", "c"]), max_size=8).map(" ".join)
PAIRS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6)


def distance(reference: list[str], hypothesis: list[str]) -> int:
    """Levenshtein's dynamic programme, as in the textbook."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        previous, row = row, [i]
        for j, got in enumerate(hypothesis, start=1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (wanted != got)))
    return row[-1]


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS)
def test_words_equal_brute_force(reference: str, hypothesis: str) -> None:
    counts = word_errors(reference, hypothesis)
    assert counts.errors == distance(reference.split(), hypothesis.split())
    assert counts.total == len(reference.split())
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis.split())


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS, spaces=st.booleans())
def test_characters_equal_brute_force(reference: str, hypothesis: str, spaces: bool) -> None:
    counts = character_errors(reference, hypothesis, spaces)
    wanted, got = (text if spaces else text.replace(" ", "") for text in (reference, hypothesis))
    assert counts.errors == distance(list(wanted), list(got))
    assert counts.total == len(wanted)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_a_corpus_equals_jiwer(pairs: list[tuple[str, str]]) -> None:
    jiwer = pytest.importorskip("jiwer")
    references, hypotheses = [list(column) for column in zip(*pairs, strict=True)]
    ours, theirs = word_error_columns(references, hypotheses).sum(), jiwer.process_words(references, hypotheses)
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.total == theirs.substitutions + theirs.deletions + theirs.hits
    assert ours.rate == pytest.approx(theirs.wer)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_columns_are_their_rows(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [list(column) for column in zip(*pairs, strict=True)]
    columns = character_error_columns(references, hypotheses, spaces=True)
    rows = [character_errors(r, h, True) for r, h in pairs]
    assert columns.errors.tolist() == [row.errors for row in rows]
    assert columns.totals.tolist() == [row.total for row in rows]
    assert columns.sum() == sum(rows, ErrorCounts())


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS, spaces=st.booleans())
def test_the_picture_agrees_with_the_counts(reference: str, hypothesis: str, spaces: bool) -> None:
    for differences, counts in (
        (align_words(reference, hypothesis), word_errors(reference, hypothesis)),
        (
            align(*(split_characters(text, spaces) for text in (reference, hypothesis))),
            character_errors(reference, hypothesis, spaces),
        ),
    ):
        sizes = {"equal": 0, "substitute": 0, "delete": 0, "insert": 0}
        for part in differences:
            sizes[part.op] += max(len(part.reference), len(part.hypothesis))
            assert (part.reference == part.hypothesis) == (part.op == "equal")
        assert sizes == {
            "equal": counts.hits,
            "substitute": counts.substitutions,
            "delete": counts.deletions,
            "insert": counts.insertions,
        }
    parts = align_words(reference, hypothesis)
    assert [w for part in parts for w in part.reference] == reference.split()
    assert [w for part in parts for w in part.hypothesis] == hypothesis.split()


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [("", "", 0.0), ("", "a b", 2.0), ("a b", "", 1.0), ("a", "b c d", 3.0), ("a b c d", "a x c d", 0.25)],
)
def test_edges(reference: str, hypothesis: str, rate: float) -> None:
    assert word_errors(reference, hypothesis).rate == rate
    assert math.isfinite(character_errors(reference, hypothesis, spaces=False).rate)


def test_insertions_over_an_empty_reference_count_in_the_corpus() -> None:
    counts = word_error_columns(["", "a b c d"], ["x", "a b c d"]).sum()
    assert counts == ErrorCounts(hits=4, insertions=1)
    assert counts.rate == 0.25


def test_an_empty_corpus_has_no_errors() -> None:
    assert word_error_columns([], []).sum() == ErrorCounts()


def test_ties_are_broken_the_same_way_for_ever() -> None:
    assert word_errors("a b c", "b x") == ErrorCounts(hits=1, substitutions=1, deletions=1)
    assert word_errors("a b", "b a") == ErrorCounts(hits=1, deletions=1, insertions=1)
    assert word_errors("the cat sat", "cat the sat down") == ErrorCounts(hits=1, substitutions=2, insertions=1)


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="2 references come with 1 hypotheses"):
        word_error_columns(["a", "b"], ["a"])


def test_composition_is_no_error() -> None:
    text = "한국 말 café"
    assert word_errors(text, unicodedata.normalize("NFD", text)).errors == 0
    assert character_errors(unicodedata.normalize("NFD", text), text, spaces=True) == ErrorCounts(hits=9)


def test_korean_spacing() -> None:
    reference, hypothesis = "나는 학교에 간다", "나는학교 에간다"
    assert character_errors(reference, hypothesis, spaces=False).rate == 0.0
    assert character_errors(reference, hypothesis, spaces=True).errors == 3
    assert word_errors(reference, hypothesis).rate == 1.0
    assert spaced_word_errors(reference, hypothesis).rate == 0.0
    assert spaced_word_errors(reference, "나는학고 에간다") == ErrorCounts(hits=2, substitutions=1)


def test_an_insertion_at_a_boundary_follows_the_hypothesis() -> None:
    assert respace("yes no", "yes yes") == "yes yes"
    assert respace("ab cd", "abxcd") == "abx cd"
    assert respace("", "a b") == "ab"


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS)
def test_given_spaces_never_do_harm(reference: str, hypothesis: str) -> None:
    assert spaced_word_errors(reference, hypothesis).errors <= word_errors(reference, hypothesis).errors


@settings(deadline=None)
@given(pairs=st.lists(st.tuples(WORDS, WORDS), max_size=6))
def test_columns_with_given_spaces_are_their_rows(pairs: list[tuple[str, str]]) -> None:
    found = spaced_word_error_columns([reference for reference, _ in pairs], [hypothesis for _, hypothesis in pairs])
    rows = [spaced_word_errors(*pair) for pair in pairs]
    for name, column in found.as_dict().items():
        assert column.tolist() == [getattr(row, name) for row in rows]


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS)
def test_respacing_changes_spaces_only(reference: str, hypothesis: str) -> None:
    spaced = respace(reference, hypothesis)
    assert spaced.replace(" ", "") == hypothesis.replace(" ", "")
    assert spaced == " ".join(spaced.split())


@settings(deadline=None)
@given(text=WORDS, cuts=st.lists(st.integers(0, 20)))
def test_respacing_mends_every_wrong_spacing(text: str, cuts: list[int]) -> None:
    letters = list(text.replace(" ", ""))
    for cut in sorted((c for c in cuts if c <= len(letters)), reverse=True):
        letters.insert(cut, " ")
    assert respace(text, "".join(letters)) == text


# -- agreement with jiwer ------------------------------------------------------------------------------------------------

AWKWARD = ["", "a", "a a a a", "b a b a", "가 나", "가나", "café", "😀 a", "- '", "x" * 300, "a b " * 40]


def random_pairs(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of few words, so that ties abound, each with a hypothesis that is near to it, or another text, or awkward."""
    generator = np.random.default_rng(seed)

    def words(size: int) -> list[str]:
        return [str(word) for word in generator.choice(["a", "b", "c", "the", "cat", "나", "는"], size)]

    references, hypotheses = [], []
    for _ in range(n):
        said = words(int(generator.integers(1, 15)))
        kept = [word for word in said if generator.random() > 0.1]
        near = [word if generator.random() > 0.2 else words(1)[0] for word in kept] + words(
            int(generator.integers(0, 3))
        )
        references.append(" ".join(said))
        hypotheses.append(" ".join((near, words(8), said)[int(generator.choice(3, p=[0.7, 0.2, 0.1]))]))
    return references, hypotheses


def size(part: Any) -> int:
    return max(part.ref_end_idx - part.ref_start_idx, part.hyp_end_idx - part.hyp_start_idx)


def test_ten_thousand_pairs_equal_jiwer() -> None:
    """Hits, substitutions, deletions and insertions of every pair, in words and in characters; WER, CER, MER and WIL of all."""
    jiwer = pytest.importorskip("jiwer")
    references, hypotheses = random_pairs(10_000 - len(AWKWARD) ** 2, seed=7)
    references += [text for text in AWKWARD for _ in AWKWARD]
    hypotheses += AWKWARD * len(AWKWARD)
    for ours, theirs in (
        (word_error_columns(references, hypotheses), jiwer.process_words),
        (character_error_columns(references, hypotheses, spaces=True), jiwer.process_characters),
    ):
        whole = theirs(references, hypotheses)
        counted = [[part.type for part in parts for _ in range(size(part))] for parts in whole.alignments]
        for name, tag in (
            ("hits", "equal"),
            ("substitutions", "substitute"),
            ("deletions", "delete"),
            ("insertions", "insert"),
        ):
            assert ours.as_dict()[name].tolist() == [types.count(tag) for types in counted], name
            assert getattr(ours.sum(), name) == getattr(whole, name)
        assert ours.sum().rate == pytest.approx(whole.cer if hasattr(whole, "cer") else whole.wer)
    words = word_error_columns(references, hypotheses).sum()
    whole = jiwer.process_words(references, hypotheses)
    assert words.match_error_rate == pytest.approx(whole.mer)
    assert words.information_lost == pytest.approx(whole.wil)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "match_error_rate", "information_lost"),
    [
        ("", "", 0.0, 0.0),
        ("", "a b", 1.0, 1.0),
        ("a b", "", 1.0, 1.0),
        ("a b", "a b", 0.0, 0.0),
        ("a b", "a c", 0.5, 0.75),
    ],
)
def test_edges_of_shares(reference: str, hypothesis: str, match_error_rate: float, information_lost: float) -> None:
    counts = word_errors(reference, hypothesis)
    assert (counts.match_error_rate, counts.information_lost) == (match_error_rate, information_lost)


@settings(deadline=None)
@given(pairs=PAIRS)
def test_shares_never_leave_their_range(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [list(column) for column in zip(*pairs, strict=True)]
    counts = word_error_columns(references, hypotheses).sum()
    assert 0 <= counts.match_error_rate <= 1 and 0 <= counts.information_lost <= 1


def test_any_white_space_parts_words() -> None:
    """Where we differ from jiwer, which knows only the space: a no-break space is none to the ear."""
    assert word_errors("a\u00a0b", "a b").errors == 0


def sclite(reference: list[str], hypothesis: list[str]) -> tuple[int, int]:
    """Errors and substitutions at the weights of sclite: 4 for a substitution, 3 for a deletion or an insertion."""
    row = [(3 * j, j, 0) for j in range(len(hypothesis) + 1)]
    for i, wanted in enumerate(reference, start=1):
        previous, row = row, [(3 * i, i, 0)]
        for j, got in enumerate(hypothesis, start=1):
            (up, left, over), same = (previous[j], row[j - 1], previous[j - 1]), wanted == got
            row.append(
                min(
                    (up[0] + 3, up[1] + 1, up[2]),
                    (left[0] + 3, left[1] + 1, left[2]),
                    (over[0] + 4 * (not same), over[1] + (not same), over[2] + (not same)),
                )
            )
    return row[-1][1:]


@settings(deadline=None)
@given(reference=WORDS, hypothesis=WORDS)
def test_sclite_never_counts_fewer_errors(reference: str, hypothesis: str) -> None:
    assert sclite(reference.split(), hypothesis.split())[0] >= word_errors(reference, hypothesis).errors


def test_where_sclite_differs() -> None:
    """What the documents say of it: hits are worth more to it, so errors are shared out otherwise, and rarely one is added."""
    reference, hypothesis = "the cat sat", "cat the sat down"
    assert word_errors(reference, hypothesis).substitutions == 2
    assert sclite(reference.split(), hypothesis.split()) == (3, 0)
    generator = np.random.default_rng(0)
    more = 0
    for _ in range(3000):
        said, heard = (generator.choice(list("abcd"), 10).tolist() for _ in range(2))
        more += sclite(said, heard)[0] > word_errors(" ".join(said), " ".join(heard)).errors
    assert 0 < more < 300


def test_words_stand_under_each_other() -> None:
    assert columns("a b c", "a x b", "b c d") == [
        ("a", "a", None),
        (None, "x", None),
        ("b", "b", "b"),
        ("c", None, "c"),
        (None, None, "d"),
    ]


@settings(deadline=None)
@given(texts=st.lists(WORDS, min_size=2, max_size=4))
def test_columns_lose_no_word_and_show_every_error(texts: list[str]) -> None:
    found = columns(*texts)
    for place, text in enumerate(texts):
        assert [column[place] for column in found if column[place] is not None] == text.split()
        assert sum(column[0] != column[place] for column in found) == word_errors(texts[0], text).errors
