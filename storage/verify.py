"""Re-read what the store holds and hold it against the hashes that the catalogue keeps.

A part is good when its bytes have a sha256 that somebody who names it gives. What is not good can be set aside: plans
believe only parts that are there, so the next run computes exactly those rows again. Nothing here repairs bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from storage import bundles, files, references, s3
from storage.catalog import Catalog
from storage.layout import Store

Tell = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A part or a model that is not what was written. `named_by`: versions and "ledger"; `latest`: the last version too."""

    what: str  # relative to the root
    state: Literal["missing", "damaged", "unreadable"]
    detail: str
    named_by: tuple[str, ...] = ()
    latest: bool = False


@dataclass(kw_only=True, slots=True)
class Verified:
    """What was read and what was found. `orphans` are parts that nothing names, with their bytes."""

    parts: int = 0
    models: int = 0
    bytes: int = 0
    damage: list[Damage] = field(default_factory=list)
    orphans: dict[str, int] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)


def verify(store: Store, catalog: Catalog, dataset: str, tell: Tell = lambda done, total: None) -> Verified:
    """Hash every part that the dataset's versions and ledgers name, and the models that were trained on it."""
    versions = catalog.versions(dataset)
    last = versions[-1].name if versions else ""
    expected: dict[str, list[tuple[str | None, str]]] = {}
    for row in references.named_parts(store, catalog, dataset).to_pylist():
        expected.setdefault(row["part"], []).append((row["sha256"], row["by"]))
    sizes = {files.relative_to(found.uri, store.root): found.size for found in references.part_files(store, dataset)}
    result = Verified(parts=len(expected), bytes=sum(sizes.get(part, 0) for part in expected))
    result.orphans = {part: size for part, size in sizes.items() if part not in expected}

    def check(part: str) -> Damage | None:
        return _check(store, part, expected[part], last)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # hashing lets go of the interpreter
        for number, found in enumerate(pool.map(check, sorted(expected)), start=1):
            tell(number, len(expected))
            if found is not None:
                result.damage.append(found)
    for key in _models_of(store, dataset):
        result.models += 1
        wrong = bundles.damage(store, key)
        if wrong is not None:
            result.damage.append(Damage(what=store.model(key), state="damaged", detail=wrong))
    return result


def _check(store: Store, part: str, claims: Sequence[tuple[str | None, str]], last: str) -> Damage | None:
    named_by = tuple(sorted({by for _, by in claims}, key=_natural))
    about: dict[str, Any] = {"what": part, "named_by": named_by, "latest": last in named_by}
    try:
        found = files.sha256(store.path(part))
    except FileNotFoundError:
        if named_by == (references.LEDGER,):  # a note of work that will be done again when it is asked for
            return None
        return Damage(state="missing", detail="the file is not there", **about)
    except OSError as wrong:
        if s3.is_outage(wrong):
            raise  # no verdict on the part
        return Damage(state="unreadable", detail=str(wrong), **about)
    hashes = {sha256 for sha256, _ in claims}
    if found in hashes:
        return None
    said = ", ".join(str(each)[:12] for each in hashes)
    return Damage(state="damaged", detail=f"sha256 is {found[:12]}…, the catalogue says {said}…", **about)


def _natural(name: str) -> tuple[int, str]:
    """v2 before v10, "ledger" last."""
    return (int(name[1:]), "") if name[1:].isdigit() else (1 << 62, name)


def _models_of(store: Store, dataset: str) -> list[str]:
    """The models trained on a dataset; one whose facts cannot be read may be anybody's and is everybody's."""
    found = []
    for key in bundles.keys(store):
        try:
            if bundles.facts(store, key)["facts"]["dataset"] != dataset:
                continue
        except Exception:
            pass
        found.append(key)
    return found


def set_aside(store: Store, result: Verified) -> None:
    """Move what is damaged to `damaged/` in the store. Missing parts need nothing: plans see that they are not there."""
    for damage in result.damage:
        if damage.state == "missing":
            continue
        if damage.what.startswith("models/"):
            bundles.set_aside(store, damage.what.removeprefix("models/"))
        else:
            files.move(store.path(damage.what), store.path(store.damaged(damage.what)))
        result.set_aside.append(damage.what)
