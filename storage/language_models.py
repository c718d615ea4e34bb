"""Language models beside the recogniser whose decoder listens to them: ARPA text, and JSON that says what it was made of.

They are learned from the texts that the model was trained on, so the model's key and the spec name them. Whoever erases a
person deletes them: n-grams are pieces of what was said.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sorigil.errors import RunError
from sorigil.fingerprint import fingerprint
from sorigil.lm.arpa import from_arpa, to_arpa
from sorigil.lm.ngram import NGramModel
from storage import files
from storage.layout import Store


def save(store: Store, model_key: str, spec: Any, model: NGramModel, facts: dict[str, Any]) -> None:
    """Write a model; the JSON last: it says that the rest is whole."""
    place = _place(store, model_key, spec)
    files.write_bytes(f"{place}.arpa", "".join(to_arpa(model)).encode())
    files.write_bytes(f"{place}.json", json.dumps(facts, ensure_ascii=False, indent=1).encode())


def facts(store: Store, model_key: str, spec: Any) -> dict[str, Any] | None:
    """What is said of a model; None where there is none."""
    place = f"{_place(store, model_key, spec)}.json"
    if not files.exists(place):
        return None
    said: dict[str, Any] = json.loads(files.read_bytes(place))
    return said


@lru_cache(maxsize=2)
def load(store: Store, model_key: str, spec: Any) -> NGramModel:
    """Read a model; a process reads it once. Raises `RunError` where there is none, or where it is damaged."""
    place = f"{_place(store, model_key, spec)}.arpa"
    try:
        return from_arpa(files.read_bytes(place).decode().splitlines())
    except (OSError, ValueError) as wrong:
        raise RunError(f"{place}: the language model cannot be read ({wrong}); run the step evaluate again") from wrong


def delete(store: Store, model_key: str) -> None:
    """Take every language model of a recogniser out of the store."""
    folder = store.path(store.language_models(model_key))
    for entry in files.walk(folder) if files.is_url(folder) or files.local_path(folder).is_dir() else ():
        files.remove(entry.uri)


def _place(store: Store, model_key: str, spec: Any) -> str:
    return store.path(f"{store.language_models(model_key)}/{fingerprint(spec)}")
