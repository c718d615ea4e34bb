"""Checkpoints: what was saved comes back, and one that is damaged costs no more than what came after the one before."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as serialise

from storage import checkpoints
from storage.layout import Store

META = {"epoch": 3, "step": 0, "history": [{"loss": 0.1}], "text": '가 "quoted"', "none": None}
WHOLE = serialise({"x": torch.ones(100)}, metadata={"meta": "{}"})
NO_FACTS = serialise({"x": torch.ones(2)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=str(tmp_path / "store"), catalog="", mlflow="")


def place(store: Store, name: str) -> Path:
    return Path(store.root) / f"checkpoints/key/{name}.safetensors"


def test_a_checkpoint_comes_back_and_is_dropped(store: Store) -> None:
    assert checkpoints.load(store, "key") is None
    tensors = {"weights.a": torch.randn(3, 4), "optimizer.step": torch.tensor(7), "half": torch.ones(2).half()}
    for name in ("best", "last"):
        checkpoints.save(store, "key", name, tensors, META)
    found = checkpoints.load(store, "key")
    assert found is not None
    assert found[1] == META and found[0].keys() == tensors.keys()
    assert all(
        torch.equal(found[0][name], tensors[name]) and found[0][name].dtype == tensors[name].dtype for name in tensors
    )
    assert len(list(Path(store.root).rglob("*.safetensors"))) == 2, "one file each: tensors and facts cannot part"
    checkpoints.save_failed_batch(store, "key", {})
    for _ in range(2):
        checkpoints.drop(store, "key")
    assert checkpoints.load(store, "key") is None and not list(Path(store.root).rglob("*.*"))


@pytest.mark.parametrize(
    "bytes_there",
    [
        b"",
        WHOLE[:7],
        WHOLE[:30],
        WHOLE[:-1],
        b"\xff" * 500,
        b"\0" * 500,
        b"not a checkpoint at all",
        serialise({"x": torch.ones(2)}),
    ],
    ids=["empty", "no length", "half a header", "one byte less", "ones", "zeros", "text", "no facts"],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_is_taken(
    store: Store, bytes_there: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints.save(store, "key", "best", {"x": torch.ones(2)}, META)
    place(store, "last").write_bytes(bytes_there)
    with caplog.at_level(logging.WARNING):
        found: Any = checkpoints.load(store, "key")
    assert found[1] == META
    (said,) = caplog.messages
    assert str(place(store, "last")) in said and "damaged" in said
    assert "the training goes on from checkpoints/key/best.safetensors, after 3 epochs" in said
    assert not place(store, "last").exists()
    assert (Path(store.root) / "damaged/checkpoints/key/last.safetensors").read_bytes() == bytes_there
    caplog.clear()
    assert checkpoints.load(store, "key") is not None and not caplog.messages  # said once


def test_with_no_other_one_the_training_begins_anew(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("last", "best"):
        checkpoints.save(store, "key", name, {"x": torch.ones(2)}, META)
        place(store, name).write_bytes(WHOLE[:20])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load(store, "key") is None
    assert len(caplog.messages) == 2 and all("so the training begins anew" in said for said in caplog.messages)


def test_the_best_one_is_taken_where_the_last_one_was_never_written(store: Store) -> None:
    """A kill between the two of the first epoch."""
    checkpoints.save(store, "key", "best", {"x": torch.ones(2)}, META)
    found = checkpoints.load(store, "key")
    assert found is not None and found[1] == META
