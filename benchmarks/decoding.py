"""What decoding costs: each decoder over the same posteriors, in seconds of audio by second of one processor.

python -m benchmarks.decoding [--minutes 10] [--tokens 32] [--rounds 5]: posteriors of 10 s utterances, 10 ms frames
subsampled by 4, as a trained model gives them (a sure token in most frames) and as a poor one does (flat: the worst case, in
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
from sorigil.decoding.spec import BeamSpec

SECONDS, FRAMES_PER_SECOND = 10, 25
BLANK_SHARE = 0.6

DECODERS: dict[str, Callable[[NDArray[np.float32]], object]] = {
    "greedy": greedy,
    "beam 8": lambda rows: beam(rows, BeamSpec(beam_width=8)),
    "beam 32": lambda rows: beam(rows, BeamSpec(beam_width=32)),
    "beam 32, thresholds 10 and 20": lambda rows: beam(
        rows, BeamSpec(beam_width=32, token_threshold=10, beam_threshold=20)
    ),
    "beam 128": lambda rows: beam(rows, BeamSpec(beam_width=128)),
}


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
    began = time.perf_counter()
    beam(posteriors(options.tokens, 8, 0), BeamSpec(beam_width=32))
    print(f"the first beam search of the process: {time.perf_counter() - began:.2f} s (compiled, or found compiled)\n")
    kinds = {"sure": 8.0, "flat": 0.0}
    count = round(60 * options.minutes / SECONDS)
    utterances = {kind: [posteriors(options.tokens, sure, i) for i in range(count)] for kind, sure in kinds.items()}
    costs: dict[tuple[str, str], list[float]] = {(name, kind): [] for name in DECODERS for kind in kinds}
    for _ in range(options.rounds):
        for (name, kind), found in costs.items():
            began = time.process_time()
            for log_probs_TV in utterances[kind]:
                DECODERS[name](log_probs_TV)
            found.append((time.process_time() - began) / count)
    body = [
        [name, *(f"{SECONDS / statistics.median(costs[name, kind]):,.0f} ×" for kind in kinds)] for name in DECODERS
    ]
    print(markdown([f"{options.tokens} tokens, × real time", *kinds], body))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of audio")
    parser.add_argument("--tokens", type=int, default=32, help="of the model, the blank among them")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
