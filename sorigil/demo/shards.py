"""One shard of the demo corpus, or one archive recording, from its plan to finished files in memory.

espeak-ng's samples depend on everything it said before in the same process. So a shard's contents and order are fixed,
and the functions here belong into a fresh process each; `sorigil.demo.generate` sees to that. No file is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sorigil.demo.acoustics import Samples, finish, record, resample, rms
from sorigil.demo.corpus import (
    RECORDING_SOUND,
    UTTERANCE_SOUND,
    DemoSpec,
    PlannedRecording,
    PlannedUtterance,
    next_phrase,
    plan_recording,
    plan_shard,
    rng_for,
)
from sorigil.demo.encode import SUBTYPES, EncodedFile, break_file, encode
from sorigil.demo.espeak import Synthesiser, Timed


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoUtterance:
    """One file of the corpus with its manifest row. `name` is its path; `note` is how it is broken ("": it is not)."""

    id: str
    name: str
    data: bytes
    text: str
    label: str | None
    speaker: str
    lang: str
    split: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoRecording:
    """One archive recording with its reference: `segments` are the phrases, `words` their words, each until the next
    begins; `text` is all of it, joined by spaces."""

    id: str
    name: str
    data: bytes
    text: str
    segments: tuple[Timed, ...]
    words: tuple[Timed, ...]
    speaker: str
    lang: str


def synthesise_shard(spec: DemoSpec, index: int) -> list[DemoUtterance]:
    """Make shard `index` of the corpus. Raises RuntimeError when this process has used espeak-ng before."""
    plans = plan_shard(spec, index)
    synthesiser = Synthesiser()
    # All speech first: nothing that an encoder does can then come between two calls of the synthesiser.
    speeches = [synthesiser.speak(plan.speech) for plan in plans]
    utterances = []
    for plan, dry in zip(plans, speeches, strict=True):
        rng = rng_for(spec, UTTERANCE_SOUND, plan.index)
        samples = record(dry, synthesiser.sample_rate, plan.acoustics, rng)
        utterances.append(_utterance(plan, _to_file(plan, samples, rng)))
    return utterances


def synthesise_recording(spec: DemoSpec, index: int) -> DemoRecording:
    """Make archive recording `index`. Raises RuntimeError when this process has used espeak-ng before."""
    plan = plan_recording(spec, index)
    rng = rng_for(spec, RECORDING_SOUND, index)
    samples, segments, words = _phrases(plan, Synthesiser(), rng)
    subtype = SUBTYPES[plan.container][0]
    name = f"rec{index:02d}-{plan.lang}-{plan.speaker}"
    return DemoRecording(
        id=name,
        name=f"{name}.{plan.container}",
        data=encode(samples, plan.acoustics.sample_rate, plan.container, subtype),
        text=" ".join(text for _, _, text in segments),
        segments=tuple(segments),
        words=tuple(words),
        speaker=plan.speaker,
        lang=plan.lang,
    )


def _to_file(plan: PlannedUtterance, samples: Samples, rng: np.random.Generator) -> EncodedFile:
    rate = plan.acoustics.sample_rate
    if plan.broken:
        return break_file(plan.broken, samples, rate, rng)
    subtypes = SUBTYPES[plan.container]
    subtype = subtypes[rng.integers(len(subtypes))]
    return EncodedFile(data=encode(samples, rate, plan.container, subtype), extension=plan.container)


def _utterance(plan: PlannedUtterance, file: EncodedFile) -> DemoUtterance:
    speech = plan.speech
    name = f"{plan.slug}-{speech.voice}-{plan.index:05d}"
    return DemoUtterance(
        id=f"{speech.lang}-{name}",
        name=f"{speech.lang}/{name}.{file.extension}",
        data=file.data,
        text=speech.text,
        label=plan.label,
        speaker=speech.voice,
        lang=speech.lang,
        split=plan.split,
        note=plan.broken or "",
    )


def _phrases(
    plan: PlannedRecording, synthesiser: Synthesiser, rng: np.random.Generator
) -> tuple[Samples, list[Timed], list[Timed]]:
    """Say phrases until the planned length is reached: samples [N, channels], where each phrase lies, and each word."""
    rate = plan.acoustics.sample_rate
    pieces = [np.zeros(round(plan.acoustics.lead * rate))]
    segments: list[Timed] = []
    words: list[Timed] = []
    length, loudness = len(pieces[0]), []
    while length < plan.seconds * rate:
        speech, pause = next_phrase(plan, rng)
        phrase = resample(synthesiser.speak(speech), synthesiser.sample_rate, rate)
        begin = length / rate
        words += [(begin + start, begin + end, word) for start, end, word in synthesiser.words(speech)]
        segments.append((length / rate, (length + len(phrase)) / rate, speech.text))
        pieces += [phrase, np.zeros(round(pause * rate))]
        length += len(phrase) + len(pieces[-1])
        loudness.append(rms(phrase))
    return finish(np.concatenate(pieces), float(np.mean(loudness)), plan.acoustics, rng), segments, words
