"""The beam with a language model, a lexicon and hot words against the score of every possible text."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattices import brute_force, log_probs, peaks

from sorigil.decoding.beam import best_prefixes
from sorigil.decoding.ctc import decode
from sorigil.decoding.fusion import ALONE, LEAST, LanguageModel, fused, units_of
from sorigil.decoding.spec import BeamSpec
from sorigil.decoding.spelling import NONE, Spelling
from sorigil.fingerprint import digest, fingerprint
from sorigil.lm.kneser_ney import learn
from sorigil.lm.recurrent import RecurrentModel
from sorigil.lm.spec import NGramSpec, RecurrentSpec
from sorigil.text.tokenizer import BpeTokens, SymbolTokens, Tokenizer

TEXTS = ["a ab", "ab b a", "ab a", "b", "b ab ab"]
CHARACTERS = Tokenizer.train(SymbolTokens(), TEXTS)  # blank, space, a, b
WORDS = Tokenizer.train(SymbolTokens(kind="words"), [*TEXTS, "c"])
SUBWORDS = Tokenizer.train(BpeTokens(size=5), TEXTS)
TOKENIZERS = pytest.mark.parametrize("tokenizer", [CHARACTERS, WORDS, SUBWORDS], ids=["characters", "words", "bpe"])


def model_of(spec: BeamSpec, tokenizer: Tokenizer, texts: list[str]) -> LanguageModel | None:
    if isinstance(spec.lm, RecurrentSpec):
        return random_lstm(len(tokenizer), spec.lm.hidden)
    return learn(units_of(spec.lm, tokenizer, texts), spec.lm.order) if isinstance(spec.lm, NGramSpec) else None


def random_lstm(tokens: int, hidden: int) -> RecurrentModel:
    random = np.random.default_rng(5)
    shapes = {"input_VG": (tokens, 4 * hidden), "hidden_HG": (hidden, 4 * hidden), "output_HV": (hidden, tokens)}
    arrays = {name: random.normal(0, 1, size=shape).astype(np.float32) for name, shape in shapes.items()}
    return RecurrentModel(**arrays, bias_V=random.normal(0, 1, size=tokens).astype(np.float32))


def said_of(ids: tuple[int, ...], spec: BeamSpec, tokenizer: Tokenizer, model: LanguageModel | None) -> float:
    """What the docstring of `BeamSpec` says, of one whole text."""
    words = tokenizer.decode(ids).split()
    hot = spec.hot_word_weight * sum(len(word) for word in words if word in spec.hot_words)
    if model is None or spec.lm is None:
        return hot + spec.insertion * len(words)
    if isinstance(model, RecurrentModel):
        return hot + spec.insertion * len(ids) + spec.lm_weight * float(model.log_probs([ids])[0].sum())
    units = words if spec.lm.units == "words" else [tokenizer.tokens[i] for i in ids]
    if spec.lexicon and any(word not in model.units and word not in spec.hot_words for word in words):
        return -math.inf
    return hot + spec.insertion * len(units) + spec.lm_weight * float(model.log_probs([units])[0].sum())


SPECS = [
    {"insertion": 0.7},
    {"hot_words": ("ba", "ab")},
    {"lm": NGramSpec(order=2)},
    {"lm": NGramSpec(order=3), "lm_weight": 1.5, "insertion": -0.5, "hot_words": ("bb",), "hot_word_weight": 2.0},
    {"lm": NGramSpec(order=1), "lexicon": True},
    {"lm": NGramSpec(order=3), "lexicon": True, "hot_words": ("aa",)},
    {"lm": NGramSpec(units="tokens", order=3), "lm_weight": 0.8, "insertion": 0.4},
    {"lm": NGramSpec(units="tokens", order=2), "hot_words": ("b",)},
    {"lm": NGramSpec(order=2), "lm_weight": 0.0},
    {"lm": RecurrentSpec(hidden=7)},
    {
        "lm": RecurrentSpec(hidden=1),
        "lm_weight": 1.5,
        "insertion": -0.5,
        "hot_words": ("bb", "a"),
        "hot_word_weight": 2.0,
    },
]


@TOKENIZERS
@pytest.mark.parametrize("options", SPECS, ids=lambda options: " ".join(options))
@settings(max_examples=8, deadline=None)
@given(frames=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_a_wide_beam_ranks_every_text_by_its_score(
    tokenizer: Tokenizer, options: dict[str, Any], frames: int, seed: int
) -> None:
    spec = BeamSpec(beam_width=3000, n_best=3000, **options)
    model = model_of(spec, tokenizer, TEXTS)
    log_probs_TV = log_probs(frames, len(tokenizer), seed)
    expected = {
        ids: math.log(probability) + said
        for ids, probability in brute_force(log_probs_TV).items()
        if (said := said_of(ids, spec, tokenizer, model)) > -math.inf
    }
    prefixes = best_prefixes(log_probs_TV, spec, fused(spec, tokenizer, model))
    possible = {prefix.ids: prefix.score for prefix in prefixes if prefix.score > -math.inf}
    assert possible == pytest.approx(expected, rel=1e-5 if isinstance(model, RecurrentModel) else 1e-9)  # float32
    assert prefixes[0].ids == max(expected, key=lambda ids: expected[ids])


def test_a_language_model_decides_between_what_sounds_alike() -> None:
    texts = ["go to it", "go to bed", "to be", "me too"]
    tokenizer = Tokenizer.train(SymbolTokens(), texts)
    labels = [label for token in tokenizer.encode("go too bed") for label in (token, 0)]
    log_probs_TV = peaks(labels, len(tokenizer), posterior=0.6)
    spec = BeamSpec(beam_width=64, lm=NGramSpec(order=2), lm_weight=1.5)
    alone, with_lm = (
        decode(
            log_probs_TV[None],
            [len(labels)],
            tokenizer,
            each,
            0.04,
            fusion=fused(each, tokenizer, model_of(each, tokenizer, texts)),
        )[0].text
        for each in (BeamSpec(beam_width=64), spec)
    )
    assert (alone, with_lm) == ("go too bed", "go to bed")


def test_a_hot_word_is_heard_as_a_whole_word_only() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["carl karl karla"])

    def heard(text: str, **options: Any) -> str:
        labels = [label for token in tokenizer.encode(text) for label in (token, 0)]
        probabilities = np.exp(peaks(labels, len(tokenizer), posterior=0.6))
        c, k = tokenizer.encode("c")[0], tokenizer.encode("k")[0]
        probabilities[0, k] = 0.35 if labels[0] == c else probabilities[0, k]  # the first letter could be a k too
        log_probs_TV = np.log(probabilities / probabilities.sum(axis=1, keepdims=True))
        return decode(
            log_probs_TV[None], [len(labels)], tokenizer, BeamSpec(beam_width=32, **options), 0.04
        )[0].text  # fmt: skip

    assert heard("carl") == "carl"
    assert heard("carl", hot_words=("karl",)) == "karl"
    assert heard("carla", hot_words=("karl",)) == "carla"  # no bonus for the beginning of another word
    assert heard("carl", hot_words=("karl",), hot_word_weight=0.0) == "carl"


def test_a_state_is_made_anew_for_a_prefix_that_comes_back_into_a_narrow_beam() -> None:
    """Whatever was left out on the way, what is said of a text that is left is the model's."""
    spec = BeamSpec(beam_width=3, n_best=3, lm=RecurrentSpec(hidden=4), lm_weight=0.7)
    model = random_lstm(len(CHARACTERS), 4)
    for seed in range(20):
        for prefix in best_prefixes(log_probs(30, len(CHARACTERS), seed), spec, fused(spec, CHARACTERS, model)):
            assert prefix.said == pytest.approx(0.7 * float(model.log_probs([prefix.ids])[0].sum()), rel=1e-5)


def test_a_recurrent_model_of_another_recogniser_is_refused() -> None:
    with pytest.raises(ValueError, match="the language model has 9 tokens, the recogniser 4"):
        fused(BeamSpec(lm=RecurrentSpec(hidden=2)), CHARACTERS, random_lstm(9, 2))


def test_a_narrow_beam_knows_of_beginnings_what_they_can_become() -> None:
    """Without look-ahead the first letters of the unlikely word are all that a beam of one goes on with."""
    texts = ["baa"] * 50 + ["aaa"]
    tokenizer = Tokenizer.train(SymbolTokens(), texts)
    log_probs_TV = np.log(
        np.array([[0.1, 0.5, 0.4], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    )
    spec = BeamSpec(beam_width=1, lm=NGramSpec(order=1), lexicon=True, lm_weight=1.0)
    fusion = fused(spec, tokenizer, model_of(spec, tokenizer, texts))
    heard = tokenizer.decode(best_prefixes(log_probs_TV, spec, fusion)[0].ids)
    wide = best_prefixes(log_probs_TV, dataclasses.replace(spec, beam_width=200), fusion)[0]
    assert heard == tokenizer.decode(wide.ids) == "baa"


def test_what_can_come_of_letters_is_the_likeliest_of_their_words() -> None:
    texts = ["ab ab abc d", "ab b"]
    tokenizer = Tokenizer.train(SymbolTokens(), texts)
    model = learn([text.split() for text in texts], 1)
    word = {unit: float(model.log_prob_N[1 + place]) for place, unit in enumerate(model.units)}
    fusion = fused(BeamSpec(lm=NGramSpec(order=1), lexicon=True, hot_words=("bz",)), tokenizer, model)
    expected = {"a": max(word["ab"], word["abc"]), "b": max(word["b"], word["<unk>"]), "d": word["d"]}  # bz is unknown
    low, high = fusion.first_child_M[:2]
    assert [chr(letter) for letter in fusion.letter_M[low:high]] == list(expected)
    assert fusion.ahead_M[low:high] == pytest.approx(list(expected.values()))
    assert fusion.ahead_M[0] == pytest.approx(max(expected.values()))
    anything = fused(BeamSpec(lm=NGramSpec(order=1)), tokenizer, model)
    assert (anything.ahead_M >= word["<unk>"]).all()


def test_scores_of_before_the_look_ahead_are_not_taken_for_those_of_now() -> None:
    assert fingerprint(BeamSpec(beam_width=8)) == digest("DecodeSpec", 1, '{"beam_width": 8, "kind": "beam"}')
    assert BeamSpec(lm=RecurrentSpec()).FORMAT == BeamSpec().FORMAT == 1
    assert BeamSpec(lm=NGramSpec()).FORMAT == 2


def test_an_insertion_bonus_keeps_a_word_in_a_narrow_beam_from_its_first_letter_on() -> None:
    log_probs_TV = np.log(np.array([[0.97, 0.01, 0.02], [0.98, 0.01, 0.01], [0.98, 0.01, 0.01]]))
    tokenizer = Tokenizer.train(SymbolTokens(), ["ab"])
    for insertion, ids in ((0.0, ()), (5.0, (2,))):
        spec = BeamSpec(beam_width=1, insertion=insertion)
        assert best_prefixes(log_probs_TV, spec, fused(spec, tokenizer, None))[0].ids == ids


def test_of_unfinished_words_alone_the_likeliest_is_told() -> None:
    tokenizer = Tokenizer.train(SymbolTokens(), ["abab"])
    spec = BeamSpec(beam_width=2, n_best=2, lm=NGramSpec(order=1), lexicon=True)
    fusion = fused(spec, tokenizer, learn([["abab"]], 1))
    (found,) = best_prefixes(peaks([1, 2], 3, posterior=0.998), spec, fusion)
    assert (found.ids, found.score) == ((1, 2), -math.inf)


def test_jamo_are_spelled_into_the_words_of_the_model() -> None:
    texts = ["한국 말", "한국 음식", "말"]
    tokenizer = Tokenizer.train(SymbolTokens(kind="jamo"), texts)
    spec = BeamSpec(beam_width=8, lm=NGramSpec(order=2), lexicon=True, hot_words=("국말",))
    labels = [label for token in tokenizer.encode("한국 음식") for label in (token, 0)]
    fusion = fused(spec, tokenizer, model_of(spec, tokenizer, texts))
    (hypothesis,) = decode(peaks(labels, len(tokenizer))[None], [len(labels)], tokenizer, spec, 0.04, fusion=fusion)
    assert hypothesis.text == "한국 음식"


def test_a_decoder_without_anything_besides_is_alone_and_a_missing_model_is_told() -> None:
    assert fused(BeamSpec(), CHARACTERS, None).units == ALONE
    with pytest.raises(ValueError, match="needs its model"):
        fused(BeamSpec(lm=NGramSpec()), CHARACTERS, None)
    with pytest.raises(ValueError, match="needs its model"):
        decode(log_probs(2, 4, 0)[None], [2], CHARACTERS, BeamSpec(lm=NGramSpec()), 0.04)


def test_what_a_model_never_says_is_unlikely_not_impossible() -> None:
    fusion = fused(BeamSpec(lm=NGramSpec()), CHARACTERS, learn([["a"]], 2))
    assert fusion.log_prob_N.min() == LEAST and np.isfinite(fusion.backoff_N).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lexicon": True}, "lexicon is true; it needs an lm"),
        ({"lexicon": True, "lm": NGramSpec(units="tokens")}, "lexicon is true; it needs an lm"),
        ({"lexicon": True, "lm": RecurrentSpec()}, "lexicon is true; it needs an lm"),
        ({"lm_weight": -1.0}, "lm_weight is -1.0"),
        ({"hot_word_weight": -1.0}, "hot_word_weight is -1.0"),
        ({"hot_words": ("new york",)}, "hot_words holds 'new york'"),
        ({"hot_words": ("",)}, "hot_words holds ''"),
    ],
)
def test_specs_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BeamSpec(**options)
    with pytest.raises(ValueError, match="order is 0"):
        NGramSpec(order=0)


@given(words=st.lists(st.text("ab한", min_size=1, max_size=5), unique=True, max_size=12))
def test_a_spelling_leads_to_its_words_and_to_no_others(words: list[str]) -> None:
    spelling = Spelling.of(words)

    def walk(node: int, spelled: str) -> dict[str, int]:
        here = {} if spelling.word_M[node] == NONE else {spelled: int(spelling.word_M[node])}
        low, high = spelling.first_child_M[node : node + 2]
        assert (np.diff(spelling.letter_M[low:high]) > 0).all()
        for child in range(low, high):
            here |= walk(child, spelled + chr(spelling.letter_M[child]))
        return here

    assert walk(0, "") == {word: place for place, word in enumerate(words)}
