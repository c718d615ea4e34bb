"""Confusions add up to the error counts, jamo are told by their place, and doubted references are the planted ones."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.metrics.confusions import ClassScore, Unit, class_scores, confusions, has_hangul, tag_scores
from sorigil.metrics.errors import character_error_columns, word_error_columns
from sorigil.metrics.suspects import Answers, suspects

UNITS: tuple[Unit, ...] = ("words", "characters", "jamo")
TEXTS = st.lists(st.tuples(st.text("ab ", max_size=12), st.text("abc ", max_size=12)), max_size=8)


@given(TEXTS)
def test_the_pairs_add_up_to_the_errors(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = [one for one, _ in texts], [other for _, other in texts]
    ids = [str(place) for place in range(len(texts))]
    for unit, counted in (
        ("words", word_error_columns(references, hypotheses)),
        ("characters", character_error_columns(references, hypotheses, spaces=False)),
    ):
        rows = confusions(ids, references, hypotheses, unit)  # type: ignore[arg-type]
        sums = counted.sum()
        assert sum(row.times for row in rows if row.said and row.heard) == sums.substitutions
        assert sum(row.times for row in rows if row.heard is None) == sums.deletions
        assert sum(row.times for row in rows if row.said is None) == sums.insertions


def test_a_pair_has_how_often_it_was_said_and_where() -> None:
    ids = ["u1", "u2", "u3", "u4", "u5"]
    said = ["the cat sat", "a cat", "cat", "cat cat", "the end"]
    heard = ["the cap sat", "cat", "cap", "cap cap", "the the end"]
    first, *rest = confusions(ids, said, heard)
    assert (first.said, first.heard, first.times, first.of) == ("cat", "cap", 4, 5)
    assert first.examples == ("u1", "u3", "u4")
    assert {(row.said, row.heard, row.times, row.of) for row in rest} == {("a", None, 1, 1), (None, "the", 1, None)}


def test_jamo_are_letters_by_their_place() -> None:
    assert has_hangul(["abc", "밤"])
    assert not has_hangul(["abc", "ㅂ"])
    (row,) = confusions(["u"], ["밤 낮"], ["반 낮"], "jamo")
    assert (row.said, row.heard, row.times, row.of) == ("-ㅁ", "-ㄴ", 1, 1)
    (row,) = confusions(["u"], ["밤"], ["맘"], "jamo")
    assert (row.said, row.heard) == ("ㅂ", "ㅁ")
    (row,) = confusions(["u"], ["가"], ["각"], "jamo")
    assert (row.said, row.heard, row.of) == (None, "-ㄱ", None)
    loose = unicodedata.normalize("NFD", "밤")
    assert confusions(["u"], ["밤"], [loose], "jamo") == []


def test_korean_is_shown_in_syllables_and_what_is_no_hangul_only_once() -> None:
    said, heard = unicodedata.normalize("NFD", "꽃이 핀 cat 밭"), "꼬치 핀 cap 받"
    pairs = {unit: {(row.said, row.heard) for row in confusions(["u"], [said], [heard], unit)} for unit in UNITS}
    assert pairs["words"] == {("꽃이", "꼬치"), ("cat", "cap"), ("밭", "받")}
    assert pairs["characters"] == {("꽃", "꼬"), ("이", "치"), ("t", "p"), ("밭", "받")}
    assert pairs["jamo"] == {("-ㅊ", "ㅊ"), ("ㅇ", None), ("-ㅌ", "-ㄷ")}


def test_a_class_is_told_what_it_is_taken_for() -> None:
    rows = class_scores(["a", "a", "a", "b", "c"], ["b", "b", "a", "b", "c"])
    assert [row.label for row in rows] == ["a", "b", "c"]
    worst, second, best = rows
    assert (worst.items, worst.said, worst.recall, worst.precision, worst.f1) == (3, 1, pytest.approx(1 / 3), 1.0, 0.5)
    assert (worst.taken_for, worst.times) == ("b", 2)
    assert (second.precision, second.taken_for) == (pytest.approx(1 / 3), None)
    assert (best.f1, best.taken_for, best.times) == (1.0, None, 0)


def corpus(seed: int = 0) -> tuple[list[str], list[str], list[int]]:
    """(what was said, references of which some are wrong, the rows of these)."""
    choose = random.Random(seed)
    said = [" ".join(choose.choices(["one", "two", "three", "four", "five", "six", "seven"], k=5)) for _ in range(300)]
    wrong = sorted(choose.sample(range(300), 30))
    references = list(said)
    for row in wrong:
        references[row] = references[row].replace(references[row].split()[2], "zero")
    return said, references, wrong


def model(name: str, said: list[str], seed: int) -> Answers:
    """A model that errs in a word of every fourth utterance, and then is less sure."""
    choose = random.Random(seed)
    heard, sure = [], []
    for text in said:
        words = text.split()
        errs = choose.random() < 0.25
        if errs:
            words[choose.randrange(5)] = choose.choice(["nine", "ten", "eleven", "twelve"])
        heard.append(" ".join(words))
        sure.append(choose.uniform(0.3, 0.7) if errs else choose.uniform(0.85, 0.95))
    return Answers(model=name, hypotheses=heard, confidences_N=np.array(sure))


def test_wrong_references_are_found() -> None:
    said, references, wrong = corpus()
    found = suspects(references, [model(name, said, seed) for seed, name in enumerate("abc", start=1)])
    rows = {each.row for each in found}
    assert rows <= set(wrong)
    assert len(rows) >= 10  # of 30: two of the three models must be right and sure
    for each in found:
        assert each.agreement == 1.0
        assert {word for word, _ in each.words} == {"zero"}
        assert len(each.doubted_by) >= 2
        assert all(each.heard[place] == said[each.row] for place in each.doubted_by)


def test_one_model_is_believed_where_it_is_sure() -> None:
    said, references, wrong = corpus(1)
    found = suspects(references, [model("a", said, 5)])
    assert found
    assert {each.row for each in found} <= set(wrong)


def test_a_model_that_has_nothing_right_is_never_believed() -> None:
    answers = Answers(model="a", hypotheses=["x", "y"], confidences_N=np.array([0.99, 0.99]))
    assert suspects(["a", "b"], [answers]) == []


def test_a_poor_model_has_no_veto() -> None:
    said, references, wrong = corpus()
    good = [model(name, said, seed) for seed, name in enumerate("abc", start=1)]
    poor = Answers(model="d", hypotheses=["ten ten"] * len(said), confidences_N=np.full(len(said), 0.99))
    assert [each.row for each in suspects(references, [*good, poor])]
    assert {each.row for each in suspects(references, [*good, poor])} <= set(wrong)
    assert suspects(references, [good[0], poor]) == []  # one of two is no majority


def test_labels_are_compared_whole() -> None:
    sure = np.full(4, 0.9)
    one = Answers(model="a", hypotheses=["big dog", "cat", "cat", "cat"], confidences_N=sure)
    other = Answers(model="b", hypotheses=["big dog", "cow", "cat", "cat"], confidences_N=sure)
    (found,) = suspects(["big cat", "dog", "cat", "cat"], [one, other], whole=True)
    assert (found.row, found.words, found.agreement, found.confidence) == (0, (("big cat", "big dog"),), 1.0, 0.9)


def test_columns_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="a: 1 answers and 2 confidences for 2 references"):
        suspects(["x", "y"], [Answers(model="a", hypotheses=["x"], confidences_N=np.ones(2))])
    with pytest.raises(ValueError, match="no model"):
        suspects(["x"], [])


def test_of_tags_what_was_said_too_much_stands_for_what_was_missed() -> None:
    there = [{"dog", "rain"}, {"dog"}, {"cat"}, set(), {"rain"}]
    said = [{"cat", "rain"}, {"cat", "owl"}, {"cat"}, {"owl"}, set()]
    rows = {row.label: row for row in tag_scores(there, said)}
    assert list(rows) == ["dog", "owl", "cat", "rain"]  # F1 0, 0, 1/2, 2/3
    dog = ClassScore(label="dog", items=2, said=0, precision=0, recall=0, f1=0, taken_for="cat", times=2)
    assert rows["dog"] == dog and rows["owl"].items == 0 and rows["owl"].taken_for is None
    assert (rows["rain"].recall, rows["rain"].precision, rows["rain"].taken_for) == (0.5, 1, None)
    wrong = sum(len(one ^ other) for one, other in zip(there, said, strict=True))
    assert wrong == sum(row.items + row.said - 2 * round(row.recall * row.items) for row in rows.values())
    assert tag_scores([set()], [set()]) == [] == tag_scores([], [])
