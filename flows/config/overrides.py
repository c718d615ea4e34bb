"""`--set a.b=value`: changes to a configuration that was read, before it is checked.

Values are read as YAML. An override that names nothing is a mistake of its own; one that sets a wrong value is found
by the checks like any other, and reported under its name instead of a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.config.faults import spelled_out
from flows.config.problems import Fault, KeyPath, near_name, one_of, without_password
from flows.config.yaml import Place, Tree, read

TOP = ("version", "storage", "cluster", "pipelines")


def apply(tree: Tree, overrides: Sequence[str], environ: Mapping[str, str], pipeline: str | None) -> None:
    """Change `tree` in place; what cannot be carried out is added to its faults."""
    for text in overrides:
        label = f"--set {without_password(text)}"
        key, equals, value = text.partition("=")
        keys = [part.strip() for part in key.split(".")]
        if not equals or not all(keys):
            tree.faults.append(Fault(path=(), seen="not of the form a.b=value", override=label))
            continue
        if keys[0] not in TOP and pipeline is not None:
            keys = ["pipelines", pipeline, *keys]
        elif keys[0] not in TOP:
            expected = f"a key that begins with {one_of(TOP)}"
            tree.faults.append(
                Fault(path=(), seen=f"{keys[0]} is no key of the file", expected=expected, override=label)
            )
            continue
        _apply_one(tree, keys, value, label, environ)


def entry_name(entry: Any) -> str | None:
    """What an item of a list (features, train) is called: its name, its kind, what it is over or which dataset it is,
    else its model's kind."""
    entry = spelled_out(entry)
    if not isinstance(entry, dict):
        return None
    model = spelled_out(entry.get("model"))
    names = (
        entry.get("name"),
        entry.get("kind"),
        entry.get("over"),
        entry.get("dataset"),
        model.get("kind") if isinstance(model, dict) else None,
    )
    return next((name for name in names if isinstance(name, str) and name), None)


def _apply_one(tree: Tree, keys: list[str], value: str, label: str, environ: Mapping[str, str]) -> None:
    if tree.data is None:
        tree.data = {}
    parent = tree.data
    path: KeyPath = ()
    for number, key in enumerate(keys):
        step = _step(parent, key, keys[:number], label, named=keys[:1] == ["pipelines"] and number == 1)
        if isinstance(step, Fault):
            tree.faults.append(step)
            return
        path = (*path, step)
        if number < len(keys) - 1:
            parent = _inside(tree, parent, step, path, label)
    for known in [known for known in tree.places if known[: len(path)] == path]:
        del tree.places[known]
    tree.faults = [fault for fault in tree.faults if fault.override or fault.path[: len(path)] != path]
    tree.places[path] = Place(label, None)
    found = read(value, label, environ, base=path, one_line=True)
    tree.places |= found.places
    tree.faults += found.faults
    parent[path[-1]] = found.data


def _step(parent: Any, key: str, before: list[str], label: str, named: bool) -> str | int | Fault:
    """The key or index that one part of an override means, or what is wrong with it."""
    where = ".".join(before)
    if isinstance(parent, dict):
        if named and key not in parent:
            hint = near_name(key, parent) or f"there are {', '.join(parent)}"
            return Fault(path=(), seen=f"there is no pipeline {key!r}", hint=hint, override=label)
        return key
    if not isinstance(parent, list):
        return Fault(path=(), seen=f"{where} is a single value and has no {key!r} in it", override=label)
    names = [entry_name(entry) for entry in parent]
    if key in names:
        return names.index(key)
    if key.isascii() and key.isdigit() and int(key) < len(parent):
        return int(key)
    known = list(dict.fromkeys(name for name in names if name is not None))
    expected = f"an index from 0 to {len(parent) - 1}" if parent else "nothing: the list is empty"
    expected += f", or {one_of(known)}" if known else ""
    return Fault(path=(), seen=f"{where} has no {key!r}", expected=expected, hint=near_name(key, known), override=label)


def _inside(tree: Tree, parent: Any, step: str | int, path: KeyPath, label: str) -> Any:
    """What the next key is looked for in: made where it is missing, spelled out where it is a kind alone."""
    value = parent.get(step) if isinstance(parent, dict) else parent[step]
    if value is None:
        value = {}
        tree.places[path] = Place(label, None)
    elif step in ("model", "source", "normalize", "trim", "decode", "lm", "folds") or isinstance(step, int):
        value = spelled_out(value)
    parent[step] = value
    return value
