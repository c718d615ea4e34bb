"""From stored rows to batches: read, change, normalise, mask, pad. The road that both cached and live features take.

`Rows` is what storage gives. Every random draw depends on (seed, epoch, key) only and the dataset keeps no state, so
any number of loader workers gives the same batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sorigil.audio.augment import WaveAugment, augment, respeed, rng_for
from sorigil.features.cmvn import GlobalStats, utterance_cmvn
from sorigil.features.mask import FeatureMask
from sorigil.features.mask import mask as mask_features
from sorigil.features.warp import FeatureWarp
from sorigil.features.warp import warp as warp_features
from sorigil.training.batching import plan_batches, takes_part
from sorigil.training.distributed import ALONE, Team
from sorigil.training.inputs import InputSpec, compute_input, normalize_utterance
from sorigil.training.spec import Cmvn, TrainSpec

SMALLEST_STD = 1e-5  # silence stays silence
EVALUATION = -1  # the epoch of rows that are read as they are


class Rows(Protocol):
    """Rows of a dataset as storage offers them. Must survive pickling when loader workers are used."""

    keys: Sequence[str]
    seconds: NDArray[np.float64]
    groups: NDArray[np.int64] | None  # the row group each row is stored in

    def features(self, index: int) -> NDArray[np.float32]:
        """Return the cached features_TF of a row."""

    def samples(self, index: int) -> NDArray[np.float32]:
        """Return the prepared audio of a row, full scale being 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Padded items. `targets_BL` holds token ids, or the class number alone; padding is zero everywhere."""

    keys: tuple[str, ...]
    rows: tuple[int, ...]
    features_BTF: Tensor  # float32
    lengths_B: Tensor  # int64, frames
    targets_BL: Tensor  # int64
    target_lengths_B: Tensor  # int64
    counts: bool = True  # false: taken along by a process that has no row of its own (`distributed.Team`)

    def to(self, device: str) -> Batch:
        """Return the batch with its tensors on a device."""
        names = ("features_BTF", "lengths_B", "targets_BL", "target_lengths_B")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in names})


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One row as the network will see it."""

    key: str
    row: int
    features_TF: NDArray[np.float32]
    target: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Road:
    """What happens between a stored row and the network. `wave_augment`, `warp` and `mask` touch training epochs only."""

    input: Literal["features", "audio"] = "features"
    feature: InputSpec | None = None  # what is made of the samples, for input "audio"
    sample_rate: int = 16_000  # Hz, of the prepared audio
    wave_augment: WaveAugment | None = None
    rooms: tuple[NDArray[np.float32], ...] = ()  # recorded responses, where `wave_augment` names them
    warp: FeatureWarp | None = None
    mask: FeatureMask | None = None
    cmvn: Cmvn = "utterance"
    statistics: GlobalStats | None = None  # for cmvn "global"
    seed: int = 0
    speed: float = 1.0  # at which audio is played in evaluation

    @classmethod
    def of(
        cls,
        spec: TrainSpec,
        feature: InputSpec | None,
        sample_rate: int,
        statistics: GlobalStats | None = None,
        rooms: tuple[NDArray[np.float32], ...] = (),
    ) -> Road:
        """Return the road a training asks for; input "raw" is "audio" whose feature is the waveform itself."""
        return cls(
            input="features" if spec.input == "features" else "audio",
            feature=feature,
            sample_rate=sample_rate,
            wave_augment=spec.wave_augment,
            rooms=rooms,
            warp=spec.warp,
            mask=spec.mask,
            cmvn=spec.cmvn,
            statistics=statistics,
            seed=spec.seed,
        )

    def raw(self, rows: Rows, row: int, epoch: int = EVALUATION) -> NDArray[np.float32]:
        """Return features_TF before normalisation and masks."""
        if self.input == "features":
            return np.asarray(rows.features(row), dtype=np.float32)
        samples = rows.samples(row)
        if self.wave_augment is not None and epoch != EVALUATION:
            rng = rng_for(self.seed, epoch, rows.keys[row])
            samples = augment(samples, self.sample_rate, self.wave_augment, rng, self.rooms)
        if self.speed != 1:
            samples = respeed(samples, self.speed)
        if self.feature is None:
            raise ValueError("features are to be computed from the audio, but the road has no feature spec")
        return compute_input(self.feature, samples, self.sample_rate)

    def normalize(self, features_TF: NDArray[np.float32], speaker: GlobalStats | None = None) -> NDArray[np.float32]:
        """Return features_TF normalised as `cmvn` says; for "speaker" by `speaker`, or by itself where that is unknown."""
        if self.cmvn == "none":
            return features_TF
        if self.cmvn == "speaker" and speaker is not None:
            return speaker.apply(features_TF)
        if self.cmvn in ("utterance", "speaker"):
            return normalize_utterance(self.feature, features_TF)
        if self.cmvn == "mean":
            centred_TF = utterance_cmvn(features_TF, variance=False)
            return centred_TF / max(float(centred_TF.std()), SMALLEST_STD)
        if self.statistics is None:
            raise ValueError("cmvn is 'global' but the road has no statistics of the training set")
        return self.statistics.apply(features_TF)

    def finish(
        self,
        features_TF: NDArray[np.float32],
        key: str,
        epoch: int = EVALUATION,
        speaker: GlobalStats | None = None,
    ) -> NDArray[np.float32]:
        """Normalise features_TF; in a training epoch warp them before and mask them after."""
        training = epoch != EVALUATION
        if self.warp is not None and training:
            features_TF = warp_features(features_TF, self.warp, rng_for(self.seed, epoch, key + "/warp"))
        normal_TF = self.normalize(features_TF, speaker)
        if self.mask is None or not training:
            return normal_TF
        return mask_features(normal_TF, self.mask, rng_for(self.seed, epoch, key + "/mask"))


@dataclass(frozen=True, kw_only=True, slots=True)
class UtteranceDataset(Dataset[Item]):
    """A map-style dataset whose indices are (epoch, row): the epoch decides the random changes.

    `speakers` are the statistics of each row's speaker, for cmvn "speaker" (see `speaker_statistics`).
    """

    rows: Rows
    targets: Sequence[Sequence[int]]  # of each row: token ids, or one class number
    road: Road
    speakers: Sequence[GlobalStats | None] | None = None

    def __len__(self) -> int:
        return len(self.rows.keys)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        epoch, row = index
        key = self.rows.keys[row]
        speaker = self.speakers[row] if self.speakers else None
        features_TF = self.road.finish(self.road.raw(self.rows, row, epoch), key, epoch, speaker)
        return Item(key=key, row=row, features_TF=features_TF, target=self.targets[row])


def speaker_statistics(road: Road, rows: Rows, speakers: Sequence[str | None]) -> list[GlobalStats | None] | None:
    """The statistics of each row's speaker over all rows of that speaker here, unchanged ones; None where the speaker is
    not known. None at all where the road does not ask for them.

    As Kaldi's per-speaker cepstral mean and variance normalisation: the microphone and the voice go, the words stay,
    which in a single short word cannot be told apart. It hears all of a speaker's audio, but no words.
    """
    if road.cmvn != "speaker":
        return None
    merged: dict[str, GlobalStats] = {}
    order = np.arange(len(speakers)) if rows.groups is None else np.argsort(rows.groups, kind="stable")
    for row in order:
        if speaker := speakers[row]:
            found = GlobalStats.of(road.raw(rows, int(row)))
            merged[speaker] = merged[speaker].merge(found) if speaker in merged else found
    return [merged[speaker] if speaker else None for speaker in speakers]


def collate(items: Sequence[Item]) -> Batch:
    """Pad items to the longest of them."""
    lengths = [len(item.features_TF) for item in items]
    target_lengths = [len(item.target) for item in items]
    features_BTF = np.zeros((len(items), max(lengths), items[0].features_TF.shape[1]), dtype=np.float32)
    targets_BL = np.zeros((len(items), max(*target_lengths, 1)), dtype=np.int64)
    for place, item in enumerate(items):
        features_BTF[place, : lengths[place]] = item.features_TF
        targets_BL[place, : target_lengths[place]] = item.target
    return Batch(
        keys=tuple(item.key for item in items),
        rows=tuple(item.row for item in items),
        features_BTF=torch.from_numpy(features_BTF),
        lengths_B=torch.tensor(lengths, dtype=torch.int64),
        targets_BL=torch.from_numpy(targets_BL),
        target_lengths_B=torch.tensor(target_lengths, dtype=torch.int64),
    )


class _Plan:
    """The batch sampler: (epoch, row) pairs of the epoch that was set last. Lives in the main process."""

    def __init__(self) -> None:
        self.epoch = EVALUATION
        self.batches: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for rows in self.batches:
            yield [(self.epoch, int(row)) for row in rows]


@dataclass(kw_only=True)
class Batches:
    """A dataset's batches, epoch by epoch. `chosen` limits them to these rows (a split, or what was not rejected), and
    `shares` says in which share of the training epochs each row of the dataset takes part (None: in all).

    `workers` loader processes read ahead (0: in this process); they are started once, by forkserver, because a process
    with threads cannot be forked safely. In a `team` each process gets its share of every training batch.
    """

    dataset: UtteranceDataset
    batch_seconds: float
    seed: int = 0
    chosen: NDArray[np.int64] | None = None
    shares: NDArray[np.float64] | None = None
    workers: int = 0
    team: Team = ALONE
    _plan: _Plan = field(default_factory=_Plan, init=False, repr=False)
    _loader: DataLoader[Any] | None = field(default=None, init=False, repr=False)

    def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]:
        """Return the number of batches of a training epoch (from 0) and the batches behind the first `skip`."""
        rows = self.dataset.rows
        chosen = np.arange(len(self.dataset)) if self.chosen is None else self.chosen
        if self.shares is not None:
            chosen = chosen[takes_part(self.shares[chosen], self.seed, epoch)]
        groups = None if rows.groups is None else rows.groups[chosen]
        planned = plan_batches(rows.seconds[chosen], self.batch_seconds, self.seed, epoch, groups)
        shares = [self.team.share(chosen[batch]) for batch in planned[skip:]]
        loaded = self._load(epoch, [own for own, _ in shares])
        if self.team.size > 1:
            loaded = (replace(batch, counts=counts) for batch, (_, counts) in zip(loaded, shares, strict=True))
        return len(planned), loaded

    def in_order(self) -> Iterable[Batch]:
        """Return batches for evaluation: nothing changed or masked, in the same order every time."""
        rows = self.dataset.rows
        chosen = np.arange(len(self.dataset)) if self.chosen is None else self.chosen
        groups = None if rows.groups is None else rows.groups[chosen]
        planned = plan_batches(rows.seconds[chosen], self.batch_seconds, 0, 0, groups)
        return self._load(EVALUATION, [chosen[batch] for batch in planned])

    def _load(self, epoch: int, batches: list[NDArray[np.int64]]) -> Iterable[Batch]:
        self._plan.epoch, self._plan.batches = epoch, batches
        if self._loader is None:
            self._loader = DataLoader(
                self.dataset,
                batch_sampler=self._plan,
                collate_fn=collate,
                num_workers=self.workers,
                multiprocessing_context="forkserver" if self.workers else None,
                persistent_workers=self.workers > 0,
                generator=torch.Generator(),  # its own: the loader must not draw from the generator of dropout
            )
        return self._loader
