"""What the verbs that keep a store healthy do and say: verify, prune, compact, erase, repair. The work is in `storage`."""

from __future__ import annotations

import dataclasses
from typing import Any

from flows.progress import Progress, reporter_for
from sorigil.report.summary import table
from storage import references
from storage.catalog import Catalog
from storage.layout import Store


def _open(config: Any) -> tuple[Store, Catalog]:
    store = config.storage.store().open()
    return store, Catalog(store.catalog, store.root)


def bytes_text(size: float) -> str:
    """1536 → "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def verify(config: Any, name: str, *, repair: bool) -> dict[str, Any]:
    """Re-read a dataset's parts and models; with `repair` set the damaged ones aside."""
    from storage import verify as storage

    dataset = config.pipeline(name).dataset
    store, catalog = _open(config)
    reporter = reporter_for()

    def tell(done: int, total: int) -> None:
        reporter.progress(Progress(stage="verify", done=done, total=total))

    found = storage.verify(store, catalog, dataset, tell)
    if repair:
        storage.set_aside(store, found)
    result = dataclasses.asdict(found)
    return {"dataset": dataset, "intact": not found.damage, **result, "advice": _advice(name, found)}


def _advice(name: str, found: Any) -> list[str]:
    """What to do about what was found."""
    said = []
    bad = [damage for damage in found.damage if damage.state != "missing" and damage.what not in found.set_aside]
    if bad:
        said.append(f"`sorigil verify {name} --repair` sets {len(bad)} damaged aside")
    gone = [damage for damage in found.damage if damage.state == "missing" or damage.what in found.set_aside]
    if any(damage.latest or references.LEDGER in damage.named_by for damage in gone):
        said.append(f"`sorigil prepare {name}` computes what is gone again, if the source still has it")
    if any(damage.what.startswith("models/") for damage in found.damage):
        said.append(f"`sorigil train {name}` trains a model that was set aside again")
    if any(damage.named_by and not damage.latest for damage in found.damage):
        said.append(f"what only old versions name goes with them: `sorigil versions prune {name}`")
    if found.orphans:
        size = bytes_text(sum(found.orphans.values()))
        said.append(
            f"{len(found.orphans):,} parts ({size}) belong to nothing; `sorigil versions prune {name}` deletes them"
        )
    return said


def verify_text(found: dict[str, Any]) -> str:
    said = f"{found['parts']:,} parts ({bytes_text(found['bytes'])}) and {found['models']:,} models read"
    lines = [f"{found['dataset']}: {said}; " + ("all intact" if found["intact"] else f"{len(found['damage']):,} not")]
    aside = set(found["set_aside"])
    body = [
        [
            row["state"] + (", set aside" if row["what"] in aside else ""),
            row["what"],
            row["detail"],
            _names(row["named_by"]),
        ]
        for row in found["damage"]
    ]
    if body:
        lines += table([["state", "what", "detail", "named by"], *body], indent="")
    return "\n".join([*lines, *found["advice"]])


def _names(names: Any) -> str:
    return " ".join(names) if len(names) <= 4 else f"{names[0]} … {' '.join(names[-2:])} ({len(names)})"
