"""What pydantic says of a configuration, in our words; and how to go on behind a mistake to find the next ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flows.config.problems import Fault, KeyPath, near_name, one_of, shown
from flows.config.yaml import value_at

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TAGS = ("kind", "by", "over")  # the keys that tell the members of a union apart
MARK = "\0"  # before a union's tag in pydantic's locations, which are otherwise keys and indices

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
}
_MAPPINGS = ("typed_dict_type", "dict_attributes_type", "mapping_type")


def spelled_out(value: Any, key: str = "kind") -> Any:
    """A spec written as its kind (or what else may stand `ALONE`), as a mapping."""
    return {key: value} if isinstance(value, str) else value


def fault_of(error: ErrorDetails, data: Any) -> Fault:
    """One of pydantic's errors in our words."""
    path = tuple(key for key in error["loc"] if not str(key).startswith(MARK))
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return Fault(path=path, seen="missing", hint="it has no default")
    if kind == "unknown":
        hint = near_name(path[-1], context["known"])
        return Fault(path=path, seen="unknown key", expected="" if hint else one_of(context["known"]), hint=hint)
    if kind == "tag":
        return _tag_fault(path, value, context["tag"], context["known"])
    if kind == "choice":
        hint = near_name(value, context["choices"]) or _quote_hint(value, context["expected"])
        return Fault(path=path, seen=shown(value), expected=context["expected"], hint=hint)
    if kind == "value_error":
        return _range_fault(path, spelled_out(value_at(data, path)), str(context["error"]))
    expected = _EXPECTED.get(kind) or ("a mapping" if kind in _MAPPINGS else error["msg"])
    return Fault(path=path, seen=shown(value), expected=expected, hint=_quote_hint(value, expected))


def _tag_fault(path: KeyPath, value: Any, tag: str, known: list[str]) -> Fault:
    if not isinstance(value, dict):
        return Fault(path=path, seen=shown(value), expected=f"a mapping with {tag}: {one_of(known)}")
    if tag not in value:
        hint = next((f"{key}: {near}" for key in value if (near := near_name(key, [tag]))), "")
        return Fault(path=path, seen=f"{tag} is missing", expected=f"{tag}: {one_of(known)}", hint=hint)
    return Fault(path=(*path, tag), seen=shown(value[tag]), expected=one_of(known), hint=near_name(value[tag], known))


def _range_fault(path: KeyPath, value: Any, sentence: str) -> Fault:
    """A spec's own sentence ("n_fft is 0; it must be at least 1"), put where the field it begins with is written."""
    field = sentence.split(" ", 1)[0]
    if not isinstance(value, dict) or field not in value:
        return Fault(path=path, seen=sentence)
    return Fault(path=(*path, field), seen=sentence.removeprefix(f"{field} is "))


def _quote_hint(value: Any, expected: str) -> str:
    if isinstance(value, bool | int | float) and "text" in expected:
        return f"in quotes it is text: '{shown(value)}'"
    if isinstance(value, str) and "number" in expected and _is_number(value):
        return f"without quotes it is a number: {value}"
    if isinstance(value, str) and expected == "a list":
        return f"a list of one is written [{value}]"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def covers(removed: KeyPath, fault: Fault) -> bool:
    """Whether a fault may only come from something taken out: it lies there, or names it ("... n_fft (512)")."""
    field = removed
    while not isinstance(field[-1], str):  # an item of a list: the field is the list
        field = field[:-1]
    within = fault.path == field or fault.path[: len(removed)] == removed
    beside = fault.path[: len(field) - 1] == field[:-1]
    return within or (beside and re.search(rf"\b{re.escape(field[-1])}\b", fault.seen) is not None)


def removable(data: Any, path: KeyPath) -> KeyPath | None:
    """What to take out to be rid of a fault: the whole spec where its kind is wrong, nothing where a key is missing."""
    path = path[:-1] if path and path[-1] in TAGS else path
    while path and isinstance(value_at(data, path[:-1]), str):  # a spec written as its kind alone
        path = path[:-1]
    parent = value_at(data, path[:-1])
    there = path[-1] in parent if path and isinstance(parent, dict) else bool(path) and isinstance(parent, list)
    return path if there else None


def remove(data: Any, path: KeyPath) -> None:
    """Take a key out of its mapping; an item of a list becomes null, so that the others keep their places."""
    parent, key = value_at(data, path[:-1]), path[-1]
    if isinstance(parent, dict):  # it may have gone with something around it
        parent.pop(str(key), None)
    elif isinstance(parent, list) and isinstance(key, int):
        parent[key] = None
