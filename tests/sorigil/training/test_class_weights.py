"""Class weights against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.training.class_weights import class_weights


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_balanced_classes_weigh_the_same_in_all(targets: list[int]) -> None:
    weights_C = class_weights("balanced", "abcd", [[target] for target in targets])
    present = set(targets)
    for number in present:  # n / (k · n_c), as scikit-learn computes "balanced"
        assert weights_C[number] == pytest.approx(len(targets) / (4 * targets.count(number)))
    sums = [sum(float(weights_C[target]) for target in targets if target == number) for number in present]
    assert np.allclose(sums, len(targets) / 4)


def test_given_weights_are_taken_and_others_are_one() -> None:
    assert class_weights({"b": 2.5}, ("a", "b", "c"), [[0]]).tolist() == [1.0, 2.5, 1.0]


def test_a_class_that_there_is_not_is_named() -> None:
    with pytest.raises(RequestError, match="class_weights names 'd', but the classes are a, b"):
        class_weights({"d": 1.0, "a": 2.0}, ("a", "b"), [[0]])
