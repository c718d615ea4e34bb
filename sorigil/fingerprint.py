"""Stable names for what things were computed from.

A spec's fingerprint is a hash of the values that differ from its defaults and of its `FORMAT` number. Leaving defaults
out means that a new option with a neutral default invalidates nothing; raising `FORMAT` says that the output changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

HEX_DIGITS = 32  # 128 bits: no collision to be expected among 10^12 keys


def digest(*parts: str | bytes | int | None) -> str:
    """Hash a sequence of parts so that no two different sequences read the same (each is length-prefixed).

    A number reads as its digits, text as its UTF-8; None is like nothing else.
    """
    state = hashlib.sha256()
    for part in parts:
        if part is None:
            state.update(b"-:")
            continue
        data = part if isinstance(part, bytes) else str(part).encode()
        state.update(f"{len(data)}:".encode())
        state.update(data)
    return state.hexdigest()[:HEX_DIGITS]


def to_dict(spec: Any, *, defaults: bool = True) -> Any:
    """Turn a spec (a dataclass, possibly nested) into plain JSON values; `defaults=False` leaves default values out.

    A field named `kind` is always kept: it tells which spec it is. Fields whose metadata says
    `{"identity": False}` (a name, a number of workers) never enter a fingerprint.
    """
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        values = {
            field.name: to_dict(getattr(spec, field.name), defaults=defaults)
            for field in dataclasses.fields(spec)
            if defaults or _counts(spec, field)
        }
        return values if defaults or _format(spec) == 1 else {**values, "FORMAT": _format(spec)}
    if isinstance(spec, dict):
        return {str(key): to_dict(value, defaults=defaults) for key, value in spec.items()}
    if isinstance(spec, (list, tuple)):
        return [to_dict(value, defaults=defaults) for value in spec]
    return spec


def _counts(spec: Any, field: dataclasses.Field[Any]) -> bool:
    if not field.metadata.get("identity", True):
        return False
    if field.name == "kind":
        return True
    value = getattr(spec, field.name)
    if _format(value) > 1:
        return True
    if field.default is not dataclasses.MISSING:
        return bool(value != field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value != field.default_factory())
    return True


def fingerprint(spec: Any) -> str:
    """The spec's name for ever: equal for equal non-default values, whatever the order they were written in.

    A class that was renamed keeps its first name here, as `FINGERPRINT_NAME`.
    """
    text = json.dumps(_canonical(to_dict(spec, defaults=False)), sort_keys=True, ensure_ascii=False)
    return digest(getattr(spec, "FINGERPRINT_NAME", type(spec).__name__), _format(spec), text)


def _format(value: Any) -> int:
    return int(getattr(value, "FORMAT", 1))


def _canonical(value: Any) -> Any:
    """Equal numbers written alike: 20, as YAML may give it, is the same parameter as 20.0."""
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
