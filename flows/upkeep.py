"""What the verbs that keep a store healthy do and say: verify, prune, compact, repair. The work is in `storage`; `erase`
has a module of its own."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from typing import Any

from flows.progress import Progress, reporter_for
from sorigil.errors import RequestError
from sorigil.report.summary import table
from storage import references
from storage.catalog import Catalog, CommitLostError
from storage.layout import Store
from storage.versions import Version


def open_store(config: Any) -> tuple[Store, Catalog]:
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
    store, catalog = open_store(config)
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
            names_text(row["named_by"]),
        ]
        for row in found["damage"]
    ]
    if body:
        lines += table([["state", "what", "detail", "named by"], *body], indent="")
    return "\n".join([*lines, *found["advice"]])


def names_text(names: Any) -> str:
    if not names:
        return "none"
    return " ".join(names) if len(names) <= 4 else f"{names[0]} … {' '.join(names[-2:])} ({len(names)})"


def prune(
    config: Any, name: str, *, keep: int | None, older_than: str | None, min_age: str | None, dry_run: bool
) -> dict[str, Any]:
    """Let old versions expire and delete what none that stays needs."""
    from storage import collect

    dataset = config.pipeline(name).dataset
    store, catalog = open_store(config)
    plan = collect.plan_pruning(
        store,
        catalog,
        dataset,
        keep=keep,
        older_than=None if older_than is None else _age(older_than, "--older-than"),
        min_age=collect.MIN_AGE if min_age is None else _age(min_age, "--min-age"),
    )
    if not dry_run:
        collect.prune(store, catalog, plan)
    kinds: dict[str, dict[str, int]] = {}
    for doomed in plan.files:
        line = kinds.setdefault(doomed.kind, {"files": 0, "bytes": 0})
        line["files"] += 1
        line["bytes"] += doomed.bytes
    return {
        "dataset": dataset,
        "dry_run": dry_run,
        "expired": [version.name for version in plan.versions],
        "kept": [version.name for version in plan.kept],
        "bytes": plan.bytes(),
        "kinds": kinds,
        "files": [dataclasses.asdict(doomed) for doomed in plan.files],
    }


_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(text: str, option: str) -> timedelta:
    """30d, 12h, 45m, 90s, 2w."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise RequestError(f"{option} is {text!r}; it must be a number and a unit, such as 30d, 12h or 2w")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def prune_text(found: dict[str, Any]) -> str:
    would = "would be" if found["dry_run"] else "were"
    lines = [f"{found['dataset']}: {len(found['expired'])} versions {would} dropped: {names_text(found['expired'])}"]
    if not found["expired"]:
        lines = [f"{found['dataset']}: every version stays ({names_text(found['kept'])})"]
    body = [[kind, f"{line['files']:,}", bytes_text(line["bytes"])] for kind, line in found["kinds"].items()]
    if not body:
        return "\n".join([*lines, "there is nothing to delete"])
    total = [f"{would} deleted", f"{len(found['files']):,}", bytes_text(found["bytes"])]
    return "\n".join([*lines, *table([["files", "number", "size"], *body, total], right=(1, 2), indent="")])


def compact(config: Any, name: str, *, below_mib: int, target_mib: int) -> dict[str, Any]:
    """Merge small parts of the latest version and commit; begin again where a run commits meanwhile."""
    from flows.steps import REPLANS
    from storage import compact as storage

    dataset = config.pipeline(name).dataset
    store, catalog = open_store(config)
    for attempt in range(REPLANS):
        version = _latest(catalog, dataset, name)
        try:
            found = storage.compact(store, catalog, version, below=below_mib << 20, target=target_mib << 20)
            break
        except CommitLostError:
            if attempt == REPLANS - 1:
                raise
    return {
        "dataset": dataset,
        "from": version.name,
        "version": found.version.name,
        "parts_before": found.parts_before,
        "parts_after": found.parts_after,
        "merged": found.merged,
    }


def _latest(catalog: Catalog, dataset: str, name: str) -> Version:
    version = catalog.version(dataset)
    if version is None:
        raise RequestError(f"{dataset} has no version yet; `sorigil prepare {name}` makes the first")
    return version


def compact_text(name: str, found: dict[str, Any]) -> str:
    said = f"{found['dataset']} {found['from']}: {found['parts_before']:,} parts"
    if not found["merged"]:
        return f"{said}; nothing to merge"
    return (
        f"{said}, {found['parts_after']:,} in {found['version']}, which holds the same rows\n"
        f"older versions keep their parts; `sorigil versions prune {name}` deletes what no version needs"
    )


def repair(config: Any) -> dict[str, Any]:
    """Make the addresses of a store that was moved true again."""
    from storage.relocate import relocate

    store, catalog = open_store(config)
    found = relocate(store, catalog)
    return {"store": store.root, **dataclasses.asdict(found)}


def repair_text(found: dict[str, Any]) -> str:
    if not found["tables"]:
        return f"{found['store']}: every address is true; nothing to repair"
    old = ", ".join(sorted(set(found["tables"].values())))
    said = (
        f"{len(found['tables'])} tables, {found['files']:,} files, {found['mlflow_rows']:,} rows of MLflow's database"
    )
    return f"{found['store']}: addresses below {old} are below this folder now: {said}"
