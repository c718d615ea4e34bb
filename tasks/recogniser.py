"""A trained CTC model ready to hear recordings of any length: quiet cuts, features as in training, log posteriors.

What becomes of the posteriors is the caller's: words (`transcribe`), or the places of known ones (`align`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sorigil.audio.segment import QuietFinder, Window
from sorigil.errors import AudioError
from storage import bundles
from storage.layout import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.listening import Sound

WORD_PAUSE_SECONDS = 0.3  # longer than any closure inside a word


@lru_cache(maxsize=2)
def recogniser(store: Store, key: str) -> Recogniser:
    """A worker loads a model once."""
    return Recogniser(bundles.load(store, key))


def quiet_windows(
    sound: Sound,
    sample_rate: int,
    *,
    max_seconds: float,
    overlap_seconds: float,
    start: int = 0,
    end: int | None = None,
) -> list[Window]:
    """Windows of at most `max_seconds` whose cores tile the sound, or its samples from `start` to `end`."""
    finder = QuietFinder(sample_rate)
    at = 0
    for block in sound.blocks():
        inside = block[max(0, start - at) : None if end is None else max(0, end - at)]
        finder.add(inside)
        at += len(block)
    found = finder.windows(
        max_seconds=max_seconds,
        min_seconds=min(3.0, max_seconds / 4),
        search_seconds=min(3.0, max_seconds / 4),
        pause_seconds=WORD_PAUSE_SECONDS,
        overlap_seconds=overlap_seconds,
    )
    return [Window(*(start + place for place in (w.start, w.end, w.core_start, w.core_end))) for w in found]


class Recogniser:
    """A CTC model with what comes before it. Times are samples at `audio.sample_rate` and frames of the network's output."""

    def __init__(self, bundle: bundles.Bundle) -> None:
        from sorigil.training.inputs import hop_length

        self.audio = bundle.audio
        self.tokenizer = bundle.tokenizer()
        self.normalizer = bundle.normalizer
        self._feature = bundle.feature
        self._network = bundle.network()
        self._road = bundle.road()
        self.by_speaker = self._road.cmvn == "speaker"
        self.samples_per_frame: int = hop_length(bundle.feature) * self._network.stride

    @property
    def seconds_per_frame(self) -> float:
        return self.samples_per_frame / self.audio.sample_rate

    def speaker(self, sound: Sound, windows: Sequence[Window]) -> Any:
        """For a model that is used to statistics of a speaker: those of these windows, in a sweep of its own."""
        from sorigil.features.cmvn import GlobalStats

        if not self.by_speaker:
            return None
        found = (self._features(sound.window(window.start, window.end)) for window in windows)
        return GlobalStats.merge_all(GlobalStats.of(features_TF) for features_TF in found if features_TF is not None)

    def log_probs(self, samples: NDArray[np.float32], speaker: Any = None) -> NDArray[np.float32]:
        """The log posteriors_TV of a window; without a frame where it is shorter than one, which holds no word."""
        import numpy as np
        import torch

        features_TF = self._features(samples)
        if features_TF is None:
            return np.zeros((0, len(self.tokenizer)), np.float32)
        features_TF = self._road.finish(features_TF, "", speaker=speaker)
        with torch.no_grad():
            log_probs_1TV, lengths_1 = self._network(
                torch.from_numpy(features_TF)[None], torch.tensor([len(features_TF)])
            )
        found: NDArray[np.float32] = log_probs_1TV[0, : int(lengths_1[0])].numpy()
        return found

    def _features(self, samples: NDArray[np.float32]) -> Any:
        from sorigil.training.inputs import compute_input

        try:
            return compute_input(self._feature, samples, self.audio.sample_rate)
        except AudioError:
            return None
