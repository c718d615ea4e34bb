"""PocketSphinx as an external: it hears words, the same ones whatever it heard before, and says what it cannot use."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from demo_speech import spoken

from sorigil import external
from sorigil.errors import RequestError
from sorigil.external import sphinx
from sorigil.external.specs import PocketsphinxSpec

pytest.importorskip("pocketsphinx")


def of_phrases(*phrases: str) -> external.Listener:
    return external.opened(PocketsphinxSpec(grammar="phrases.txt", grammar_text="\n".join(phrases)))


@pytest.fixture(scope="module")
def general() -> external.Listener:
    return external.opened(PocketsphinxSpec())


def test_phrases_of_the_demo_are_heard() -> None:
    texts = [text for text, _ in spoken()]
    listener = of_phrases(*(text.upper() for text in texts), "", "  ")
    found = listener.hear([samples for _, samples in spoken()])
    assert sum(each.text == text for each, text in zip(found, texts, strict=True)) >= 0.7 * len(texts)
    assert {each.text for each in found} <= {"", *texts}


def test_words_have_their_times_and_are_as_sure_as_the_whole(general: external.Listener) -> None:
    samples = np.concatenate([samples for _, samples in spoken()[:3]])
    (found,) = general.hear([samples])
    assert found.text == " ".join(word.text for word in found.words)
    assert not re.search(r"[<\[(+]", found.text or "")
    assert all(word.start < word.end for word in found.words)
    assert all(one.end <= two.start + 1e-9 for one, two in zip(found.words, found.words[1:], strict=False))
    assert found.words[-1].end <= len(samples) / 16_000
    assert found.confidence == pytest.approx(np.mean([word.confidence for word in found.words]))
    assert 0 < found.confidence <= 1


def test_an_answer_does_not_depend_on_what_was_heard_before(general: external.Listener) -> None:
    sounds = [samples * gain for (_, samples), gain in zip(spoken()[:2], (1.0, 0.05), strict=True)]
    assert general.hear(sounds) == general.hear(sounds[::-1])[::-1]
    assert general.hear(sounds[1:]) == general.hear(sounds)[1:]


@pytest.mark.parametrize("samples", [0, 1, 160, 800])
def test_nothing_is_heard_where_there_is_no_frame(general: external.Listener, samples: int) -> None:
    (found,) = general.hear([np.zeros(samples, np.float32)])
    assert (found.text, found.confidence, found.words) == ("", 0.0, ())


def test_samples_beyond_full_scale_are_turned_down_not_clipped() -> None:
    assert np.frombuffer(sphinx._pcm(np.float32([2.0, -1.0, 0.5])), np.int16).tolist() == [32767, -16384, 8192]
    assert np.frombuffer(sphinx._pcm(np.float32([1.0, -1.0, 0.5])), np.int16).tolist() == [32767, -32767, 16384]


def test_a_jsgf_grammar_is_taken_as_it_is() -> None:
    grammar = "#JSGF V1.0;\ngrammar digits;\npublic <digits> = <digit>+;\n<digit> = zero | one | four | seven;\n"
    listener = external.opened(PocketsphinxSpec(grammar="digits.gram", grammar_text=grammar))
    (found,) = listener.hear([np.concatenate([samples for text, samples in spoken() if text in ("zero", "four")])])
    assert found.text and set(found.text.split()) <= {"zero", "one", "four", "seven"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zero\none xqzz\nyyzz\n", r"digits.txt: the dictionary .* has no xqzz, yyzz"),
        (" \n\n", "digits.txt: there is no phrase in it"),
        ("#JSGF V1.0;\ngrammar g;\npublic <s> = xqzz;\n", "digits.txt: PocketSphinx refuses the grammar"),
        ("#JSGF V1.0;\ngrammar g;\n<s> = zero;\n", "digits.txt: PocketSphinx refuses the grammar"),
        ("#JSGF rubbish", "digits.txt: PocketSphinx refuses the grammar"),
        ("zero | one\n", r"has no \|"),
    ],
)
def test_a_grammar_that_cannot_be_used_is_refused_with_its_file(text: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        external.opened(PocketsphinxSpec(grammar="digits.txt", grammar_text=text))


def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    external.opened(PocketsphinxSpec()).hear([np.zeros(100, np.float32), np.zeros(8000, np.float32)])
    with pytest.raises(RequestError):
        external.opened(PocketsphinxSpec(grammar="g", grammar_text="#JSGF rubbish"))
    assert capfd.readouterr() == ("", "")


def test_the_key_names_what_is_heard_not_where_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    one = PocketsphinxSpec(grammar="a.txt", grammar_text="zero")
    assert external.key_of(one) == external.key_of(replace(one, grammar="b.txt"))
    assert len({external.key_of(each) for each in (one, replace(one, grammar_text="one"), PocketsphinxSpec())}) == 3
    before = external.key_of(one)
    monkeypatch.setattr(external, "version", lambda library: "6.0.0")
    assert external.key_of(one) != before
