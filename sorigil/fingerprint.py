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
    """Hash a sequence of parts so that no two different sequences read the same (each is length-prefixed)."""
    state = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else b"\0none" if part is None else str(part).encode()
        state.update(f"{len(data)}:".encode())
        state.update(data)
    return state.hexdigest()[:HEX_DIGITS]


def to_dict(spec: Any, *, defaults: bool = True) -> Any:
    """Turn a spec (a dataclass, possibly nested) into plain JSON values; `defaults=False` leaves default values out.

    A field named `kind` is always kept: it tells which spec it is. Fields whose metadata says
    `{"identity": False}` (a name, a number of workers) never enter a fingerprint.
    """
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        return {
            field.name: to_dict(getattr(spec, field.name), defaults=defaults)
            for field in dataclasses.fields(spec)
            if defaults or _counts(spec, field)
        }
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
    if field.default is not dataclasses.MISSING:
        return bool(value != field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value != field.default_factory())
    return True


def fingerprint(spec: Any) -> str:
    """The spec's name for ever: equal for equal non-default values, whatever the order they were written in."""
    text = json.dumps(to_dict(spec, defaults=False), sort_keys=True, ensure_ascii=False)
    return digest(type(spec).__name__, getattr(spec, "FORMAT", 1), text)
