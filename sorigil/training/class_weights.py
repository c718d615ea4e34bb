"""How much each class weighs in the loss, so that rare ones are not drowned by common ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError

SHOWN = 8  # names in a message


def class_weights(
    asked: Literal["balanced"] | dict[str, float], outputs: Sequence[str], targets: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Return weights_C of the classes `outputs`, for training rows with these targets.

    `balanced`: rows / (classes × rows of the class), so that each class weighs the same in all. Otherwise what was
    given, 1 for classes that are not named.

    Raises:
        RequestError: a weight is given to a class that there is not.
    """
    if asked != "balanced":
        unknown = sorted(set(asked) - set(outputs))
        if unknown:
            more = f" and {len(outputs) - SHOWN} more" if len(outputs) > SHOWN else ""
            raise RequestError(
                f"class_weights names {', '.join(map(repr, unknown))}, but the classes are "
                f"{', '.join(outputs[:SHOWN])}{more}"
            )
        return np.asarray([asked.get(name, 1.0) for name in outputs], np.float32)
    numbers = np.fromiter((number for target in targets for number in target), np.int64)
    counts = np.bincount(numbers, minlength=len(outputs))
    return np.asarray(len(numbers) / (len(outputs) * np.maximum(counts, 1)), np.float32)
