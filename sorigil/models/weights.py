"""Put named weights into a network, and say by name what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from sorigil.errors import RequestError

SHOWN = 6  # names in a message
Misshapen = tuple[str, Iterable[int], Iterable[int]]  # name, the shape that came, the shape that the network has


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], whose: str) -> None:
    """Give a network all its weights. Raises RequestError where they are not exactly its own; names those."""
    ours = network.state_dict()
    misshapen = [
        (name, weights[name].shape, value.shape)
        for name, value in ours.items()
        if name in weights and weights[name].shape != value.shape
    ]
    missing, unused = ours.keys() - weights.keys(), weights.keys() - ours.keys()
    if missing or misshapen or unused:
        raise RequestError(f"{whose}: the weights do not fit the network; {misfit(missing, misshapen, unused)}")
    network.load_state_dict(weights)


def misfit(missing: Iterable[str], misshapen: Iterable[Misshapen], unused: Iterable[str]) -> str:
    """Name the weights that are missing, have another shape or are not used, the first few of each."""
    wrong = [f"{name} is {tuple(theirs)} instead of {tuple(ours)}" for name, theirs, ours in misshapen]
    kinds = {"missing": missing, "of another shape": wrong, "not used": unused}
    return "; ".join(f"{kind}: {_some(sorted(names))}" for kind, names in kinds.items() if names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
