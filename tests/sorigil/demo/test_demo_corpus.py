"""The plan of the demo corpus: counts, balance, splits, and values that are refused. No sound is made here."""

from __future__ import annotations

from collections import Counter

import pytest

from sorigil.demo.corpus import (
    BROKEN_KINDS,
    COMMANDS,
    CONTAINERS,
    DIGITS,
    RECORDING_SOUND,
    SAMPLE_RATES,
    VOICES,
    DemoSpec,
    PlannedUtterance,
    next_phrase,
    plan_recording,
    plan_shard,
    rng_for,
    shard_count,
)

CLASSES = {word for words in DIGITS.values() for word in words} | {
    text for pairs in COMMANDS.values() for _, text in pairs
}


def planned(spec: DemoSpec) -> list[PlannedUtterance]:
    return [plan for shard in range(shard_count(spec)) for plan in plan_shard(spec, shard)]


@pytest.fixture(scope="module")
def default() -> list[PlannedUtterance]:
    return planned(DemoSpec())


def test_default_corpus_is_as_large_and_varied_as_promised(default: list[PlannedUtterance]) -> None:
    assert [plan.index for plan in default] == list(range(2200))
    assert len({plan.speech.voice for plan in default}) == 24
    assert {plan.container for plan in default} == set(CONTAINERS)
    assert {plan.acoustics.sample_rate for plan in default} == set(SAMPLE_RATES)
    assert {plan.acoustics.channels for plan in default} == {1, 2}
    assert Counter(plan.speech.lang for plan in default) == {"en": 1100, "ko": 1100}
    assert len({(plan.speech.rate, plan.speech.pitch) for plan in default}) > 500
    noisy = [plan.acoustics.snr_db for plan in default if plan.acoustics.snr_db is not None]
    assert 0.5 < len(noisy) / 2200 < 0.7 and min(noisy) >= 15 and max(noisy) <= 40


def test_labels_are_the_words_said_and_digit_strings_have_none(default: list[PlannedUtterance]) -> None:
    counts = Counter(plan.label for plan in default)
    assert set(counts) == CLASSES | {None} and len(CLASSES) == 30
    assert {count for label, count in counts.items() if label} == {44}
    for plan in default:
        if plan.label:
            assert plan.label == plan.speech.text and plan.label in CLASSES
        else:
            words = plan.speech.text.split(" ")
            assert 2 <= len(words) <= 4 and set(words) <= set(DIGITS[plan.speech.lang])
            assert plan.slug == "".join(str(DIGITS[plan.speech.lang].index(word)) for word in words)


def test_test_speakers_are_never_trained_on_and_know_every_class(default: list[PlannedUtterance]) -> None:
    speakers = {split: {plan.speech.voice for plan in default if plan.split == split} for split in ("train", "test")}
    assert not speakers["train"] & speakers["test"]
    assert {plan.split for plan in default} == {"train", "test"}
    assert 0.15 < sum(plan.split == "test" for plan in default) / 2200 < 0.2
    assert {plan.label for plan in default if plan.split == "test"} == CLASSES | {None}
    for voice in VOICES[:24]:
        assert {plan.speech.lang for plan in default if plan.speech.voice == voice} == {"en", "ko"}


@pytest.mark.parametrize(
    ("utterances", "share", "count"), [(2200, 0.01, 22), (60, 0.01, 8), (200, 0.5, 100), (60, 0, 0)]
)
def test_broken_files_are_the_share_asked_for_and_each_kind_at_least_once(
    utterances: int, share: float, count: int
) -> None:
    kinds = Counter(plan.broken for plan in planned(DemoSpec(utterances=utterances, broken=share)) if plan.broken)
    assert kinds.total() == count
    assert set(kinds) == (set(BROKEN_KINDS) if count else set())


def test_an_item_keeps_its_plan_when_the_corpus_grows_and_changes_it_with_the_seed() -> None:
    small = planned(DemoSpec(utterances=30, broken=0))
    assert planned(DemoSpec(utterances=300, broken=0))[:30] == small
    assert planned(DemoSpec(utterances=30, broken=0, seed=1)) != small


def test_one_language_alone() -> None:
    plans = planned(DemoSpec(utterances=50, languages=("ko",), broken=0))
    assert {plan.speech.lang for plan in plans} == {"ko"}
    assert len({plan.label for plan in plans} - {None}) == 15


def test_digits_alone() -> None:
    plans = planned(DemoSpec(utterances=60, languages=("en",), says=("digits",), broken=0))
    assert Counter(plan.label for plan in plans) == dict.fromkeys(DIGITS["en"], 6)
    assert len({plan.speech.voice for plan in plans if plan.label == "six"}) == 6


def test_archive_recordings_take_test_speakers_and_every_container() -> None:
    spec = DemoSpec()
    plans = [plan_recording(spec, index) for index in range(spec.archive)]
    tested = {plan.speech.voice for plan in planned(spec) if plan.split == "test"}
    assert {plan.container for plan in plans} == set(CONTAINERS)
    assert {plan.speaker for plan in plans} == tested
    assert {plan.lang for plan in plans} == {"en", "ko"}
    assert [plan.acoustics.sample_rate for plan in plans] == [48_000, 16_000, 44_100, 22_050]
    assert [plan.seconds for plan in plans] == pytest.approx([60, 80, 100, 120])
    rng = rng_for(spec, RECORDING_SOUND, 0)
    said = [next_phrase(plans[0], rng) for _ in range(200)]
    assert {speech.text for speech, _ in said} > {text for _, text in COMMANDS["en"]}
    assert all(0.4 <= pause <= 1.2 for _, pause in said)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"utterances": 3}, "utterances is 3; it must be between 20 and"),
        ({"voices": 5}, "voices is 5; it must be between 6 and 30"),
        ({"voices": 31}, "voices is 31"),
        ({"broken": 0.6}, "broken is 0.6"),
        ({"broken": float("nan")}, "broken is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"archive": -1}, "archive is -1"),
        ({"archive_minutes": 0}, "archive_minutes is 0"),
        ({"languages": ()}, "languages is empty; it must be one or more of en, ko, each once"),
        ({"languages": ("en", "en")}, "languages is en, en"),
        ({"languages": ("en", "fr")}, "languages is en, fr"),
        ({"says": ()}, "says is empty; it must be one or more of digits, commands, strings, each once"),
        ({"says": ("digits", "digits")}, "says is digits, digits"),
    ],
)
def test_a_spec_that_makes_no_corpus_is_refused_in_words(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DemoSpec(**values)  # type: ignore[arg-type]
