"""`sorigil erase`: whom it means, what it says it did, and what only the user can reach. The work is in `storage.erase`."""

from __future__ import annotations

import dataclasses
from typing import Any

from flows.upkeep import bytes_text, names_text, open_store
from sorigil.errors import RequestError, SorigilError
from storage.layout import Store


def erase(config: Any, name: str, where: list[str], *, dry_run: bool, delete_models: bool = False) -> dict[str, Any]:
    """Take a person's utterances out of a dataset, its history and what was made of it, and prove it."""
    from storage import erase as storage
    from storage import erase_proof, sources
    from storage.traces import find

    conditions = tuple(_condition(each) for each in where)
    pipeline = config.pipeline(name)
    store, catalog = open_store(config)
    try:
        items, scan_problem = sources.scan(pipeline.source), None
    except SorigilError as wrong:  # the source may be gone already
        items, scan_problem = None, str(wrong)
    traces = find(store, catalog, pipeline.dataset, conditions, items)
    result: dict[str, Any] = {"dataset": pipeline.dataset, "where": where, "utterances": sorted(traces.ids)}
    if not traces.ids:
        raise RequestError(f"{pipeline.dataset}: no utterance has {' and '.join(where)}; nothing was erased")
    result |= {"dry_run": dry_run, "delete_models": delete_models, "source_not_scanned": scan_problem}
    if dry_run:
        reach = storage.survey(store, catalog, pipeline.dataset, traces)
        return {**result, **_reached(pipeline, store, reach), "clean": False}
    done = storage.erase(store, catalog, pipeline.dataset, traces, delete_models=delete_models)
    proof = erase_proof.prove(store, traces)
    result |= {"done": dataclasses.asdict(done), "proof": dataclasses.asdict(proof), "clean": proof.clean}
    return {**result, **_reached(pipeline, store, done.reach)}


def _reached(pipeline: Any, store: Store, reach: Any) -> dict[str, Any]:
    """What is reached beyond the dataset, and what nobody but the user can reach."""
    from flows.run import public_address

    source = f"the source itself ({pipeline.source.uri})" if hasattr(pipeline.source, "uri") else "the source itself"
    left = [f"{source}: delete the recordings there", *reach.left]
    if store.mlflow.startswith(("http://", "https://")):
        left.append(f"tables of utterances among the artefacts of {public_address(store.mlflow)}: delete them there")
    left.append("MLflow's parameters and names of runs, backups, and copies of exports, models and transcripts")
    return {"reach": dataclasses.asdict(reach), "not_covered": left}


def _condition(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name or not value:
        raise RequestError(f"--where is {text!r}; it must be a field and its value, such as speaker=theo")
    return name.strip(), value.strip()


def erase_text(name: str, found: dict[str, Any]) -> str:
    count = len(found["utterances"])
    reached = _reach_lines(found)
    if found["dry_run"]:
        shown = ", ".join(found["utterances"][:20]) + (" …" if count > 20 else "")
        return "\n".join([f"{found['dataset']}: {count:,} utterances would be erased: {shown}", *reached])
    done, proof = found["done"], found["proof"]
    lines = [
        f"{found['dataset']}: {count:,} utterances erased",
        f"versions written anew: {names_text(done['rewritten'])}; expired: {names_text(done['expired'])}",
        f"parts: {done['parts']:,}; ledgers: {done['ledgers']:,}; documents: {len(done['documents']):,}",
        *reached,
        f"proof: {proof['files']:,} files ({bytes_text(proof['bytes'])}) read again for {proof['names']:,} names and keys: "
        + ("nothing found" if found["clean"] else f"FOUND in {', '.join(proof['found'][:5])}"),
    ]
    if found["source_not_scanned"]:
        lines.append(f"the source could not be scanned: {found['source_not_scanned']}")
    return "\n".join([*lines, f"they stay out of {name} while the source still has them"])


def _reach_lines(found: dict[str, Any]) -> list[str]:
    """What lies beyond the dataset, in the future where nothing has been done yet."""
    reach, would = found["reach"], "would be " if found["dry_run"] else ""
    fate = "deleted" if found["delete_models"] else "marked (--delete-models deletes them)"
    lines = [
        f"model {key[:12]}: learned from {'them, perhaps' if rows is None else f'{rows:,} of them'}; {would}{fate}"
        for key, rows in reach["models"].items()
    ]
    lines += [
        f"export of {each['facts']['version']} to {each['facts']['format']} in {each['place']}: {would}deleted"
        for each in reach["exports"]
    ]
    counted = {"transcripts": len(reach["transcripts"]), "unfinished trainings": reach["checkpoints"]}
    lines += [f"{what}: {number:,} {would}deleted" for what, number in counted.items() if number]
    if reach["mlflow_runs"]:
        lines.append(f"MLflow: {len(reach['mlflow_runs']):,} runs tagged")
    return [*lines, *(f"not covered: {each}" for each in found["not_covered"])]
