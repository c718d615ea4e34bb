"""Pretrained encoders where others have put them: a folder, an object store, or the Hugging Face hub.

`resolve` fills a model's spec with what decides what is computed, before a training; `read_weights` gives the tensors.
Never a pickle that can run code: safetensors, or torch's files read with `weights_only`. A trained bundle needs this no
more.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sorigil.errors import RequestError
from sorigil.fingerprint import digest
from storage import files, given
from storage.tensors import parse

_CONFIG, _PREPARATION = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")  # the first that is there
_NO_MATTER = {"architectures", "transformers_version", "_name_or_path", "torch_dtype", "dtype"}  # of a config.json
_ON_THE_HUB = ("*.json", "*.safetensors", "pytorch_model.bin")


def is_place(name: str) -> bool:
    """Whether this is a folder or an address, and not OWNER/NAME on the hub: then it begins with ., / or ~, or has ://."""
    return name.startswith((".", "/", "~")) or "://" in name


def resolve(spec: Any) -> Any:
    """The spec of a model with its whole configuration and the hash of its pretrained weights; others stay as they are.

    Raises:
        RequestError: there is no such model, it was trained at another rate, or its configuration is of another kind.
    """
    name = getattr(spec, "pretrained", None)
    if name is None:
        return spec
    from sorigil.models.pretrained import configuration

    if name:
        folder = folder_of(name)
        found = _json(files.join(folder, _CONFIG), name)
        rate = _json(files.join(folder, _PREPARATION), name, needed=False).get("sampling_rate", spec.sample_rate)
        if rate != spec.sample_rate:
            raise RequestError(f"{name}: trained on audio at {rate} Hz, but sample_rate is {spec.sample_rate}")
        config = {key: value for key, value in found.items() if key not in _NO_MATTER} | spec.config
        weights = digest("weights", *(given.sha256_of(uri) for uri in _weight_files(folder, name)))
        try:
            spec = replace(spec, config=config, weights=weights)
        except ValueError as wrong:
            raise RequestError(f"{name}: {wrong}") from wrong
    configuration(spec)
    return spec


def read_weights(spec: Any) -> dict[str, Any]:
    """The tensors of a resolved spec by name. Raises RequestError where they are not those that were resolved."""
    name = spec.pretrained
    tensors: dict[str, Any] = {}
    hashes = []
    for uri in _weight_files(folder_of(name), name):
        data = files.read_bytes(uri)
        hashes.append(hashlib.sha256(data).hexdigest())
        tensors |= parse(data, uri, "get it anew") if uri.endswith(".safetensors") else _torch_load(data, uri)
    if digest("weights", *hashes) != spec.weights:
        raise RequestError(f"{name}: the weights are others than when the run began; start it again")
    return tensors


def _torch_load(data: bytes, uri: str) -> dict[str, Any]:
    import pickle

    import torch

    try:
        found: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as wrong:
        raise RequestError(f"{uri}: holds more than weights, or is damaged; save it as model.safetensors") from wrong
    return found


def _weight_files(folder: str, name: str) -> list[str]:
    for file in _WEIGHTS:
        uri = files.join(folder, file)
        if not files.exists(uri):
            continue
        if not file.endswith(".index.json"):
            return [uri]
        shards = sorted(set(_json(uri, name)["weight_map"].values()))
        return [files.join(folder, shard) for shard in shards]
    raise RequestError(f"{name}: there are no weights in {folder}; one of {', '.join(_WEIGHTS)} must be there")


def _json(uri: str, name: str, needed: bool = True) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(files.read_bytes(uri))
        return found
    except FileNotFoundError as missing:
        if not needed:
            return {}
        raise RequestError(
            f"{name}: {uri} is missing; a folder as transformers' save_pretrained writes it"
        ) from missing
    except ValueError as torn:
        raise RequestError(f"{uri} is not JSON ({torn})") from torn


def folder_of(name: str, wanted: Sequence[str] = _ON_THE_HUB) -> str:
    """Where the files of a model are: `name` itself, or a local copy of what the hub has (only the files `wanted`, which
    are patterns). Raises RequestError where the hub cannot be asked, or has no such model."""
    if is_place(name):
        return name
    try:
        from huggingface_hub import snapshot_download
    except ImportError as missing:
        raise RequestError("the hub needs the package huggingface_hub: pip install 'sorigil[pretrained]'") from missing
    owner_and_name, _, revision = name.partition("@")
    try:
        return str(snapshot_download(owner_and_name, revision=revision or None, allow_patterns=list(wanted)))
    except Exception as wrong:  # its own errors, those of two HTTP libraries, and ValueError for a name that none has
        what = f"{type(wrong).__name__}: {str(wrong).splitlines()[0] if str(wrong) else ''}"
        raise RequestError(
            f"{name}: cannot be had from the Hugging Face hub ({what}); a folder is written with ./ or / before it"
        ) from wrong
