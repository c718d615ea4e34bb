"""Our beam with lexicon and n-grams against flashlight-text's lexicon decoder with KenLM, which reads the ARPA file that we write.

Where they differ by definition: ours ranks token sequences, each summed over its paths; theirs ranks texts, each summed over all
ways to space it that are empty or end with a space (with `log_add`; without it a text has its best path's score). So ours, summed
over the same token sequences, must be theirs, text by text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattices import log_probs, peaks

from sorigil.decoding.beam import Prefix, best_prefixes
from sorigil.decoding.fusion import Fusion, fused
from sorigil.decoding.spec import BeamSpec
from sorigil.lm.arpa import to_arpa
from sorigil.lm.kneser_ney import learn
from sorigil.lm.ngram import NGramModel
from sorigil.lm.spec import NGramSpec
from sorigil.text.tokenizer import SymbolTokens, Tokenizer

pytest.importorskip("flashlight.lib.text.decoder.kenlm")
from benchmarks.decoding_peer import Theirs

TEXTS = ["a ab", "ab b a", "ab a", "b", "b ab ab"]
TOKENIZER = Tokenizer.train(SymbolTokens(), TEXTS)  # blank, space, a, b
WIDE = 5000  # whatever can be said in so few frames stays in it
WEIGHTS = {"weight": st.floats(0, 2), "insertion": st.floats(-2, 2)}


@pytest.fixture(scope="module")
def model() -> NGramModel:
    return learn([text.split() for text in TEXTS], 3)


@pytest.fixture(scope="module")
def theirs(model: NGramModel, tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    arpa = tmp_path_factory.mktemp("lm") / "lm.arpa"
    arpa.write_text("".join(to_arpa(model)))
    return Theirs(Path(arpa), TOKENIZER, model)


def in_our_beam(
    log_probs_TV: np.ndarray, model: NGramModel, weight: float, insertion: float, width: int = WIDE
) -> list[Prefix]:
    lm = NGramSpec(order=3)
    spec = BeamSpec(beam_width=width, n_best=width, lm=lm, lexicon=True, lm_weight=weight, insertion=insertion)
    fusion: Fusion = fused(spec, TOKENIZER, model)
    return best_prefixes(log_probs_TV, spec, fusion)


def words_of(prefix: Prefix) -> str:
    return " ".join(TOKENIZER.decode(prefix.ids).split())


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(2, 7), seed=st.integers(0, 10_000), **WEIGHTS)
def test_every_text_has_flashlights_score(
    theirs: Theirs, model: NGramModel, frames: int, seed: int, weight: float, insertion: float
) -> None:
    log_probs_TV = log_probs(frames, len(TOKENIZER), seed).astype(np.float32)
    ours: dict[str, float] = {}
    for prefix in in_our_beam(log_probs_TV, model, weight, insertion):
        if not prefix.ids or (prefix.score > -np.inf and TOKENIZER.decode(prefix.ids).endswith(" ")):
            ours[words_of(prefix)] = np.logaddexp(ours.get(words_of(prefix), -np.inf), prefix.score)
    expected: dict[str, float] = {}
    for result in theirs.search(WIDE, weight, insertion)(log_probs_TV):
        expected[theirs.text(result)] = np.logaddexp(expected.get(theirs.text(result), -np.inf), result.score)
    assert ours == pytest.approx(expected, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(2, 7), seed=st.integers(0, 10_000), **WEIGHTS)
def test_ours_is_never_behind_flashlights_best_path(
    theirs: Theirs, model: NGramModel, frames: int, seed: int, weight: float, insertion: float
) -> None:
    """Its best path is one of those that our score of the same tokens sums, and ours has the best of all tokens."""
    log_probs_TV = log_probs(frames, len(TOKENIZER), seed).astype(np.float32)
    best = theirs.search(WIDE, weight, insertion, log_add=False)(log_probs_TV)[0]
    ours = in_our_beam(log_probs_TV, model, weight, insertion)
    same = max(prefix.score for prefix in ours if words_of(prefix) == theirs.text(best))
    assert best.score - 1e-4 <= same <= ours[0].score


@settings(max_examples=25, deadline=None)
@given(words=st.lists(st.sampled_from(["a", "ab", "b"]), min_size=1, max_size=12), weight=st.floats(0, 0.5))
def test_a_sure_text_is_heard_by_both_in_narrow_beams(
    theirs: Theirs, model: NGramModel, words: list[str], weight: float
) -> None:
    text = " ".join(words)
    labels = [label for token in (*TOKENIZER.encode(text), theirs.space) for label in (token, 0)]
    log_probs_TV = peaks(labels, len(TOKENIZER), posterior=0.99).astype(np.float32)
    assert theirs.text(theirs.search(8, weight, 0.0)(log_probs_TV)[0]) == text
    assert words_of(in_our_beam(log_probs_TV, model, weight, 0.0, width=8)[0]) == text
