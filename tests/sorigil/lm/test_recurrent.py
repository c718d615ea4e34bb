"""The recurrent language model: the same as torch's LSTM, learned anew the same, and stopped when dev gets no better."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sorigil.errors import RequestError, RunError
from sorigil.lm.kneser_ney import learn as learn_ngrams
from sorigil.lm.lstm import _Network, learn
from sorigil.lm.recurrent import RecurrentModel
from sorigil.lm.spec import RecurrentSpec

SPEC = RecurrentSpec(hidden=8, dropout=0.0, epochs=3, batch_tokens=64)
RNG = np.random.default_rng(0)
CYCLES = [[1 + (start + place) % 3 for place in range(length)] for start in range(3) for length in range(1, 12)]


def test_it_is_the_lstm_that_was_learned() -> None:
    torch.manual_seed(3)
    network = _Network(5, SPEC)
    texts = [[1, 2, 3, 4, 4], [], [2]]
    for text, found in zip(texts, network.model().log_probs(texts), strict=True):
        expected_LV = torch.log_softmax(network(torch.tensor([[0, *text]]))[0], dim=1).detach().numpy()
        assert found == pytest.approx(expected_LV[np.arange(len(text) + 1), [*text, 0]], rel=1e-5)


def test_the_probabilities_of_all_texts_sum_to_one() -> None:
    """Of those of up to four tokens; what is left is that of the longer ones."""
    torch.manual_seed(4)
    model = _Network(3, SPEC).model()
    texts = [text for length in range(5) for text in itertools.product((1, 2), repeat=length)]
    longer = list(itertools.product((1, 2), repeat=5))
    ended = sum(math.exp(each.sum()) for each in model.log_probs(texts))
    goes_on = sum(math.exp(each[:-1].sum()) for each in model.log_probs(longer))
    assert ended + goes_on == pytest.approx(1, rel=1e-6)


def test_perplexity_is_of_tokens_and_ends_as_that_of_ngrams_is() -> None:
    nothing = np.zeros((3, 8), np.float32)
    even = RecurrentModel(input_VG=nothing, hidden_HG=nothing[:2], output_HV=nothing[:2, :3], bias_V=nothing[0, :3])
    found = even.perplexity([[1, 2], []])
    assert (found.value, found.units, found.unknown) == (pytest.approx(3.0), 4, 0)
    assert learn_ngrams([["a", "b"], []], 1).perplexity([["a", "b"], []]).units == found.units


def test_what_always_comes_next_is_learned_and_the_same_again() -> None:
    spec = replace(SPEC, epochs=60, learning_rate=0.02, patience=60)
    model, history = learn(CYCLES, CYCLES[::4], 4, spec)
    after_a, after_b = (float(model.log_probs([text])[0][1]) for text in ([1, 2], [2, 3]))
    assert min(after_a, after_b) > math.log(0.7)  # or the text ends
    assert history[-1]["dev_perplexity"] < history[0]["dev_perplexity"] / 1.5
    random = torch.random.get_rng_state()
    again, _ = learn(CYCLES, CYCLES[::4], 4, spec)
    assert np.array_equal(again.output_HV, model.output_HV) and torch.equal(torch.random.get_rng_state(), random)
    other, _ = learn(CYCLES, CYCLES[::4], 4, replace(spec, seed=1))
    assert not np.array_equal(other.output_HV, model.output_HV)


def test_it_stops_when_dev_gets_no_better_and_keeps_the_best_epoch() -> None:
    train = [RNG.integers(1, 6, size=6).tolist() for _ in range(20)]  # nothing to learn but by heart
    dev = [RNG.integers(1, 6, size=6).tolist() for _ in range(20)]
    spec = replace(SPEC, hidden=32, epochs=80, learning_rate=0.02, patience=2)
    model, history = learn(train, dev, 6, spec)
    surprises = [row["dev_perplexity"] for row in history]
    best = int(np.argmin(surprises))
    assert len(history) == best + 1 + spec.patience < 80
    assert model.perplexity(dev).value == pytest.approx(surprises[best])
    _, whole = learn(train, [], 6, replace(spec, epochs=5))
    assert [row["epoch"] for row in whole] == [1, 2, 3, 4, 5] and "dev_perplexity" not in whole[0]


def test_nothing_to_learn_from_and_what_runs_away_are_told() -> None:
    with pytest.raises(RequestError, match="no text holds a single token"):
        learn([[], []], [], 4, SPEC)
    with pytest.raises(RunError, match="try a learning_rate below"):
        learn(CYCLES, [], 4, replace(SPEC, learning_rate=1e30))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": 0}, "hidden is 0; it must be at least 1"),
        ({"patience": 0}, "patience is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
    ],
)
def test_specs_that_make_no_sense_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RecurrentSpec(**options)  # type: ignore[arg-type]


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_HG is"):
        RecurrentModel(
            input_VG=np.zeros((3, 8)), hidden_HG=np.zeros((3, 8)), output_HV=np.zeros((2, 3)), bias_V=np.zeros(3)
        )
