"""A recurrent language model over a recogniser's tokens, in arrays: one LSTM (Hochreiter & Schmidhuber 1997) and a softmax.

Token 0, the recogniser's blank, is in no text: as what came before it is the beginning of a text, as what comes next its
end. Learned by `lstm`; the beam search of `sorigil.decoding` takes the same step, compiled.

Shapes: V tokens, H values of the state, G = 4 H values of the gates (input, forget, cell, output), B texts. Probabilities
are natural logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from sorigil.lm.ngram import Perplexity

EDGE = 0  # of a text: its beginning and its end
TOGETHER = 256  # texts

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentModel:
    """`input_VG` is what a token adds to the gates, biases included, `hidden_HG` what the state does."""

    input_VG: Floats
    hidden_HG: Floats
    output_HV: Floats
    bias_V: Floats

    def __post_init__(self) -> None:
        tokens, gates = self.input_VG.shape
        expected = {"hidden_HG": (gates // 4, gates), "output_HV": (gates // 4, tokens), "bias_V": (tokens,)}
        for name, shape in {"input_VG": (tokens, gates), **expected}.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} is {getattr(self, name).shape}; beside {tokens} tokens and {gates} gates {shape}"
                )

    @property
    def parameters(self) -> int:
        """How many numbers it is made of."""
        return self.input_VG.size + self.hidden_HG.size + self.output_HV.size + self.bias_V.size

    def step(self, tokens_B: NDArray[np.int64], hidden_BH: Floats, cell_BH: Floats) -> tuple[Floats, Floats]:
        """The state after these tokens."""
        input_BH, forget_BH, new_BH, output_BH = np.split(
            self.input_VG[tokens_B] + hidden_BH @ self.hidden_HG, 4, axis=1
        )
        cell_BH = expit(forget_BH) * cell_BH + expit(input_BH) * np.tanh(new_BH)
        return expit(output_BH) * np.tanh(cell_BH), cell_BH

    def log_probs(self, texts: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        """Of each text, which is token ids, the log probability of each token and, last, of its end."""
        found: list[NDArray[np.float64]] = []
        for start in range(0, len(texts), TOGETHER):
            found += self._log_probs(texts[start : start + TOGETHER])
        return found

    def _log_probs(self, texts: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        lengths = [len(text) + 1 for text in texts]
        said_BL = np.full((len(texts), max(lengths) + 1), EDGE)
        for row, text in enumerate(texts):
            said_BL[row, 1 : lengths[row]] = text
        hidden_BH, cell_BH = np.zeros((2, len(texts), len(self.hidden_HG)), dtype=np.float32)
        log_prob_BL = np.zeros((len(texts), max(lengths)))
        for place in range(max(lengths)):
            hidden_BH, cell_BH = self.step(said_BL[:, place], hidden_BH, cell_BH)
            next_BV = log_softmax((hidden_BH @ self.output_HV + self.bias_V).astype(np.float64), axis=1)
            log_prob_BL[:, place] = np.take_along_axis(next_BV, said_BL[:, place + 1, None], axis=1)[:, 0]
        return [log_prob_L[:length] for log_prob_L, length in zip(log_prob_BL, lengths, strict=True)]

    def perplexity(self, texts: Sequence[Sequence[int]]) -> Perplexity:
        """How surprised the model is by these texts."""
        found = self.log_probs(texts)
        return Perplexity(log_prob=float(sum(each.sum() for each in found)), units=sum(map(len, found)), unknown=0)
