"""Names for ever: what must change them does, what must not does not. The golden ones are a promise to existing stores."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.audio.spec import AudioSpec, NoNormalize, PeakNormalize, RmsNormalize
from sorigil.features import LogMel, Mfcc, Spectrogram
from sorigil.fingerprint import digest, fingerprint, to_dict

_parts = st.lists(st.none() | st.text(max_size=4) | st.integers(-20, 20), max_size=4)


@given(one=_parts, other=_parts)
def test_digests_are_equal_only_for_equal_sequences(one: list[Any], other: list[Any]) -> None:
    same = [None if part is None else str(part) for part in one] == [
        None if part is None else str(part) for part in other
    ]
    assert (digest(*one) == digest(*other)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("a",), ("a", "")), ((None,), ("",)), ((None,), ("\0none",)), ((None,), ("None",)),
     ((), (None,)), (("1:a",), ("a",)), ((None, None), (None,)), (("-:",), (None,))],
)  # fmt: skip
def test_sequences_that_read_alike_in_a_careless_hash(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert digest(*one) != digest(*other)


def test_digests_are_those_of_yesterday() -> None:
    assert digest("a", 1, None, b"\xff") == "e67d1f5878c2f4009e12b2e5dca858a8"
    assert fingerprint(AudioSpec()) == "3d7d1281f24a7cddd3848983bc43a2fd"
    assert fingerprint(LogMel(n_mels=40)) == "2f9379871caf120c7e555df41430243f"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    kind: str = "inner"
    level: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class InnerAnew:
    FORMAT: ClassVar[int] = 2
    kind: str = "inner"
    level: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    must: int
    a: int = 1
    b: float | None = None
    inner: Any = Inner()
    several: tuple[Any, ...] = ()
    table: dict[str, Any] = field(default_factory=dict)
    name: str | None = field(default=None, metadata={"identity": False})


def _later(cls: type[Any], **more: Any) -> Any:
    """The same class as a later program has it, with another option or format."""
    made: dict[str, Any] = {"__annotations__": {name: int for name in more if name != "FORMAT"}, **more}
    if "FORMAT" in more:
        made["__annotations__"]["FORMAT"] = ClassVar[int]
    return dataclass(frozen=True, kw_only=True)(type(cls.__name__, (cls,), made))


def test_a_new_option_with_a_default_changes_no_name_but_its_use_does() -> None:
    later = _later(Spec, option=0)
    assert fingerprint(later(must=1, a=5)) == fingerprint(Spec(must=1, a=5))
    assert fingerprint(later(must=1, a=5, option=1)) != fingerprint(Spec(must=1, a=5))


def test_a_raised_format_changes_every_name() -> None:
    assert fingerprint(_later(Spec, FORMAT=2)(must=1)) != fingerprint(Spec(must=1))
    assert fingerprint(_later(Spec, FORMAT=1)(must=1)) == fingerprint(Spec(must=1))


@pytest.mark.parametrize("inner", [{}, {"level": 2.0}])
def test_a_raised_format_inside_changes_the_name_outside(inner: dict[str, Any]) -> None:
    """Also where the inner spec is the default one and would be left out."""
    assert fingerprint(Spec(must=1, inner=InnerAnew(**inner))) != fingerprint(Spec(must=1, inner=Inner(**inner)))
    anew = _later(Spec, inner=InnerAnew())
    anew.__annotations__["inner"] = Any
    assert fingerprint(anew(must=1)) != fingerprint(Spec(must=1))


def test_what_a_thing_is_called_is_no_part_of_what_it_is() -> None:
    assert fingerprint(Spec(must=1, name="x")) == fingerprint(Spec(must=1))
    assert to_dict(Spec(must=1, name="x"))["name"] == "x"
    assert "name" not in to_dict(Spec(must=1, name="x"), defaults=False)


_values = st.fixed_dictionaries(
    {},
    optional={
        "a": st.integers(-2, 2),
        "b": st.none() | st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e300, 1, 2]),
        "inner": st.builds(Inner, level=st.sampled_from([1.0, 1, 2.0, 2, 0.5])),
        "several": st.lists(st.sampled_from([1, 1.0, "1", None]), max_size=2).map(tuple),
        "table": st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, 1.0, "1"]), max_size=2),
    },
)


@given(one=_values, other=_values)
def test_equal_specs_have_equal_names_and_others_have_others(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal as Python sees it: 20 written in YAML is the 20.0 that the program would have put there."""
    left, right = Spec(must=1, **one), Spec(must=1, **other)
    assert (fingerprint(left) == fingerprint(right)) == (left == right)


def test_kinds_with_equal_values_have_other_names() -> None:
    specs: list[Any] = [
        AudioSpec(), AudioSpec(normalize=NoNormalize()), AudioSpec(normalize=RmsNormalize()), AudioSpec(channels=0),
        AudioSpec(normalize=PeakNormalize(level_db=-1.0)), AudioSpec(sample_rate=8000), LogMel(), Mfcc(), Spectrogram(),
        NoNormalize(), PeakNormalize(), RmsNormalize(),
    ]  # fmt: skip
    for one, other in itertools.combinations(specs, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


def test_to_dict_gives_plain_values_whole_or_without_defaults() -> None:
    spec = Spec(must=1, inner=Inner(level=2.0), several=(Inner(), "x"), table={"k": Inner()})
    assert to_dict(spec) == {
        "must": 1, "a": 1, "b": None, "inner": {"kind": "inner", "level": 2.0},
        "several": [{"kind": "inner", "level": 1.0}, "x"], "table": {"k": {"kind": "inner", "level": 1.0}}, "name": None,
    }  # fmt: skip
    assert to_dict(spec, defaults=False) == {
        "must": 1, "inner": {"kind": "inner", "level": 2.0}, "several": [{"kind": "inner"}, "x"],
        "table": {"k": {"kind": "inner"}},
    }  # fmt: skip
