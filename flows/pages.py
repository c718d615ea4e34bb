"""What the looking verbs show: versions, the quarantine, models."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.headers import HEADER_COLUMNS, header_differences
from sorigil.errors import RequestError
from sorigil.report import numbers
from sorigil.report.measures import Spread, spread, spread_rows
from sorigil.report.summary import cut, table
from storage import bundles
from storage.catalog import Catalog
from storage.erase_reach import MARK
from storage.layout import Store
from storage.versions import Version


def _open(config: Any) -> tuple[Store, Catalog]:
    store = config.storage.store().open()
    return store, Catalog(store.catalog, store.root)


def _version(config: Any, name: str, wanted: str | None) -> tuple[Catalog, Version]:
    dataset = config.pipeline(name).dataset
    _, catalog = _open(config)
    version = catalog.version(dataset, wanted)
    if version is None:
        raise RequestError(f"{dataset} has no version yet; `sorigil prepare {name}` makes the first")
    return catalog, version


def version_rows(config: Any, name: str) -> list[dict[str, Any]]:
    dataset = config.pipeline(name).dataset
    _, catalog = _open(config)
    return [_row(version) for version in catalog.versions(dataset)]


def _row(version: Version) -> dict[str, Any]:
    return {
        "dataset": version.dataset,
        "version": version.name,
        "snapshot": str(version.snapshot),
        "created": version.created,
        "tags": list(version.tags),
        "books": version.books,
        "facts": version.facts,
    }


def version_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no versions yet"
    head = ["version", "made", "kept", "audio", "quarantined", "tags"]
    body = [
        [
            row["version"],
            row["created"],
            f"{row['books']['kept']['items']:,}",
            numbers.span(row["books"]["kept"]["seconds"]),
            f"{row['books']['quarantined']['items']:,}",
            " ".join(row["tags"]),
        ]
        for row in rows
    ]
    return "\n".join(table([head, *body], right=(2, 3, 4), indent=""))


def show_version(config: Any, name: str, wanted: str | None) -> dict[str, Any]:
    """What `versions list` says of it, and how its measures are spread."""
    from tasks.report import read_measures

    catalog, version = _version(config, name, wanted)
    spreads = {column: spread(values) for column, values in read_measures(catalog, version).items()}
    measures = {column: asdict(found) for column, found in spreads.items() if found}
    rows = catalog.read(version, "utterances", HEADER_COLUMNS)
    return {**_row(version), "measures": measures, "headers": header_differences(rows)}


def version_text(row: dict[str, Any]) -> str:
    lines = [f"{row['dataset']} {row['version']} {' '.join(row['tags'])}".rstrip(), f"made {row['created']}"]
    books = [[name, f"{line['items']:,}", numbers.span(line["seconds"])] for name, line in row["books"].items()]
    lines += table([["books", "items", "audio"], *books], right=(1, 2))
    if row["measures"]:
        measures = spread_rows({column: Spread(**found) for column, found in row["measures"].items()})
        lines += table([["measure", "5 %", "median", "95 %", "not known"], *measures], right=(1, 2, 3, 4))
    facts = dict(row["facts"])
    if (found := row["headers"])["recordings"]:
        often = (
            f"{found['recordings']:,} recordings are up to {found['seconds']:.3f} s longer or shorter than theirs say"
        )
        facts = {"headers": often, **facts}
    drift = facts.pop("drift", None)
    lines += table([[key, _in_words(key, value)] for key, value in facts.items()])
    lines += drift_lines(drift) if drift else []
    return "\n".join(lines)


def _in_words(fact: str, value: Any) -> str:
    """A fact as a person reads it; what an older or newer program wrote otherwise stays JSON."""
    if isinstance(value, str):
        return value
    if fact == "libraries" and isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if fact == "leaks" and isinstance(value, dict):
        said = (f"{found['groups']:,} {kind} on both sides ({found['items']:,} items)" for kind, found in value.items())
        return "; ".join(said) or "none found"
    if fact == "duplicates" and isinstance(value, dict):
        dropped = [f"{count:,} dropped ({reason})" for reason, count in value["dropped"].items()]
        groups = [" = ".join(group) for group in value["examples"]]
        kept = [f"{value['kept_groups']:,} groups of near-duplicates kept ({'; '.join(groups)})"] if groups else []
        return ", ".join(dropped + kept) or "none found"
    return json.dumps(value, ensure_ascii=False)


def diff_versions(config: Any, name: str, old: str, new: str) -> dict[str, Any]:
    """Ids that came, went and changed, and how far the two versions are from each other as a whole."""
    from flows.guards import drift_between

    catalog, after = _version(config, name, new)
    before = catalog.version(after.dataset, old)
    found: dict[str, Any] = dict(catalog.diff(before, after))
    if before is not None:
        states = [
            {table: catalog.read(each, table) for table in ("utterances", "annotations")} for each in (before, after)
        ]
        found["drift"] = {"from": before.name, **drift_between(*states)}
    return found


def diff_text(found: dict[str, Any]) -> str:
    lines = []
    for what, ids in found.items():
        if what == "drift":
            lines += drift_lines(ids)
            continue
        lines.append(f"{what}: {len(ids):,}")
        lines += [f"  {identity}" for identity in ids[:20]]
        lines += [f"  and {len(ids) - 20:,} more (--json lists them all)"] if len(ids) > 20 else []
    return "\n".join(lines)


def drift_lines(found: dict[str, Any]) -> list[str]:
    """The drift report as a table: amounts first, then distributions, the furthest first."""
    amounts = [
        [name, f"{row['old']:g}", f"{row['new']:g}", "" if row["change"] is None else f"{100 * row['change']:+.1f} %"]
        for name, row in found["amounts"].items()
    ]
    shifts = [
        [name, *([f"{row['old']:.3g}", f"{row['new']:.3g}"] if "old" in row else ["", ""]), f"{row['shift']:.3f}"]
        for name, row in sorted(found["shifts"].items(), key=lambda each: -each[1]["shift"])
    ]
    head = [f"drift from {found['from']}", "was", "is", "change"]
    lines = table([head, *amounts], right=(1, 2, 3))
    if shifts:
        lines += table([["distribution", "median was", "is", "shift (0 to 1)"], *shifts], right=(1, 2, 3))
    return lines


def tag_version(config: Any, name: str, wanted: str, tag: str) -> None:
    catalog, version = _version(config, name, wanted)
    catalog.tag(version.dataset, version, tag)


def quarantine_rows(config: Any, name: str, wanted: str | None, reason: str | None) -> list[dict[str, Any]]:
    catalog, version = _version(config, name, wanted)
    found = catalog.read(version, "quarantine").drop_columns(["place", "stamp", "code"])
    if reason is not None:
        known = pc.unique(found.column("reason")).to_pylist()
        if reason not in known:
            raise RequestError(
                f"{version.dataset}: nothing has the reason {reason}; there is: {', '.join(known) or 'nothing'}"
            )
        found = found.filter(pc.equal(found.column("reason"), pa.scalar(reason)))
    rows: list[dict[str, Any]] = found.sort_by([("reason", "ascending"), ("id", "ascending")]).to_pylist()
    return rows


def quarantine_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "nothing: every item of the source was kept"
    body = [[row["books"], row["reason"], cut(row["id"], 32), cut(row["detail"] or "", 72)] for row in rows]
    return "\n".join(table([["books", "reason", "id", "detail"], *body], indent=""))


def model_rows(config: Any) -> list[dict[str, Any]]:
    store, _ = _open(config)
    return [
        {
            "key": row["key"],
            "name": row["name"],
            "model": row["model"]["kind"],
            "objective": row["objective"],
            "outputs": len(row["outputs"]),
            "dataset": row["facts"]["dataset"],
            "version": row["facts"]["version"],
            "when": row["facts"]["when"],
            "best_epoch": row["facts"]["best_epoch"],
            "place": store.path(store.model(row["key"])),
            "note": "learned from erased data" if MARK in row["facts"] else "",
        }
        for row in bundles.list_models(store)
    ]


def model_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no models yet; `sorigil train NAME` makes them"
    noted = any(row["note"] for row in rows)
    names = (
        "key",
        "name",
        "model",
        "objective",
        "outputs",
        "dataset",
        "version",
        "when",
        *(("note",) if noted else ()),
    )
    body = [[str(row[name])[:25] if name != "key" else row[name][:12] for name in names] for row in rows]
    return "\n".join(table([list(names), *body], indent=""))
