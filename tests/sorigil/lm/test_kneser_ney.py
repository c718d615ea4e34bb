"""Modified Kneser-Ney against its definition written out with dictionaries, and probabilities that sum to one."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.lm.kneser_ney import FALLBACK, learn
from sorigil.lm.ngram import NGramModel

TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=8).map(tuple), min_size=1, max_size=12).filter(any)


def by_definition(texts: list[tuple[str, ...]], order: int) -> Callable[[tuple[str, ...], str], float]:
    """p(unit | context) from Chen and Goodman's formulas, one n-gram at a time."""
    marked = [("<s>", *text, "</s>") for text in texts]
    order = min(order, max(map(len, marked)))
    raw = [Counter(t[i : i + n] for t in marked for i in range(len(t) - n + 1)) for n in range(order + 1)]
    counts: list[dict[tuple[str, ...], int]] = [{}]
    for n in range(1, order + 1):
        before: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for gram in raw[n + 1] if n < order else ():
            before[gram[1:]].add(gram[0])
        as_it_is = {gram for gram in raw[n] if n == order or gram[0] == "<s>"}
        counts.append({gram: raw[n][gram] if gram in as_it_is else len(before[gram]) for gram in raw[n]})
    counts[1].pop(("<s>",))
    units = {unit for text in marked for unit in text} - {"<s>"} | {"<unk>"}

    def discounts(n: int) -> tuple[float, ...]:
        of = Counter(counts[n].values())
        if not (of[1] and of[2] and of[3]):
            return FALLBACK
        y = of[1] / (of[1] + 2 * of[2])
        found = 1 - 2 * y * of[2] / of[1], 2 - 3 * y * of[3] / of[2], 3 - 4 * y * of[4] / of[3]
        return found if all(0 < d <= k for k, d in enumerate(found, start=1)) else FALLBACK

    def probability(context: tuple[str, ...], unit: str) -> float:
        context = context[max(0, len(context) - order + 1) :]
        lower = probability(context[1:], unit) if context else 1 / len(units)
        following = {gram: count for gram, count in counts[len(context) + 1].items() if gram[:-1] == context}
        if not following:
            return lower
        take = discounts(len(context) + 1)
        total = sum(following.values())
        count = following.get((*context, unit), 0)
        own = count - take[min(count, 3) - 1] if count else 0.0
        return (own + sum(take[min(c, 3) - 1] for c in following.values()) * lower) / total

    return probability


def contexts_of(texts: list[tuple[str, ...]], order: int) -> set[tuple[str, ...]]:
    marked = [("<s>", *text) for text in texts]
    seen = {text[max(0, end - n) : end] for text in marked for end in range(1, len(text) + 1) for n in range(1, order)}
    return {*seen, ("<s>", "never"), ("never", "seen", "a")}


def conditional(model: NGramModel, context: tuple[str, ...], unit: str) -> float:
    """p(unit | context) by walking the arrays as a decoder does."""
    node, backed_off = 0, 0.0
    for each in (*context, unit):
        (target,) = model.ids([each])
        backed_off = 0.0
        while (child := int(model.children(np.array([node]), np.array([target]))[0])) == -1:
            backed_off += model.backoff_N[node]
            node = int(model.suffix_N[node])
        probability = backed_off + model.log_prob_N[child]
        node = child if model.node_lengths()[child] < model.order else int(model.suffix_N[child])
    return math.exp(probability)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, order=st.integers(1, 4))
def test_probabilities_are_those_of_the_definition(texts: list[tuple[str, ...]], order: int) -> None:
    expected = by_definition(texts, order)
    model = learn(texts, order)
    for text, found in zip(texts, model.log_probs(texts), strict=True):
        marked = ("<s>", *text, "</s>")
        assert len(found) == len(text) + 1
        for i, log_prob in enumerate(found, start=1):
            assert math.exp(log_prob) == pytest.approx(expected(marked[:i], marked[i]), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS, order=st.integers(1, 4))
def test_after_any_context_probabilities_sum_to_one(texts: list[tuple[str, ...]], order: int) -> None:
    model = learn(texts, order)
    expected = by_definition(texts, order)
    for context in contexts_of(texts, order):
        found = {unit: conditional(model, context, unit) for unit in model.units if unit != "<s>"}
        assert sum(found.values()) == pytest.approx(1.0, rel=1e-9)
        for unit, probability in found.items():
            seen = tuple(each if each in model.units else "<unk>" for each in context)
            assert probability == pytest.approx(expected(seen, unit), rel=1e-9)


def test_a_bigram_model_by_hand() -> None:
    """`a b`, `a`: too few for discounts of their own, so these are 0.5, 1, 1.5.

    Units by what stands before them: a 1 (<s>), b 1 (a), </s> 2 (b, a); together 4. Their discounts 0.5 + 0.5 + 1 = 2 go
    to a, b, </s> and <unk> alike, 2/4 · 1/4 = 1/8 each: a 0.5/4 + 1/8 = 1/4, b 1/4, </s> (2 - 1)/4 + 1/8 = 3/8, <unk> 1/8.
    After a: b once, </s> once; p(b | a) = 0.5/2 + 1/2 · 1/4 = 3/8. After <s>: a twice; p(a | <s>) = 1/2 + 1/2 · 1/4 = 5/8.
    """
    model = learn([("a", "b"), ("a",)], 2)
    assert [math.exp(each) for each in model.log_probs([("a", "b")])[0]] == pytest.approx(
        [5 / 8, 3 / 8, 1 / 2 + 3 / 16]
    )
    assert math.exp(model.log_probs([("c",)])[0][0]) == pytest.approx(1 / 2 * 1 / 8)


def test_many_texts_have_discounts_of_their_own() -> None:
    rng = np.random.default_rng(0)
    texts = [tuple(f"w{x}" for x in rng.zipf(1.5, size=6) % 40) for _ in range(300)]
    expected = by_definition(texts, 3)
    found = learn(texts, 3).log_probs(texts[:20])
    for text, log_probs in zip(texts, found, strict=False):
        marked = ("<s>", *text, "</s>")
        for i, log_prob in enumerate(log_probs, start=1):
            assert math.exp(log_prob) == pytest.approx(expected(marked[:i], marked[i]), rel=1e-9)


@given(texts=TEXTS, seed=st.randoms())
def test_the_order_of_the_texts_does_not_matter(texts: list[tuple[str, ...]], seed: object) -> None:
    shuffled = list(texts)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = learn(texts, 3), learn(shuffled, 3)
    assert one.units == other.units
    assert np.array_equal(one.log_prob_N, other.log_prob_N) and np.array_equal(one.backoff_N, other.backoff_N)


def test_perplexity_counts_ends_and_what_is_unknown() -> None:
    model = learn([("a",)], 1)  # a, </s> and <unk>: 0.5/2 + 1/2 · 1/3, twice, and 1/6
    assert model.perplexity([("a",)]).value == pytest.approx(12 / 5)
    found = model.perplexity([("a",), ("zebra", "a"), ()])
    assert (found.units, found.unknown) == (6, 1)
    assert found.log_prob == pytest.approx(5 * math.log(5 / 12) + math.log(1 / 6))
    assert math.isnan(model.perplexity([]).value)


def test_longer_orders_are_less_surprised_by_what_they_learned() -> None:
    texts = [tuple(text) for text in itertools.repeat("abcabd", 4)] + [tuple("dba")]
    surprises = [learn(texts, order).perplexity(texts).value for order in (1, 2, 3)]
    assert surprises == sorted(surprises, reverse=True) and surprises[0] > 1.5 * surprises[-1]


def test_what_cannot_be_learned_from_is_told() -> None:
    for texts in ([], [()]):
        with pytest.raises(RequestError, match="no text holds a single unit"):
            learn(texts, 3)
    with pytest.raises(RequestError, match="'<s>', which is a mark"):
        learn([("a", "<s>")], 2)
    with pytest.raises(ValueError, match="order is 0"):
        learn([("a",)], 0)
