"""What a beam search listens to besides the posteriors: a language model, a lexicon and hot words, as arrays.

Shallow fusion (Gulcehre et al. 2015, arXiv:1503.03535): the score of a prefix is its log probability plus what is said
here of its text, which depends on nothing but the text. `prefix_search` walks the arrays.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorigil.decoding.spec import BeamSpec
from sorigil.decoding.spelling import NONE, Spelling
from sorigil.lm.ngram import BEGIN, MARKS, ROOT, UNKNOWN, NGramModel
from sorigil.lm.recurrent import RecurrentModel
from sorigil.lm.spec import LanguageModelSpec
from sorigil.text.subwords import SPACE
from sorigil.text.tokenizer import Tokenizer

ALONE, NO_LM, OF_TOKENS, OF_WORDS = -1, 0, 1, 2  # ALONE: the posteriors, nothing besides
LEAST = -230.0  # of a log probability: log10 -99.9, less than ARPA files write; 0 times it is 0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Fusion(NamedTuple):
    """N nodes of the language model (`NGramModel`), V tokens, M nodes of the spelling (`Spelling`)."""

    units: int  # ALONE, NO_LM, OF_TOKENS or OF_WORDS
    start: int  # the node of <s>
    lm_weight: float
    insertion: float
    hot_word_weight: float
    lexicon: bool
    unit_N: Ints
    log_prob_N: Floats
    backoff_N: Floats
    suffix_N: Ints
    first_child_N: Ints
    n_contexts: int  # nodes from here on are of full length
    unit_V: Ints  # a token's unit of the language model
    starts_word_V: NDArray[np.bool_]
    first_letter_V: Ints  # V + 1 of them, in `letters`
    letters: Ints  # of the tokens, one after the other, without spaces
    letter_M: Ints
    first_child_M: Ints
    word_M: Ints  # the unit of the word that ends here: UNKNOWN of a hot word that the model does not know; or NONE
    ahead_M: Floats  # the largest log probability, as a unigram, of the words that can still come of these letters
    hot_letters_M: Ints  # how many letters of a hot word have been spelled here
    hot_M: NDArray[np.bool_]  # does a hot word end here?
    recurrent: bool  # of the tokens, by the arrays of `RecurrentModel` below, instead of by nodes
    input_VG: NDArray[np.float32]
    hidden_HG: NDArray[np.float32]
    output_HV: NDArray[np.float32]
    bias_V: NDArray[np.float32]


LanguageModel = NGramModel | RecurrentModel


def fused(spec: BeamSpec, tokenizer: Tokenizer, model: LanguageModel | None) -> Fusion:
    """Return what this decoder listens to. `model` is that of `spec.lm`; a `ValueError` where only one of them is None."""
    if (model is None) != (spec.lm is None):
        raise ValueError("a decoder with an lm needs its model, and only such a decoder has one")
    recurrent = model if isinstance(model, RecurrentModel) else _MUTE
    if recurrent is not _MUTE and len(recurrent.bias_V) != len(tokenizer):
        raise ValueError(f"the language model has {len(recurrent.bias_V)} tokens, the recogniser {len(tokenizer)}")
    model = model if isinstance(model, NGramModel) else _SILENT
    units = NO_LM if spec.lm is None else OF_WORDS if spec.lm.units == "words" else OF_TOKENS
    letters = [_spelled(tokenizer, token.replace(SPACE, "")) for token in tokenizer.tokens]
    letters[0] = ""  # the blank
    hot = [_spelled(tokenizer, word) for word in spec.hot_words]
    known = model.units[len(MARKS) :] if units == OF_WORDS else ()
    number = {_spelled(tokenizer, word): unit for unit, word in enumerate(known, start=len(MARKS))}
    words = list(dict.fromkeys((*number, *hot)))
    spelling = Spelling.of(words)
    unit_W = np.array([*(number.get(word, UNKNOWN) for word in words), NONE])  # the last for no word
    if spec.lm is None and not spec.hot_words and not spec.insertion:
        return POSTERIORS
    return Fusion(
        units=units,
        start=1 + BEGIN if model.order > 1 else ROOT,
        lm_weight=float(spec.lm_weight),
        insertion=float(spec.insertion),
        hot_word_weight=float(spec.hot_word_weight),
        lexicon=spec.lexicon,
        unit_N=model.unit_N,
        log_prob_N=np.maximum(model.log_prob_N, LEAST),
        backoff_N=np.maximum(model.backoff_N, LEAST),
        suffix_N=model.suffix_N,
        first_child_N=model.first_child_N,
        n_contexts=int(np.count_nonzero(model.node_lengths() < model.order)),
        unit_V=np.array(model.ids(tokenizer.tokens), dtype=np.int64),
        starts_word_V=np.array([tokenizer.starts_word(i) for i in range(len(tokenizer))]),
        first_letter_V=np.cumsum([0, *map(len, letters)], dtype=np.int64),
        letters=np.array([ord(letter) for each in letters for letter in each], dtype=np.int64),
        letter_M=spelling.letter_M,
        first_child_M=spelling.first_child_M,
        word_M=unit_W[spelling.word_M],
        ahead_M=_ahead(spelling, unit_W[spelling.word_M], np.maximum(model.log_prob_N, LEAST), spec.lexicon),
        **_hot(spelling, words, set(hot)),
        recurrent=recurrent is not _MUTE,
        input_VG=recurrent.input_VG,
        hidden_HG=recurrent.hidden_HG,
        output_HV=recurrent.output_HV,
        bias_V=recurrent.bias_V,
    )


def units_of(spec: LanguageModelSpec, tokenizer: Tokenizer, texts: Iterable[str]) -> list[list[str]]:
    """Texts as the n-grams count them: words, or the recogniser's tokens."""
    if spec.units == "words":
        return [unicodedata.normalize("NFC", text).split() for text in texts]
    return [[tokenizer.tokens[i] for i in tokenizer.encode(text, skip_unknown=True)] for text in texts]


def spellable(spec: LanguageModelSpec, tokenizer: Tokenizer, model: NGramModel) -> list[bool]:
    """Of each unit of the model after its marks: can the recogniser write it?"""
    own = model.units[len(MARKS) :]
    if spec.units == "tokens":
        tokens = set(tokenizer.tokens[1:])
        return [unit in tokens for unit in own]
    letters = {letter for token in tokenizer.tokens[1:] for letter in _spelled(tokenizer, token)}
    return [letters.issuperset(_spelled(tokenizer, word)) for word in own]


def _spelled(tokenizer: Tokenizer, word: str) -> str:
    return unicodedata.normalize("NFD" if tokenizer.kind == "jamo" else "NFC", word)


def _ahead(spelling: Spelling, word_M: Ints, log_prob_N: Floats, lexicon: bool) -> Floats:
    """Where words need not be known, what is being spelled can always become an unknown one."""
    own_M = np.where(word_M == NONE, -np.inf, log_prob_N[1 + np.maximum(word_M, UNKNOWN)])
    return np.maximum(spelling.best_below(own_M), LEAST if lexicon else log_prob_N[1 + UNKNOWN])


def _hot(spelling: Spelling, words: Sequence[str], hot: set[str]) -> dict[str, NDArray[Any]]:
    hot_M = np.array([place != NONE and words[place] in hot for place in spelling.word_M.tolist()])
    hot_letters_M = np.zeros(len(hot_M), dtype=np.int64)
    for word in hot:
        node = 0
        for depth, letter in enumerate(map(ord, word), start=1):
            low, high = spelling.first_child_M[node : node + 2]
            node = int(low + np.searchsorted(spelling.letter_M[low:high], letter))
            hot_letters_M[node] = depth
    return {"hot_M": hot_M, "hot_letters_M": hot_letters_M}


_SILENT = NGramModel(
    order=1,
    units=MARKS,
    parent_N=np.zeros(4, dtype=np.int64),
    unit_N=np.array([0, 0, 1, 2]),
    log_prob_N=np.zeros(4),
    backoff_N=np.zeros(4),
)
_NO_SINGLES = np.zeros((0, 0), np.float32)
_MUTE = RecurrentModel(
    input_VG=_NO_SINGLES, hidden_HG=_NO_SINGLES, output_HV=_NO_SINGLES, bias_V=np.zeros(0, np.float32)
)
_NO_INTS, _NO_FLOATS, _NO_BOOLS = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_)
POSTERIORS = Fusion(
    ALONE, 0, 0.0, 0.0, 0.0, False, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_INTS, _NO_INTS, 0,
    _NO_INTS, _NO_BOOLS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_INTS, _NO_BOOLS,
    False, _NO_SINGLES, _NO_SINGLES, _NO_SINGLES, _MUTE.bias_V,
)  # fmt: skip
