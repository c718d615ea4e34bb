"""The demo corpus as it comes out: real speech, the same at every call, whatever the number of processes."""

from __future__ import annotations

import hashlib
import io
import time
from collections import defaultdict
from itertools import pairwise

import numpy as np
import psutil
import pytest
import soundfile as sf
from numpy.typing import NDArray

from sorigil.demo import BROKEN_KINDS, DemoRecording, DemoSpec, DemoUtterance, espeak, generate, generate_archive
from sorigil.demo import processes as demo_processes
from sorigil.demo.corpus import CONTAINERS, DIGITS, plan_shard, shard_count
from sorigil.errors import RequestError, RunError

SPEC = DemoSpec(utterances=250, archive=4, archive_minutes=0.2)


def test_missing_extra_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "find_spec", lambda name: None)
    for start in (generate, generate_archive, lambda spec: espeak.Synthesiser()):
        with pytest.raises(RequestError, match=r"pip install 'sorigil\[demo\]'"):
            start(SPEC)


def read(data: bytes) -> tuple[NDArray[np.float64], int]:
    return sf.read(io.BytesIO(data), always_2d=True)


@pytest.fixture(scope="module")
def corpus() -> list[DemoUtterance]:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    return list(generate(SPEC, workers=2))


@pytest.fixture(scope="module")
def archive() -> list[DemoRecording]:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    return list(generate_archive(SPEC, workers=2))


@pytest.fixture(scope="module")
def sound(corpus: list[DemoUtterance]) -> list[DemoUtterance]:
    return [utterance for utterance in corpus if not utterance.note]


def test_rows_are_those_of_the_plan_in_its_order(corpus: list[DemoUtterance]) -> None:
    plans = [plan for shard in range(shard_count(SPEC)) for plan in plan_shard(SPEC, shard)]
    assert shard_count(SPEC) == 2 and len(corpus) == 250
    assert len({row.id for row in corpus}) == len({row.name for row in corpus}) == 250
    for plan, row in zip(plans, corpus, strict=True):
        assert (row.text, row.label, row.speaker) == (plan.speech.text, plan.label, plan.speech.voice)
        assert (row.lang, row.split, row.note) == (plan.speech.lang, plan.split, plan.broken or "")
        assert row.name.startswith(f"{row.lang}/{plan.slug}-{row.speaker}-") and row.name.isascii()
    assert {row.note for row in corpus} == {"", *BROKEN_KINDS}


def test_every_sound_file_opens_and_is_what_its_plan_says(sound: list[DemoUtterance]) -> None:
    plans = {plan.index: plan for shard in range(shard_count(SPEC)) for plan in plan_shard(SPEC, shard)}
    for row in sound:
        acoustics = plans[int(row.id[-5:])].acoustics
        heard, rate = read(row.data)
        info = sf.info(io.BytesIO(row.data))
        assert info.format.lower() == row.name.rsplit(".")[-1]
        assert (rate, heard.shape[1]) == (acoustics.sample_rate, acoustics.channels)
        peak = np.abs(heard[:, 0]).max()
        assert 20 * np.log10(peak) == pytest.approx(acoustics.peak_db, abs=3), row.name
        speaking = heard[:, 0][round(acoustics.lead * rate) : -round(acoustics.tail * rate)]
        assert 0.15 < len(speaking) / rate < 2.5, row.name
        assert np.sqrt(np.mean(speaking**2)) > peak / 25, row.name
    assert {row.name.rsplit(".")[-1] for row in sound} == set(CONTAINERS)


def test_longer_texts_take_longer_in_both_languages(sound: list[DemoUtterance]) -> None:
    for lang in DIGITS:
        seconds = defaultdict(list)
        for row in sound:
            if row.lang == lang and set(row.text.split()) <= set(DIGITS[lang]):
                heard, rate = read(row.data)
                seconds[len(row.text.split())].append(len(heard) / rate)
        means = [float(np.mean(seconds[words])) for words in (1, 2, 3, 4)]
        assert all(0.1 < longer - shorter < 0.5 for shorter, longer in pairwise(means)), (
            lang,
            means,
        )


def test_mean_utterance_is_short(sound: list[DemoUtterance]) -> None:
    seconds = [len(heard) / rate for heard, rate in (read(row.data) for row in sound)]
    assert 0.8 < np.mean(seconds) < 1.3


def bands(row: DemoUtterance) -> NDArray[np.float64]:
    """Mean power in decibels of 16 bands up to 4 kHz, above their mean: a voice's and a word's colour."""
    heard, rate = read(row.data)
    power = np.abs(np.fft.rfft(heard[:, 0])) ** 2
    edges = np.linspace(100, 4000, 17) * len(heard) / rate
    levels = [power[int(low) : int(high)].mean() for low, high in pairwise(edges)]
    decibels = 10 * np.log10(np.array(levels) + 1e-9)
    return decibels - decibels.mean()


def test_the_same_word_differs_from_voice_to_voice_and_words_differ(sound: list[DemoUtterance]) -> None:
    by_label = defaultdict(list)
    for row in sound:
        by_label[row.label].append(row)
    for word in ("zero", "seven", "삼", "칠"):
        rows = by_label[word]
        assert len({row.speaker for row in rows}) == len(rows) >= 4
        apart = [np.abs(bands(one) - bands(two)).mean() for one in rows for two in rows if one is not two]
        assert min(apart) > 1
    assert len({hashlib.sha256(row.data).digest() for row in sound}) == len(sound)


def test_archive_segments_lie_where_the_speech_is(archive: list[DemoRecording]) -> None:
    assert [row.name.rsplit(".")[-1] for row in archive] == list(CONTAINERS)
    for row in archive:
        heard, rate = read(row.data)
        power = heard[:, 0] ** 2
        speaking = np.zeros(len(power), bool)
        for start, end, text in row.segments:
            assert 0.2 < end - start < 2.5 and text
            speaking[round(start * rate) : round(end * rate)] = True
        assert power[speaking].mean() > 10 * power[~speaking].mean()
        assert all(one[1] < two[0] for one, two in pairwise(row.segments))
        assert row.text == " ".join(text for _, _, text in row.segments)
        assert 8 < len(heard) / rate < 19


def test_archive_words_lie_in_their_phrases_one_after_the_other(archive: list[DemoRecording]) -> None:
    for row in archive:
        words = list(row.words)
        for start, end, text in row.segments:
            own = [words.pop(0) for _ in text.split()]
            assert [word for _, _, word in own] == text.split()
            assert own[0][0] >= start - 1e-9 and own[-1][1] <= end
            assert end - own[-1][1] < 0.1, "little silence follows a phrase"
            assert all(0.05 < stop - begin < 1.2 for begin, stop, _ in own)
            assert all(one[1] == two[0] for one, two in pairwise(own))
        assert not words


def test_same_seed_gives_the_same_bytes_at_any_time_and_number_of_processes(
    corpus: list[DemoUtterance], archive: list[DemoRecording]
) -> None:
    time.sleep(1.1)  # espeak-ng seeds its breath noise with the second it is started in
    assert list(generate(SPEC, workers=1)) == corpus
    assert list(generate_archive(SPEC, workers=1)) == archive


def test_another_seed_gives_other_speech(sound: list[DemoUtterance]) -> None:
    pytest.importorskip("espeakng_loader")
    other = list(generate(DemoSpec(utterances=20, seed=7)))
    assert not {row.data for row in other if not row.note} & {row.data for row in sound}


def test_a_generator_left_early_stops_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    started = []
    run_job = demo_processes._run_job
    monkeypatch.setattr(demo_processes, "_run_job", lambda job: started.append(job) or run_job(job))
    before = {child.pid for child in psutil.Process().children()}  # what other tests have left running
    rows = generate(DemoSpec(utterances=100_000), workers=1)
    assert next(rows).id.endswith("00000")
    rows.close()  # type: ignore[attr-defined]
    assert len(started) <= 3, "of 455 shards"
    assert not {child.pid for child in psutil.Process().children()} - before


def test_a_process_that_fails_is_an_error_that_names_its_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    monkeypatch.setattr(demo_processes, "_CHILD", "raise SystemExit('no more room')")
    with pytest.raises(RunError, match="shard 0 of the demo corpus failed: no more room"):
        list(generate(SPEC))


def test_the_synthesiser_refuses_a_process_it_was_used_in(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the demo corpus needs the extra `demo`")
    monkeypatch.setattr(espeak, "_used", True)
    with pytest.raises(RuntimeError, match="already"):
        espeak.Synthesiser()
