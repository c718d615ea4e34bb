"""Learn a recurrent language model from texts by gradient descent: the next token from those before it.

The same texts, seed and machine give the same model. Batches are planned as those of recognisers are, by length.

Shapes: B texts, L places (tokens and the end), V tokens, E values of an embedding, H of the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sorigil.errors import RequestError, RunError
from sorigil.lm.ngram import Perplexity
from sorigil.lm.recurrent import EDGE, RecurrentModel
from sorigil.lm.spec import RecurrentSpec
from sorigil.training.batching import plan_batches

NO_PLACE = -100  # what cross_entropy leaves out
LARGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
FARTHEST = 500.0  # nats for a token: whoever is as surprised has not learned

Texts = Sequence[Sequence[int]]
History = list[dict[str, float]]


def learn(
    train: Texts, dev: Texts, tokens: int, spec: RecurrentSpec, device: str = "cpu"
) -> tuple[RecurrentModel, History]:
    """Return the model of the epoch that `dev` surprised least (the last one, where there is no dev), and of each epoch
    the perplexities.

    Texts are ids from 1 to `tokens` - 1. Raises `RequestError` when there is no token at all, `RunError` where learning
    does not converge.
    """
    if not any(train):
        raise RequestError("no text holds a single token: a language model has nothing to learn from")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device != "cpu" else ()):
        torch.manual_seed(spec.seed)
        network = _Network(tokens, spec).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=spec.learning_rate, weight_decay=WEIGHT_DECAY)
        history: History = []
        best, least, since = network.model(), math.inf, 0
        for epoch in range(1, spec.epochs + 1):
            row = {
                "epoch": epoch,
                "train_perplexity": _checked(_epoch(network, optimizer, train, spec, epoch, device), spec),
            }
            history.append(row)
            model = network.model()
            if dev:
                row["dev_perplexity"] = _checked(model.perplexity(dev), spec)
            since = since + 1 if dev and row["dev_perplexity"] >= least else 0
            if not since:
                best, least = model, row.get("dev_perplexity", least)
            elif since >= spec.patience:
                break
    return best, history


class _Network(nn.Module):
    def __init__(self, tokens: int, spec: RecurrentSpec) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, spec.hidden)
        self.lstm = nn.LSTM(spec.hidden, spec.hidden, batch_first=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.output = nn.Linear(spec.hidden, tokens)

    def forward(self, before_BL: Tensor) -> Tensor:
        """logits_BLV of what comes next."""
        hidden_BLH, _ = self.lstm(self.dropout(self.embedding(before_BL)))
        logits_BLV: Tensor = self.output(self.dropout(hidden_BLH))
        return logits_BLV

    def model(self) -> RecurrentModel:
        of = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        biases_G = of["lstm.bias_ih_l0"] + of["lstm.bias_hh_l0"]
        return RecurrentModel(
            input_VG=of["embedding.weight"] @ of["lstm.weight_ih_l0"].T + biases_G,
            hidden_HG=of["lstm.weight_hh_l0"].T.copy(),
            output_HV=of["output.weight"].T.copy(),
            bias_V=of["output.bias"].copy(),
        )


def _epoch(
    network: _Network, optimizer: torch.optim.Optimizer, train: Texts, spec: RecurrentSpec, epoch: int, device: str
) -> Perplexity:
    """One pass over the texts: how surprised the model was by them on the way."""
    lengths = np.array([len(text) + 1 for text in train], dtype=np.float64)
    total, places = 0.0, 0
    for rows in plan_batches(lengths, spec.batch_tokens, spec.seed, epoch):
        before_BL, after_BL = (each.to(device) for each in _batch([train[row] for row in rows]))
        loss = cross_entropy(network(before_BL).flatten(0, 1), after_BL.flatten(), ignore_index=NO_PLACE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        count = int(lengths[rows].sum())
        total, places = total - loss.item() * count, places + count
    return Perplexity(log_prob=total, units=places, unknown=0)


def _batch(texts: Texts) -> tuple[Tensor, Tensor]:
    """What was said before each place, and what comes there; after the end there is no place."""
    longest = max(map(len, texts)) + 1
    before_BL, after_BL = torch.full((len(texts), longest), EDGE), torch.full((len(texts), longest), NO_PLACE)
    for row, text in enumerate(texts):
        ids = torch.tensor(text, dtype=torch.int64)
        before_BL[row, 1 : len(text) + 1] = ids
        after_BL[row, : len(text)] = ids
        after_BL[row, len(text)] = EDGE
    return before_BL, after_BL


def _checked(found: Perplexity, spec: RecurrentSpec) -> float:
    mean = found.log_prob / found.units
    if not mean > -FARTHEST:  # NaN is not
        raise RunError(f"the language model's loss became {-mean:.4g}; try a learning_rate below {spec.learning_rate}")
    return found.value
