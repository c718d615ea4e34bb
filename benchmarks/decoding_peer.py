"""Our beam with lexicon and word n-grams beside flashlight-text's lexicon decoder with KenLM: what is wrong, what it costs.

python -m benchmarks.decoding_peer [--utterances 100] [--sure 4] [--rounds 3]: the same posteriors (made up: texts of a chain of
words, their characters in noise that they stand `--sure` nats above), the same 5,000 words, the same ARPA file, a few weights each;
the best of a decoder's weights counts, by fewest wrong words. Processor time, medians over rounds that alternate.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import markdown
from sorigil.decoding.beam import best_prefixes
from sorigil.decoding.fusion import fused
from sorigil.decoding.spec import BeamSpec
from sorigil.lm.arpa import to_arpa
from sorigil.lm.kneser_ney import learn
from sorigil.lm.ngram import NGramModel
from sorigil.lm.spec import NGramSpec
from sorigil.metrics.errors import word_error_columns
from sorigil.text.tokenizer import SymbolTokens, Tokenizer

WORDS, FRAMES_PER_SECOND, LN10 = 5_000, 25, math.log(10)
WIDTHS, WEIGHTS, INSERTIONS = (32, 128), (0.6, 1.0, 1.5), (0.0, 1.5)
Floats = NDArray[np.float32]
Decoder = Callable[[Floats], str]


def chains(vocabulary: list[str], texts: int, seed: int) -> list[str]:
    """Texts of eight words, each mostly one of a few that follow the one before."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(texts):
        places = [int(random.integers(WORDS))]
        for step in random.zipf(1.5, size=7):
            places.append(int((places[-1] * 7919 + step) % WORDS))
        found.append(" ".join(vocabulary[place] for place in places))
    return found


def in_noise(ids: list[int], tokens: int, sure: float, random: np.random.Generator) -> Floats:
    """log_probs_TV: each token stands in one frame above the noise, a blank after it."""
    labels = [label for token in ids for label in (token, 0)]
    logits = random.normal(0, 1.6, size=(len(labels), tokens))
    logits[np.arange(len(labels)), labels] += sure
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def ours(spec: BeamSpec, tokenizer: Tokenizer, model: NGramModel) -> Decoder:
    fusion = fused(spec, tokenizer, model)
    return lambda log_probs_TV: tokenizer.decode(best_prefixes(log_probs_TV, spec, fusion)[0].ids)


class Theirs:
    """flashlight's decoder, its lexicon as a trie smeared by the largest score below, as its users have it."""

    def __init__(self, arpa: Path, tokenizer: Tokenizer, model: NGramModel) -> None:
        from flashlight.lib.text import decoder
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        self.space = tokenizer.tokens.index(" ")
        words = model.units[3:]
        names = Dictionary([*words, "<unk>"])
        self.lm, self.unknown = KenLM(str(arpa), names), names.get_index("<unk>")
        self.trie = decoder.Trie(len(tokenizer), self.space)
        start = self.lm.start(False)
        for word in words:
            index = names.get_index(word)
            self.trie.insert([*tokenizer.encode(word), self.space], index, self.lm.score(start, index)[1])
        self.trie.smear(decoder.SmearingMode.MAX)
        self.names = names

    def decoder(self, width: int, weight: float, insertion: float) -> Decoder:
        search = self.search(width, weight, insertion)

        def decode(log_probs_TV: Floats) -> str:
            found = search(log_probs_TV)
            return self.text(found[0]) if found else ""

        return decode

    def search(
        self, width: int, weight: float, insertion: float, log_add: bool = True
    ) -> Callable[[Floats], list[Any]]:
        """The decoder's own results, the best first. With `log_add` it sums over the paths it merges, else the best one
        counts. KenLM's logarithms are to the base 10."""
        from flashlight.lib.text import decoder

        options = decoder.LexiconDecoderOptions(
            beam_size=width, beam_size_token=64, beam_threshold=1000.0, lm_weight=weight * LN10, word_score=insertion,
            unk_score=-math.inf, sil_score=0.0, log_add=log_add, criterion_type=decoder.CriterionType.CTC,
        )  # fmt: skip
        search = decoder.LexiconDecoder(options, self.trie, self.lm, self.space, 0, self.unknown, [], False)

        def results(log_probs_TV: Floats) -> list[Any]:
            found: list[Any] = search.decode(log_probs_TV.ctypes.data, *log_probs_TV.shape)
            return found

        return results

    def text(self, result: Any) -> str:
        return " ".join(self.names.get_entry(word) for word in result.words if word >= 0)


def main() -> None:
    options = _options()
    random = np.random.default_rng(1)
    vocabulary = sorted(
        {"".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), size=n)) for n in random.integers(2, 9, 2 * WORDS)}
    )
    vocabulary = [vocabulary[i] for i in random.permutation(len(vocabulary))[:WORDS]]
    tokenizer = Tokenizer.train(SymbolTokens(), [" ".join(vocabulary)])
    texts = chains(vocabulary, 25_000, seed=2)
    model = learn([text.split() for text in texts], 3)
    asked = chains(vocabulary, options.utterances, seed=3)
    space = tokenizer.tokens.index(" ")  # with which flashlight's words end
    posteriors = [in_noise([*tokenizer.encode(text), space], len(tokenizer), options.sure, random) for text in asked]
    seconds = sum(map(len, posteriors)) / FRAMES_PER_SECOND
    decoders: dict[tuple[str, int], dict[tuple[float, float], Decoder]] = {}
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "lm.arpa"
        arpa.write_text("".join(to_arpa(model)))
        theirs = Theirs(arpa, tokenizer, model)
    grid = [(weight, insertion) for weight in WEIGHTS for insertion in INSERTIONS]
    for width in WIDTHS:
        decoders["flashlight-text", width] = {pair: theirs.decoder(width, *pair) for pair in grid}
        spec = BeamSpec(beam_width=width, lm=NGramSpec(), lexicon=True)
        decoders["ours", width] = {
            (weight, insertion): ours(replace(spec, lm_weight=weight, insertion=insertion), tokenizer, model)
            for weight, insertion in grid
        }
    greedy = word_error_columns(asked, [_greedy(tokenizer, each) for each in posteriors]).sum().rate
    costs: dict[tuple[str, int], list[float]] = {each: [] for each in decoders}
    wrong: dict[tuple[str, int], dict[tuple[float, float], float]] = {each: {} for each in decoders}
    for _ in range(options.rounds):
        for each, by_pair in decoders.items():
            for pair, decode in by_pair.items():
                began = time.process_time()
                heard = [decode(log_probs_TV) for log_probs_TV in posteriors]
                costs[each].append(time.process_time() - began)
                wrong[each][pair] = word_error_columns(asked, heard).sum().rate
    print(f"{len(asked)} utterances, {seconds:.0f} s; greedy: {100 * greedy:.1f} % of the words wrong\n")
    body = []
    for (name, width), rates in wrong.items():
        best = min(rates, key=lambda pair: rates[pair])
        speed = seconds / statistics.median(costs[name, width])
        body.append([name, str(width), f"{100 * rates[best]:.2f} %", f"{best[0]}, {best[1]}", f"{speed:,.0f} ×"])
    print(markdown(["", "beam", "WER", "weight, insertion", "× real time"], body))


def _greedy(tokenizer: Tokenizer, log_probs_TV: Floats) -> str:
    from sorigil.decoding.ctc import greedy

    return tokenizer.decode(greedy(log_probs_TV).ids)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding_peer", description=__doc__)
    parser.add_argument("--utterances", type=int, default=100)
    parser.add_argument("--sure", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
