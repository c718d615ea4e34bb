"""What decoding costs: each decoder over the same posteriors, in seconds of audio by second of one processor.

python -m benchmarks.decoding [--minutes 10] [--tokens 32] [--words 200000] [--rounds 5]: posteriors of 10 s utterances, 10 ms
frames subsampled by 4, as a trained model gives them (a sure token in most frames) and as a poor one does (flat: the worst case, in
which nothing can be left out). Processor time, medians over rounds that alternate; the compiler's is told apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import markdown
from sorigil.decoding.ctc import beam, greedy
from sorigil.decoding.fusion import LanguageModel, fused, units_of
from sorigil.decoding.spec import BeamSpec, DecodeSpec, GreedySpec
from sorigil.lm.kneser_ney import learn
from sorigil.lm.recurrent import RecurrentModel
from sorigil.lm.spec import LanguageModelSpec, NGramSpec, RecurrentSpec
from sorigil.text.tokenizer import SymbolTokens, Tokenizer

SECONDS, FRAMES_PER_SECOND = 10, 25
BLANK_SHARE = 0.6

N_GRAMS = NGramSpec(order=3)

DECODERS: dict[str, DecodeSpec] = {
    "greedy": GreedySpec(),
    "beam 8": BeamSpec(beam_width=8),
    "beam 32": BeamSpec(beam_width=32),
    "beam 32, thresholds 10 and 20": BeamSpec(beam_width=32, token_threshold=10, beam_threshold=20),
    "beam 32, hot words": BeamSpec(beam_width=32, hot_words=("hot", "word")),
    "beam 32, trigrams of tokens": BeamSpec(beam_width=32, lm=NGramSpec(units="tokens", order=3)),
    "beam 32, trigrams of words": BeamSpec(beam_width=32, lm=N_GRAMS),
    "beam 32, trigrams of words, thresholds": BeamSpec(
        beam_width=32, lm=N_GRAMS, token_threshold=10, beam_threshold=20
    ),
    "beam 32, trigrams of words, lexicon": BeamSpec(beam_width=32, lm=N_GRAMS, lexicon=True),
    "beam 32, LSTM of 256": BeamSpec(beam_width=32, lm=RecurrentSpec(hidden=256)),
    "beam 32, LSTM of 256, thresholds": BeamSpec(
        beam_width=32, lm=RecurrentSpec(hidden=256), token_threshold=10, beam_threshold=20
    ),
    "beam 128": BeamSpec(beam_width=128),
}


def decoder(spec: DecodeSpec, tokenizer: Tokenizer, texts: list[str]) -> Callable[[NDArray[np.float32]], object]:
    """What decodes one utterance by this spec, its language model learned."""
    if not isinstance(spec, BeamSpec):
        return greedy
    fusion = fused(spec, tokenizer, _language_model(spec.lm, tokenizer, texts))
    return lambda log_probs_TV: beam(log_probs_TV, spec, fusion)


def _language_model(spec: LanguageModelSpec | None, tokenizer: Tokenizer, texts: list[str]) -> LanguageModel | None:
    if isinstance(spec, NGramSpec):
        return learn(units_of(spec, tokenizer, texts), spec.order)
    return _untrained(spec.hidden, len(tokenizer)) if isinstance(spec, RecurrentSpec) else None


def _untrained(hidden: int, tokens: int) -> RecurrentModel:
    """An LSTM takes as long whatever it has learned."""
    random = np.random.default_rng(0)
    shapes = {"input_VG": (tokens, 4 * hidden), "hidden_HG": (hidden, 4 * hidden), "output_HV": (hidden, tokens)}
    arrays = {name: random.normal(0, hidden**-0.5, size=shape).astype(np.float32) for name, shape in shapes.items()}
    return RecurrentModel(**arrays, bias_V=np.zeros(tokens, np.float32))


def made_up_texts(tokenizer: Tokenizer, words: int) -> list[str]:
    """Texts of ten words from a vocabulary of 20,000, some of them much more frequent than others."""
    random = np.random.default_rng(0)
    letters = [token for token in tokenizer.tokens[1:] if token != " "]
    vocabulary = ["".join(random.choice(letters, size=random.integers(2, 9))) for _ in range(20_000)]
    chosen = random.zipf(1.2, size=words) % len(vocabulary)
    return [" ".join(vocabulary[place] for place in chosen[i : i + 10]) for i in range(0, words, 10)]


def posteriors(tokens: int, sure: float, seed: int) -> NDArray[np.float32]:
    """log_probs_TV of one utterance: the token that is meant stands `sure` nats above noise."""
    random = np.random.default_rng(seed)
    frames = SECONDS * FRAMES_PER_SECOND
    logits = random.normal(0, 1.5, size=(frames, tokens))
    meant = np.where(random.random(frames) < BLANK_SHARE, 0, random.integers(1, tokens, frames))
    logits[np.arange(frames), meant] += sure
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def main() -> None:
    options = _options()
    began = time.process_time()
    beam(posteriors(options.tokens, 8, 0), BeamSpec(beam_width=32))
    print(f"the first beam search of the process: {time.process_time() - began:.2f} s (compiled, or found compiled)\n")
    kinds = {"sure": 8.0, "flat": 0.0}
    count = round(60 * options.minutes / SECONDS)
    utterances = {kind: [posteriors(options.tokens, sure, i) for i in range(count)] for kind, sure in kinds.items()}
    tokenizer = Tokenizer.train(SymbolTokens(), [" ".join(map(chr, range(ord("a"), ord("a") + options.tokens - 2)))])
    texts = made_up_texts(tokenizer, options.words)
    began = time.process_time()
    learn([text.split() for text in texts], 3)
    print(f"trigrams of {options.words:,} words learned in {time.process_time() - began:.2f} s\n")
    decoders = {name: decoder(spec, tokenizer, texts) for name, spec in DECODERS.items()}
    costs: dict[tuple[str, str], list[float]] = {(name, kind): [] for name in DECODERS for kind in kinds}
    for _ in range(options.rounds):
        for (name, kind), found in costs.items():
            began = time.process_time()
            for log_probs_TV in utterances[kind]:
                decoders[name](log_probs_TV)
            found.append((time.process_time() - began) / count)
    body = [
        [name, *(f"{SECONDS / statistics.median(costs[name, kind]):,.0f} ×" for kind in kinds)] for name in DECODERS
    ]
    print(markdown([f"{options.tokens} tokens, × real time", *kinds], body))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of audio")
    parser.add_argument("--tokens", type=int, default=32, help="of the model, the blank among them")
    parser.add_argument("--words", type=int, default=200_000, help="that the language models learn from")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
