"""Language models beside the recogniser whose decoder listens to them: ARPA text or safetensors, and JSON that says what
they were made of.

They are learned from the texts that the model was trained on, so the model's key and the spec name them. Whoever erases a
person deletes them: n-grams are pieces of what was said. A file that was given stays where it is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from sorigil.errors import RequestError, RunError
from sorigil.fingerprint import digest, fingerprint
from sorigil.lm.arpa import from_arpa, to_arpa
from sorigil.lm.ngram import NGramModel
from sorigil.lm.recurrent import RecurrentModel
from storage import files, given
from storage.layout import Store


def resolve(decode: Any) -> Any:
    """The spec of a decoder with the digest of the files that its language model reads; others stay as they are.

    Raises:
        RequestError: there is no such file.
    """
    lm = getattr(decode, "lm", None)
    if lm is None or not lm.places:
        return decode
    return replace(decode, lm=replace(lm, content=digest("texts", *map(given.sha256_of, lm.places))))


def read(spec: Any) -> list[str]:
    """The texts of the files that a resolved language model reads. Raises RequestError where they are not those that were
    resolved."""
    found = [(place, files.read_bytes(place)) for place in spec.places]
    if found and digest("texts", *(hashlib.sha256(data).hexdigest() for _, data in found)) != spec.content:
        raise RequestError(f"{', '.join(spec.places)}: changed since the run began; start it again")
    return [given.text_of(data, place) for place, data in found]


def save(store: Store, model_key: str, spec: Any, model: NGramModel | RecurrentModel, facts: dict[str, Any]) -> None:
    """Write a model, unless it was given; the JSON last: it says that the rest is whole."""
    place = _place(store, model_key, spec)
    if isinstance(model, RecurrentModel):
        from safetensors.numpy import save as serialise

        arrays = {field.name: getattr(model, field.name) for field in fields(model)}
        files.write_bytes(f"{place}.safetensors", serialise(arrays))
    elif spec.kind != "arpa":
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
def load(store: Store, model_key: str, spec: Any) -> NGramModel | RecurrentModel:
    """Read a model; a process reads it once. Raises `RunError` where there is none, or where it is damaged; `RequestError`
    where a file that was given is no language model."""
    if spec.kind == "arpa":
        return _given(spec)
    place = f"{_place(store, model_key, spec)}.{'safetensors' if spec.kind == 'lstm' else 'arpa'}"
    try:
        data = files.read_bytes(place)
        return _recurrent(data) if spec.kind == "lstm" else from_arpa(data.decode().split("\n"))
    except (OSError, ValueError, RequestError) as wrong:
        raise RunError(f"{place}: the language model cannot be read ({wrong}); run the step evaluate again") from wrong


def _recurrent(data: bytes) -> RecurrentModel:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return RecurrentModel(**load(data))
    except (SafetensorError, TypeError) as wrong:
        raise ValueError(str(wrong)) from wrong


def _given(spec: Any) -> NGramModel:
    (text,) = read(spec)
    try:
        return from_arpa(text.split("\n"))
    except RequestError as wrong:
        raise RequestError(f"{spec.uri}: {wrong}") from wrong


def delete(store: Store, model_key: str) -> None:
    """Take every language model of a recogniser out of the store."""
    folder = store.path(store.language_models(model_key))
    for entry in files.walk(folder) if files.is_url(folder) or files.local_path(folder).is_dir() else ():
        files.remove(entry.uri)


def _place(store: Store, model_key: str, spec: Any) -> str:
    return store.path(f"{store.language_models(model_key)}/{fingerprint(spec)}")
