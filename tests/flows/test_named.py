"""What things are called on the command line: registered models, runs and keys, in a store whose MLflow is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.named import Names, listed, nothing, some
from sorigil.errors import RequestError
from storage.experiments import Registered
from storage.layout import Store

THERE = {
    ("digits.words", "1"): "w1",
    ("digits.words", "2"): "w2",
    ("digits.which", "1"): "c1",
    ("tones.which", "1"): "t1",
}
ALIASES = {("digits.words", "newest"): "1", ("digits.which", "newest"): "1", ("tones.which", "newest"): "1"}
RUNS = [
    (f"{first:0<32}", experiment) for first, experiment in (("abcd", "digits"), ("abcdf", "tones"), ("face", "tones"))
]


class Tracked:
    """What `Names` asks of `storage.experiments`."""

    def registered(self) -> list[str]:
        return sorted({name for name, _ in THERE})

    def version(self, name: str, *, version: str | None = None, alias: str = "newest") -> Registered | None:
        number = version if version is not None else ALIASES.get((name, alias), "")
        bundle = THERE.get((name, number))
        return Registered(name=name, version=number, bundle=bundle, run=None) if bundle else None

    def versions_of(self, name: str) -> tuple[list[str], list[str]]:
        return [number for each, number in THERE if each == name], [alias for each, alias in ALIASES if each == name]

    def runs_called(self, text: str, shortest: int) -> list[tuple[str, str]]:
        return [run for run in RUNS if len(text) >= shortest and run[0].startswith(text)]


@pytest.fixture
def names() -> Names:
    found = Names(Store(root="store", catalog="", mlflow="http://somewhere"))
    found.__dict__["experiments"] = Tracked()
    return found


@pytest.mark.parametrize(
    ("asked", "bundle"),
    [
        ("digits.words", "w1"),  # what the last run logged, though a later version is there
        ("digits.words/2", "w2"),
        ("digits.words@newest", "w1"),
        ("tones", "t1"),  # it has but one
        ("tones/1", "t1"),
        ("words", None),
        ("", None),
    ],
)
def test_a_registered_model(names: Names, asked: str, bundle: str | None) -> None:
    found = names.registered(asked)
    assert (None if found is None else found.bundle) == bundle


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("digits", "digits: digits has several models; name one: digits.which, digits.words"),
        ("digits.words/3", "digits.words has no such version or alias; there are versions 1, 2; aliases newest"),
        ("digits.words@best", "no such version or alias"),
        ("digits.words@", "no such version or alias"),
        ("digits.words/", "no such version or alias"),
    ],
)
def test_a_version_that_there_is_not(names: Names, asked: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        names.registered(asked)


def test_a_run_and_a_key_by_their_first_digits(names: Names) -> None:
    assert names.run("face") == RUNS[2][0] and names.run("fac") is None
    keys = ["beef01", "beef02", "cafe01"]
    assert names.key("cafe", lambda: keys, "models") == "cafe01" and names.key("beef02", lambda: keys, "models")
    assert names.key("caf", lambda: keys, "models") is None and names.key("Cafe", lambda: keys, "models") is None
    with pytest.raises(RequestError, match=r"beef: 2 models begin so \(beef01, beef02\); give more digits"):
        names.key("beef", lambda: keys, "models")
    with pytest.raises(
        RequestError, match=r"abcd: 2 runs are called so \(abcd00000000 of digits, abcdf0000000 of tones\)"
    ):
        names.run("abcd")


def test_where_nothing_was_tracked_no_database_is_made(tmp_path: Path) -> None:
    names = Names(Store(root=str(tmp_path), catalog="", mlflow=f"sqlite:///{tmp_path}/mlflow.db"))
    assert names.registered("digits.words") is None and names.run("abcdef01") is None and names.models == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "known", "says"),
    [
        ("digits.wrods/3", ["digits.words", "digits.which"], r"no model is called so; did you mean digits.words\?$"),
        ("tone:dev", ["tones"], r"did you mean tones\?$"),
        ("x", ["digits.words", "tones.which"], r"there are digits.words, tones.which$"),
        ("x", [], "nothing yet$"),
        ("x", [str(number) for number in range(20)], r"there are 0, 1, 2, 3, 4, 5, 6, 7, … \(20 in all\)$"),
    ],
)
def test_what_is_near_or_there_is_said(asked: str, known: list[str], says: str) -> None:
    assert asked in str(nothing(asked, "model", known, none="nothing yet"))
    with pytest.raises(RequestError, match=says):
        raise nothing(asked, "model", known, none="nothing yet")


def test_a_list_of_names() -> None:
    given: Any = listed(" a, b,,a ", "--models")
    assert given == ["a", "b"] and some(given) == "a, b"
    with pytest.raises(RequestError, match="--models names nothing; give names with commas between"):
        listed(" , ", "--models")
