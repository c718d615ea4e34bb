"""ARPA files: there and back, read by KenLM as by us, and refused with the line where they are none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.lm.arpa import from_arpa, to_arpa
from sorigil.lm.kneser_ney import learn

RNG = np.random.default_rng(3)
TEXTS = [tuple(f"w{x}" for x in RNG.zipf(1.4, size=7) % 30) for _ in range(200)]

SMALL = """\
made by hand

\\data\\
ngram 1=4
ngram 2=2
ngram 3=1

\\1-grams:
-99\t<s>\t-0.5
-1.0\t</s>
-0.3\ta\t-0.25
-0.6\tb\t-0.125

\\2-grams:
-0.2\t<s> a\t-0.75
-0.1 a b -0.375

\\3-grams:
-0.05\t<s> a b

\\end\\
"""


@given(texts=st.lists(st.lists(st.sampled_from(["a", " the", "한", " "]), max_size=6), min_size=1).filter(any))
def test_there_and_back(texts: list[list[str]]) -> None:
    model = learn(texts, 3)
    again = from_arpa(to_arpa(model))
    assert again.units == model.units and again.order == model.order
    assert np.array_equal(again.parent_N, model.parent_N) and np.array_equal(again.suffix_N, model.suffix_N)
    assert again.log_prob_N == pytest.approx(model.log_prob_N, rel=1e-6, abs=1e-9)
    assert again.backoff_N == pytest.approx(model.backoff_N, rel=1e-6, abs=1e-9)


def test_a_file_by_hand() -> None:
    model = from_arpa(SMALL.splitlines())
    (found,) = model.log_probs([("a", "b", "b", "zebra")])
    expected = [-0.2, -0.05, -0.375 - 0.125 - 0.6, -np.inf, -1.0]  # b b: from `a b` to `b` to nothing
    assert np.where(np.isinf(found), -np.inf, found / math.log(10)) == pytest.approx(np.array(expected))


def test_an_ngram_without_its_ending_falls_back_to_a_shorter_one() -> None:
    text = SMALL.replace("ngram 2=2", "ngram 2=3").replace("-0.1 a b -0.375", "-0.1 a b -0.375\n-0.4 b b")
    text = text.replace("ngram 3=1", "ngram 3=2").replace("<s> a b\n", "<s> a b\n-0.07\ta b a\n")
    model = from_arpa(text.splitlines())  # `b a` is not there: `a b a` ends with `a`
    (found,) = model.log_probs([("a", "b", "a", "b")])
    assert found[2:4] / math.log(10) == pytest.approx([-0.07, -0.1])


def test_kenlm_reads_what_we_write_and_scores_as_we_do(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm")
    from flashlight.lib.text.dictionary import Dictionary

    model = learn(TEXTS, 4)
    path = tmp_path / "lm.arpa"
    path.write_text("".join(to_arpa(model)))
    dictionary = Dictionary(list(model.units))
    theirs = kenlm.KenLM(str(path), dictionary)
    asked = [*TEXTS[:50], ("w1", "never", "w1"), ()]
    for text, ours in zip(asked, model.log_probs(asked), strict=True):
        state, scores = theirs.start(False), []
        for unit in text:
            state, score = theirs.score(state, dictionary.get_index(unit if unit in model.units else "<unk>"))
            scores.append(score)
        scores.append(theirs.finish(state)[1])
        assert np.array(scores) * math.log(10) == pytest.approx(ours, abs=1e-5)


def test_what_others_write_otherwise_is_understood() -> None:
    text = SMALL.replace("ngram 1=4", "ngram 1=5").replace("-0.6\tb\t-0.125", "-0.6\tb\t-inf\n-2.0\t<UNK>\t0")
    model = from_arpa(text.replace("\n", "\r\n").split("\n"))
    assert model.units == ("<unk>", "<s>", "</s>", "a", "b")
    (found,) = model.log_probs([("zebra", "b", "b")])
    assert found[:3] / math.log(10) == pytest.approx([-2.5, -0.6, -99.6])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("hello\n", "without \\end\\"),
        ("\\end\\\n", "no \\1-grams:"),
        (SMALL.replace("\\end\\", ""), "ends without \\end\\"),
        (SMALL.replace("ngram 2=2", "ngram 2=5"), "has 2 2-grams, but says 5"),
        (SMALL.replace("\\2-grams:", "\\3-grams:"), "line 14 of this ARPA file is '\\\\3-grams:'; expected \\2-grams:"),
        (SMALL.replace("-0.2\t<s> a", "x\t<s> a"), "line 15 of this ARPA file"),
        (SMALL.replace("-0.2\t<s> a\t-0.75", "-0.2\t<s>"), "line 15 of this ARPA file"),
        (SMALL.replace("-0.1 a b -0.375", "-0.1 a b c d"), "line 16 of this ARPA file"),
        (
            SMALL.replace("-0.05\t<s> a b", "-0.05\tb a b"),
            "line 19 of this ARPA file has the 3-gram 'b a b' without its part 'b a'",
        ),
        (SMALL.replace("-0.1 a b", "-0.1 a z"), "line 16 of this ARPA file has the 2-gram 'a z' without its part 'z'"),
        (SMALL.replace("-0.3\ta", "0.3\ta"), "line 11 of this ARPA file is '0.3\\ta\\t-0.25'; a logarithm"),
        (SMALL.replace("-0.3\ta", "nan\ta"), "line 11 of this ARPA file is 'nan"),
        (SMALL.replace("-0.125", "inf"), "line 12 of this ARPA file is '-0.6"),
        (SMALL.replace("-0.1 a b -0.375", "-0.1\t<s> a\t-0.75"), "has '<s> a' again; it was in line 15"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(wrong: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        from_arpa(wrong.splitlines())
    assert said in str(refused.value)


@pytest.mark.parametrize("unit", ["▁", "a\tb", "a\u3000b", ""])
def test_units_that_the_format_cannot_hold_are_refused(unit: str) -> None:
    with pytest.raises(RequestError, match="cannot be written to an ARPA file"):
        list(to_arpa(learn([(unit, "b")], 1)))
