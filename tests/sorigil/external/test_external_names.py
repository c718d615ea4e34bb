"""How externals are called on a command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sorigil import external
from sorigil.errors import RequestError
from sorigil.external.specs import FileSpec, PocketsphinxSpec, TransformersSpec


def test_a_name_is_a_kind_and_what_it_needs() -> None:
    assert external.parse("pocketsphinx") == PocketsphinxSpec()
    assert external.parse("pocketsphinx:./a:b.gram") == PocketsphinxSpec(grammar="./a:b.gram")
    whisper = TransformersSpec(model="openai/whisper-tiny@main", language="ko", task="translate")
    assert external.parse("transformers:openai/whisper-tiny@main?language=ko&task=translate") == whisper
    assert external.parse("file:s3://bucket/h.trn") == FileSpec(uri="s3://bucket/h.trn")


@pytest.mark.parametrize(
    "name", ["pocketsphinx", "pocketsphinx:digits.gram", "file:h.ctm", "transformers:./w?language=ko"]
)
def test_a_spec_is_called_as_it_was_asked_for(name: str) -> None:
    assert external.parse(name).name == name


def test_what_is_no_external_is_said() -> None:
    assert external.is_external("pocketsphinx:x") and not external.is_external("words") and not external.is_external("")
    with pytest.raises(
        RequestError, match="no external is called 'sphinx'; there are pocketsphinx, transformers, file"
    ):
        external.parse("sphinx:x")
    with pytest.raises(RequestError, match="file:: it names no file; write file:PATH"):
        external.parse("file:")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", "it names no model"),
        ("./w?lang=ko", "there is no option lang; there are language and task"),
        ("./w?task=summarise", "task is 'summarise'; it must be transcribe or translate"),
        ("./w?ko", "bad query field"),
    ],
)
def test_a_checkpoint_has_a_model_and_two_options(rest: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        external.parse(f"transformers:{rest}")


def test_naming_an_external_loads_no_library() -> None:
    heavy = "{'torch', 'transformers', 'pocketsphinx'} & {*sys.modules}"
    code = f"import sys; from sorigil import external; external.parse('transformers:./w'); sys.exit(len({heavy}))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(library: str) -> str:
        raise external.PackageNotFoundError(library)

    monkeypatch.setattr(external, "version", missing)
    for ask in (external.key_of, external.opened):
        with pytest.raises(RequestError, match=r"pip install 'sorigil\[external\]'"):
            ask(PocketsphinxSpec())
