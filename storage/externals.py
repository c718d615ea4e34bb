"""The files of externals: grammars, hypotheses, checkpoints. What they hold goes into the spec, and so into the key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sorigil.errors import RequestError
from sorigil.external.checkpoints import HEADS, longest
from sorigil.external.specs import ExternalSpec, FileSpec, PocketsphinxSpec, TransformersSpec
from sorigil.fingerprint import digest
from sorigil.text import exchange
from storage import files, given, pretrained

OF_A_CHECKPOINT = ("*.json", "*.txt", "*.model", "model.safetensors", "model-*-of-*.safetensors")
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")  # one of them says what the network takes
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")  # one of them has the symbols of what writes text


def resolve(spec: ExternalSpec) -> ExternalSpec:
    """The spec with what its files say. Raises RequestError where one is missing or cannot be used."""
    found: ExternalSpec = RESOLVE[spec.kind](spec)
    return found


def hypotheses(spec: FileSpec) -> exchange.Texts:
    """What a resolved spec's file holds. Raises RequestError where it is another than when it was resolved."""
    data = _bytes(spec.place)
    if hashlib.sha256(data).hexdigest() != spec.sha256:
        raise RequestError(f"{spec.uri}: the file is another than when the run began; start it again")
    return exchange.read(data, spec.uri, "text" if spec.objective == "ctc" else "label")


@contextmanager
def at_hand(spec: ExternalSpec) -> Iterator[str]:
    """A local folder with what the library of a resolved spec opens itself; "" where there is nothing. Raises RequestError
    where it is another than when the spec was resolved."""
    if not isinstance(spec, TransformersSpec):
        yield ""
        return
    folder = _folder(spec.place)
    found = _files(folder, spec)
    if _digest(found) != spec.files:
        raise RequestError(f"{spec.model}: its files are others than when the run began; start it again")
    if not files.is_url(folder):
        yield folder
        return
    with TemporaryDirectory() as copy:
        for name, uri in found.items():
            Path(copy, name).write_bytes(files.read_bytes(uri))
        yield copy


def _checkpoint(spec: TransformersSpec) -> TransformersSpec:
    place = files.absolute(spec.model) if pretrained.is_place(spec.model) else spec.model
    found = _files(_folder(place), spec)
    config, extractor = _config(found["config.json"], spec), _extractor(found, spec)
    said = " ".join(config.get("architectures") or ["none"])
    head = next((head for head in HEADS if said.endswith(head)), "")
    if not head:
        raise RequestError(
            f"{spec.name}: its architecture is {said}, which is no recogniser and no classifier; one must end in "
            f"{', '.join(HEADS)}"
        )
    if (spec.language or spec.task) and config.get("model_type") != "whisper":
        raise RequestError(f"{spec.name}: language and task are for whisper; this is a {config.get('model_type')}")
    classifies = HEADS[head].classifies
    several = config.get("problem_type") == "multi_label_classification"
    return replace(
        spec,
        files=_digest(found),
        head=head,
        objective="ctc" if not classifies else "tagging" if several else "classification",
        outputs=_labels(config, spec) if classifies else (),
        place=place,
        lacks=_lacks(found, writes=not classifies),
        sample_rate=int(extractor.get("sampling_rate") or 0),
        longest=longest(config.get("model_type", ""), head, extractor),
    )


def _folder(place: str) -> str:
    return files.absolute(pretrained.folder_of(place, OF_A_CHECKPOINT))


def _files(folder: str, spec: TransformersSpec) -> dict[str, str]:
    """The addresses of a checkpoint's files by their names."""
    names = [name for name in _names(folder, spec) if any(fnmatch(name, each) for each in OF_A_CHECKPOINT)]
    found = {name: files.join(folder, name) for name in names}
    if "config.json" not in found or not any(name.endswith(".safetensors") for name in found):
        raise RequestError(
            f"{spec.name}: {folder} must hold config.json and weights as model.safetensors, with the feature extractor and "
            "tokenizer beside them, as transformers' save_pretrained writes them; weights of other formats can run code"
        )
    return found


def _names(folder: str, spec: TransformersSpec) -> list[str]:
    """What lies in a folder and no deeper."""
    if files.is_url(folder):
        entries = files.listed(folder) or {entry.uri: entry for entry in files.walk(folder)}
        return [uri.rpartition("/")[2] for uri in entries if files.parent(uri) == folder]
    try:
        return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]
    except OSError as wrong:
        raise RequestError(f"{spec.name}: the folder {folder} cannot be read ({wrong.strerror})") from wrong


def _digest(found: dict[str, str]) -> str:
    return digest("files", *(part for name in sorted(found) for part in (name, given.sha256_of(found[name]))))


def _config(uri: str, spec: TransformersSpec) -> dict[str, Any]:
    try:
        found = json.loads(_text(uri))
    except ValueError as torn:
        raise RequestError(f"{uri} is not JSON ({torn})") from torn
    if not isinstance(found, dict):
        raise RequestError(f"{uri} is JSON but not an object; is {spec.model} a checkpoint of transformers?")
    return found


def _lacks(found: dict[str, str], *, writes: bool) -> str:
    """What is needed beside the network and is not there. transformers itself makes an empty tokenizer of no file, and
    then whatever Whisper hears is an empty text."""
    needed = {"feature extractor": EXTRACTORS, **({"tokenizer": TOKENIZERS} if writes else {})}
    return " and ".join(
        f"{what} ({', '.join(names)})"
        for what, names in needed.items()
        if not any(fnmatch(file, name) for file in found for name in names)
    )


def _extractor(found: dict[str, str], spec: TransformersSpec) -> dict[str, Any]:
    """What the feature extractor's file says; newer ones stand in the processor's."""
    said = [_config(found[name], spec) for name in EXTRACTORS if name in found]
    return next((found for each in said if "sampling_rate" in (found := each.get("feature_extractor", each))), {})


def _labels(config: dict[str, Any], spec: TransformersSpec) -> tuple[str, ...]:
    by_number = config.get("id2label") or {
        str(number): f"LABEL_{number}" for number in range(2)
    }  # as transformers does
    found = tuple(str(by_number[number]) for number in sorted(by_number, key=int))
    if len({*found}) < len(found):
        raise RequestError(f"{spec.name}: two of its labels have the same name; mend id2label in its config.json")
    return found


def _grammar(spec: PocketsphinxSpec) -> PocketsphinxSpec:
    return replace(spec, grammar_text=_text(spec.grammar)) if spec.grammar else spec


def _file(spec: FileSpec) -> FileSpec:
    place = files.absolute(spec.uri)
    data = _bytes(place)
    value = exchange.value_of(data)
    if exchange.read(data, spec.uri, value).format == "lines":
        raise RequestError(f"{spec.uri}: plain lines have no ids; write JSON lines, TRN or CTM")
    return replace(
        spec,
        sha256=hashlib.sha256(data).hexdigest(),
        objective="ctc" if value == "text" else "classification",
        place=place,
    )


def _text(uri: str) -> str:
    return given.text_of(_bytes(uri), uri)


def _bytes(uri: str) -> bytes:
    try:
        return files.read_bytes(uri)
    except OSError as wrong:
        raise RequestError(f"{uri}: the file cannot be read ({wrong.strerror or wrong})") from wrong


RESOLVE: dict[str, Callable[[Any], Any]] = {
    "pocketsphinx": _grammar,
    "transformers": _checkpoint,
    "file": _file,
}
