"""Labels, tags and symbols of one side alone are named, each as the model will see it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sorigil.text.tokenizer import SymbolTokens
from tasks.label_sets import MOST, differences
from tasks.train_job import TrainJob


def job(objective: str, train: list[str], test: list[str], tokens: str = "characters", mixed: Any = ()) -> TrainJob:
    rows = pa.table({"said": [*train, *test, "é"], "side": ["train"] * len(train) + ["test"] * len(test) + ["dev"]})
    given: dict[str, Any] = {"objective": objective, "tokens": SymbolTokens(kind=tokens), "rows": rows}  # type: ignore[arg-type]
    unused: dict[str, Any] = dict.fromkeys(
        ("store", "dataset", "version", "name", "model", "audio", "feature", "train")
    )
    more = pa.table({"said": mixed}) if mixed else None
    return TrainJob(**unused, **given, target="said", normalizer="basic", mixed=more)


def test_classes_are_compared_whole() -> None:
    assert differences(job("classification", ["a;b", "c"], ["a;b"])) == ["train has labels that test has not (1): c"]
    assert differences(job("classification", ["b"], ["b", "z", "y"], mixed=["z"])) == [
        "test has labels that train has not (2): y, z"
    ]


def test_lists_as_classes_are_said() -> None:
    (said,) = differences(job("classification", ['["b"]', "[a]", '["a","c"]'], ['["a","c"]', '["b"]', "[a]"]))
    assert said.startswith('2 labels are lists, such as ["a","c"], each a class here; objective: tagging')
    assert differences(job("ctc", ['["a"]'], ['["a"]'])) == []


def test_tags_are_compared_one_by_one() -> None:
    assert differences(job("tagging", ["dog;rain", "cat"], ["rain;cat", '["dog","cat"]', ""])) == []
    assert differences(job("tagging", ["dog"], ['["dog","a;b"]', "new;dog"])) == [
        "test has labels that train has not (2): a;b, new"
    ]


@pytest.mark.parametrize(
    ("tokens", "train", "test", "named"),
    [
        ("characters", ["ab cd"], ["ac é", "ab"], "symbols that train has not (1): 'é'"),
        ("jamo", ["각"], ["가", "간"], "symbols that train has not (1): '\u11ab'"),
        ("words", ["ab cd"], ["cd ab abc"], "words that train has not (1): 'abc'"),
    ],
)
def test_symbols_are_what_the_tokens_are_made_of(tokens: str, train: list[str], test: list[str], named: str) -> None:
    assert differences(job("ctc", train, test, tokens)) == [f"test has {named}; each counts as an error"]


def test_texts_of_mixed_data_are_learned_too() -> None:
    assert differences(job("ctc", ["ab"], ["ab é"], mixed=["é a"])) == []


def test_no_test_set_has_nothing_to_differ_and_many_names_are_cut() -> None:
    assert differences(job("classification", ["a"], [])) == []
    (said,) = differences(job("classification", ["a"], ["a", *(f"n{number:04}" for number in range(1000))]))
    assert said.startswith("test has labels that train has not (1,000): n0000, ") and said.endswith(
        f"n{MOST - 1:04}, …"
    )
