"""PocketSphinx as an external: 16 kHz, 16 bits, one utterance after the other, words with times and posteriors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.errors import RequestError
from sorigil.external.specs import PocketsphinxSpec
from sorigil.types import Hypothesis, Word

JSGF = "#JSGF"
FRAMES_PER_SECOND = 100
MOST_SHOWN = 5  # words

_VARIANT = re.compile(r"\(\d+\)$")  # of a pronunciation: "and(2)"
_FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # silence and noises


def opened(spec: PocketsphinxSpec, folder: str) -> Sphinx:
    """The decoder; its model comes with the library. Raises RequestError where the grammar has unknown words or is none."""
    return Sphinx(spec)


class Sphinx:
    """A decoder, which takes 0.3 s to load."""

    sample_rate = PocketsphinxSpec.sample_rate

    def __init__(self, spec: PocketsphinxSpec) -> None:
        from pocketsphinx import Decoder

        quiet = {"loglevel": "FATAL", "samprate": self.sample_rate}
        if not spec.grammar:
            self._decoder = Decoder(**quiet)
            return
        self._decoder = Decoder(lm=None, **quiet)
        self._listen_for(spec)

    def hear(self, sounds: Sequence[npt.NDArray[np.float32]]) -> list[Hypothesis]:
        return [self._hear(samples) for samples in sounds]

    def _hear(self, samples: npt.NDArray[np.float32]) -> Hypothesis:
        if not len(samples):
            return Hypothesis(id="", text="")
        decoder = self._decoder
        decoder.reinit_feat()  # forgets what noise and which mean the last utterance had
        decoder.start_utt()
        decoder.process_raw(_pcm(samples), full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        if best is None or not best.hypstr:  # too short for a frame; nothing but silence
            return Hypothesis(id="", text="")
        words = tuple(_words(decoder))
        return Hypothesis(
            id="", text=best.hypstr, confidence=sum(word.confidence for word in words) / len(words), words=words
        )

    def _listen_for(self, spec: PocketsphinxSpec) -> None:
        grammar = spec.grammar_text
        if not grammar.lstrip().startswith(JSGF):
            grammar = self._of_phrases(spec)
        try:
            self._decoder.add_jsgf_string("grammar", grammar)
        except ValueError as wrong:
            raise RequestError(
                f"{spec.grammar}: PocketSphinx refuses the grammar: it is no JSGF with a public rule, or has a word that the "
                "dictionary of its English model has not (its words are in lower case)"
            ) from wrong
        self._decoder.activate_search("grammar")

    def _of_phrases(self, spec: PocketsphinxSpec) -> str:
        phrases = [line.lower().split() for line in spec.grammar_text.splitlines() if line.strip()]
        unknown = sorted({word for words in phrases for word in words if self._decoder.lookup_word(word) is None})
        if unknown or not phrases:
            more = ", …" if len(unknown) > MOST_SHOWN else ""
            said = (
                f"the dictionary of PocketSphinx's English model has no {', '.join(unknown[:MOST_SHOWN])}{more}"
                if unknown
                else "there is no phrase in it; one a line is wanted"
            )
            raise RequestError(f"{spec.grammar}: {said}")
        return f"{JSGF} V1.0;\ngrammar phrases;\npublic <phrase> = {' | '.join(map(' '.join, phrases))};\n"


def _pcm(samples: npt.NDArray[np.float32]) -> bytes:
    """16-bit samples. What is louder than full scale, as resampling leaves it of a full peak, is turned down as a whole:
    clipping costs several percent of the digits of FSDD."""
    pcm: npt.NDArray[np.int16] = np.rint(samples * (32767 / max(1.0, np.abs(samples).max()))).astype(np.int16)
    return pcm.tobytes()


def _words(decoder: Any) -> Iterator[Word]:
    for part in decoder.seg():
        if not _FILLER.fullmatch(part.word):
            yield Word(
                text=_VARIANT.sub("", part.word),
                start=part.start_frame / FRAMES_PER_SECOND,
                end=(part.end_frame + 1) / FRAMES_PER_SECOND,
                confidence=min(1.0, part.prob),  # its logarithms are rounded
            )
