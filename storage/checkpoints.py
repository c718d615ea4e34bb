"""Checkpoints of trainings under way: one safetensors file each, its facts in the file's own header, never a pickle.

`sorigil.training.checkpoint` says what is in them. Every one is complete, so of several any will do; a finished training
drops them, for the bundle holds the best weights.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Any

from sorigil.errors import RequestError
from storage import files
from storage.layout import Store
from storage.tensors import parse

log = logging.getLogger(__name__)

NEWEST_FIRST = ("last", "best")
_FAILED = "failed_batch.json"

Checkpoint = tuple[dict[str, Any], dict[str, Any]]  # tensors by name, facts


def save(store: Store, key: str, name: str, tensors: dict[str, Any], meta: dict[str, Any]) -> None:
    """One file, so that a kill cannot leave tensors of one epoch beside the facts of another."""
    from safetensors.torch import save as serialise

    files.write_bytes(store.path(_place(store, key, name)), serialise(tensors, metadata={"meta": json.dumps(meta)}))


def load(store: Store, key: str) -> Checkpoint | None:
    """The newest checkpoint as it was saved, or None where there is none.

    One that cannot be read is set aside, the one before it is taken, and a warning names both: hours of training are not
    lost to one bad file, and nobody has to wonder why an epoch is trained again.
    """
    torn = []
    found = None
    for name in NEWEST_FIRST:
        try:
            found = _read(store, key, name)
        except RequestError as damaged:
            torn.append(str(damaged))
            _set_aside(store, key, name)
        if found is not None:
            break
    for damage in torn:
        log.warning("%s; %s", damage, _what_now(store, key, name, found))
    return found


def save_failed_batch(store: Store, key: str, facts: dict[str, Any]) -> str:
    """Keep the batch that stopped a training, for whoever looks into it; returns its address."""
    address = store.path(store.checkpoint(key, _FAILED))
    files.write_bytes(address, json.dumps(facts, ensure_ascii=False, indent=1).encode())
    return address


def drop(store: Store, key: str) -> None:
    """Remove all that a training left on its way."""
    for place in (*(_place(store, key, name) for name in NEWEST_FIRST), store.checkpoint(key, _FAILED)):
        files.remove(store.path(place))


def _place(store: Store, key: str, name: str) -> str:
    return store.checkpoint(key, f"{name}.safetensors")


def _read(store: Store, key: str, name: str) -> Checkpoint | None:
    """Raises RequestError where the file is damaged."""
    address = store.path(_place(store, key, name))
    try:
        data = files.read_bytes(address)
    except FileNotFoundError:
        return None
    tensors = parse(data, address, f"it is now {store.damaged(_place(store, key, name))}")
    header = json.loads(
        data[8 : 8 + int.from_bytes(data[:8], "little")]
    )  # which has just been read by a stricter reader
    try:
        return tensors, json.loads(header["__metadata__"]["meta"])
    except (KeyError, ValueError) as other:
        raise RequestError(f"{address}: damaged: safetensors, but no facts of a training ({other!r})") from other


def _set_aside(store: Store, key: str, name: str) -> None:
    place = _place(store, key, name)
    with suppress(FileNotFoundError):  # of several processes that train together another one was first
        files.move(store.path(place), store.path(store.damaged(place)))


def _what_now(store: Store, key: str, name: str, found: Checkpoint | None) -> str:
    if found is None:
        return "there is no other one, so the training begins anew"
    epoch, step = found[1].get("epoch"), found[1].get("step")
    within = f" and {step} steps" if step else ""
    return f"the training goes on from {_place(store, key, name)}, after {epoch} epochs{within}"
