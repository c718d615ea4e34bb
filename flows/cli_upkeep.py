"""The verbs that keep a store healthy. `cli.py` takes them in by `register`; the work is in `upkeep.py`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli_options import DEFAULT, File, Json, Name, Set, load, print_json


def register(app: typer.Typer, versions_app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(verify)
    app.command()(erase)
    app.command()(repair)
    app.command()(doctor)
    versions_app.command("prune")(prune)
    versions_app.command("compact")(compact)


def _say(found: dict[str, Any], as_json: bool, text: str, *, good: bool = True) -> None:
    """Print what was found and leave with 1 where it is not good."""
    if as_json:
        print_json({"schema": 1, "status": "completed" if good else "failed", "errors": [], **found})
    else:
        print(text)
    if not good:
        raise typer.Exit(1)


def verify(
    name: Name,
    repair: Annotated[
        bool, typer.Option("--repair", help="set what is damaged aside: the next run makes it again")
    ] = False,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Re-read every part and model and hold them against the hashes that were kept; exit 1 where one is damaged."""
    from flows import upkeep

    found = upkeep.verify(load(file, set, name), name, repair=repair)
    _say(found, json, upkeep.verify_text(found), good=found["intact"])


def prune(
    name: Name,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="the newest N versions stay")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="only versions older than this go: 30d")
    ] = None,
    min_age: Annotated[str | None, typer.Option("--min-age", help="of a file that nothing names; 7d")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be deleted, and delete nothing")] = False,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Drop old versions (never the latest, never one with a tag) and delete what no version needs any more."""
    from flows import upkeep

    config = load(file, set, name)
    found = upkeep.prune(config, name, keep=keep, older_than=older_than, min_age=min_age, dry_run=dry_run)
    _say(found, json, upkeep.prune_text(found))


def compact(
    name: Name,
    below: Annotated[int, typer.Option("--below", min=1, help="merge parts smaller than this many MiB")] = 64,
    target: Annotated[int, typer.Option("--target", min=1, help="into parts of about this many MiB")] = 128,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Merge the small parts of many nights into large ones: a new version with the same rows."""
    from flows import upkeep

    found = upkeep.compact(load(file, set, name), name, below_mib=below, target_mib=target)
    _say(found, json, upkeep.compact_text(name, found))


def erase(
    name: Name,
    where: Annotated[
        list[str], typer.Option("--where", help="speaker=theo, id=…, any column or extra (all must hold)")
    ],
    delete_models: Annotated[
        bool, typer.Option("--delete-models", help="delete the models that learned from them, instead of marking them")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and erase nothing")] = False,
    file: File = DEFAULT,
    set: Set = None,
    json: Json = False,
) -> None:
    """Take a person out of parts, features, annotations, every version, exports and transcripts, for good, and prove it; mark
    the models that learned from them. Let no run be under way."""
    from flows import erase as erasing

    found = erasing.erase(load(file, set, name), name, where, dry_run=dry_run, delete_models=delete_models)
    _say(found, json, erasing.erase_text(name, found), good=found["clean"] or dry_run)


def repair(file: File = DEFAULT, json: Json = False) -> None:
    """Make a store that was moved or copied to another folder work there."""
    from flows import upkeep

    found = upkeep.repair(load(file, None))
    _say(found, json, upkeep.repair_text(found))


def doctor(file: File = DEFAULT, json: Json = False) -> None:
    """Is everything here that a run needs: programs, extras, disk, store, ports, GPU. Exit 1 where something is wrong."""
    from flows import doctor as examination

    checks = examination.examine(file, load)
    good = not any(check.state == "wrong" for check in checks)
    _say({"checks": [check._asdict() for check in checks]}, json, examination.text(checks), good=good)
