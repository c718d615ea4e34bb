"""What the demo corpus says, by whom and in which file: a pure plan, drawn from the seed before any sound is made.

Digits, digit strings and short commands in English and Korean, spoken by espeak-ng's voice variants. Every item's
random choices come from (seed, stream, index) alone, so no process and no order can change them. Nothing is
synthesised here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np

Language = Literal["en", "ko"]
Container = Literal["wav", "flac", "ogg", "mp3"]
Saying = Literal["digits", "commands", "strings"]
Broken = Literal[
    "truncated_wav", "empty", "text_as_wav", "header_only", "nan", "silent", "truncated_flac", "garbage_mp3"
]

DIGITS: dict[str, tuple[str, ...]] = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "ko": ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구"),
}
# Pairs of (part of the file's name, what is said). The text is the class's label too.
COMMANDS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("lights-on", "lights on"),
        ("lights-off", "lights off"),
        ("music", "play music"),
        ("stop", "stop"),
        ("volume", "volume up"),
    ),
    "ko": (
        ("lights-on", "불 켜 줘"),
        ("lights-off", "불 꺼 줘"),
        ("music", "음악 틀어 줘"),
        ("stop", "멈춰"),
        ("volume", "소리 키워 줘"),
    ),
}
# espeak-ng's variants, the same ones for both languages. Every sixth is a test speaker. Left out: near copies of each
# other, voices with a tempo of their own, the Klatt voices (some use the C library's rand(), which is another one on
# another system) and `whisper`, the hardest. m3 and m7 are hard too, but trained on.
VOICES = (
    *("f1", "m1", "f3", "m2", "m3", "f5"),
    *("f4", "m5", "Annie", "m6", "Gene", "m4"),
    *("belinda", "m7", "f2", "Denis", "Alex", "linda"),
    *("steph", "m8", "Michael", "paul", "sandro", "Mario"),
    *("marcelo", "robert", "quincy", "pablo", "Storm", "Jacky"),
)
TEST_EVERY = 6

CONTAINERS: tuple[Container, ...] = ("wav", "flac", "ogg", "mp3")
SAMPLE_RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
RATE_WEIGHTS = (0.08, 0.07, 0.35, 0.20, 0.15, 0.15)
RECORDING_RATES = (48_000, 16_000, 44_100, 22_050)  # one for each container
BROKEN_KINDS: tuple[Broken, ...] = (
    *("truncated_wav", "empty", "text_as_wav", "header_only"),
    *("nan", "silent", "truncated_flac", "garbage_mp3"),
)
STRINGS_PER_CYCLE = 10  # digit strings per language for each time that every class is said once
SHARD = 220  # utterances made by one process; another number would be another corpus (espeak-ng keeps state)

# Streams of random numbers: what is planned, and what is drawn later while the sound is made
UTTERANCE_PLAN, UTTERANCE_SOUND, BROKENNESS, RECORDING_PLAN, RECORDING_SOUND = range(5)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSpec:
    """How large the demo corpus is. `utterances` counts every file, the broken ones (a share of `broken`) included.

    With `broken` above 0 each kind of broken file is there at least once. `archive` recordings last between 2/3 and 4/3
    of `archive_minutes`.
    """

    utterances: int = 2200
    voices: int = 24
    languages: tuple[Language, ...] = ("en", "ko")
    says: tuple[Saying, ...] = ("digits", "commands", "strings")
    broken: float = 0.01
    seed: int = 0
    archive: int = 4
    archive_minutes: float = 1.5

    FORMAT: ClassVar[int] = 2
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Raise ValueError, with what was seen and what is expected, for a value that makes no corpus."""
        _check_range("utterances", self.utterances, 20, 1_000_000)
        _check_range("voices", self.voices, TEST_EVERY, len(VOICES))
        _check_range("broken", self.broken, 0, 0.5)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        _check_range("archive", self.archive, 0, 1000)
        _check_range("archive_minutes", self.archive_minutes, 0.05, 60)
        known = sorted(set(DIGITS).intersection(self.languages))
        if not known or sorted(self.languages) != known:
            seen = ", ".join(self.languages) or "empty"
            raise ValueError(f"languages is {seen}; it must be one or more of {', '.join(DIGITS)}, each once")
        if not self.says or len(set(self.says)) < len(self.says):
            seen = ", ".join(self.says) or "empty"
            raise ValueError(f"says is {seen}; it must be one or more of {', '.join(get_args(Saying))}, each once")


@dataclass(frozen=True, kw_only=True, slots=True)
class Speech:
    """One call of the synthesiser: what to say and how. `rate` in words per minute, `pitch` from 0 to 99."""

    text: str
    voice: str
    lang: str
    rate: int
    pitch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Acoustics:
    """What happens to the speech on its way into the file. `snr_db` None: no noise. Silences in seconds."""

    sample_rate: int
    channels: int
    lead: float
    tail: float
    peak_db: float
    snr_db: float | None
    noise: Literal["white", "pink"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedUtterance:
    """One file of the corpus before it has a sound."""

    index: int
    slug: str
    speech: Speech
    label: str | None
    split: str
    acoustics: Acoustics
    container: Container
    broken: Broken | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRecording:
    """One archive recording: phrases of one test speaker, each followed by a pause (seconds)."""

    index: int
    seconds: float
    speaker: str
    lang: str
    acoustics: Acoustics
    container: Container


def rng_for(spec: DemoSpec, stream: int, index: int) -> np.random.Generator:
    """The random numbers of one item: the same whoever asks, whenever."""
    return np.random.default_rng([spec.seed, stream, index])


def shard_count(spec: DemoSpec) -> int:
    """How many shards the corpus is made in."""
    return -(-spec.utterances // SHARD)


def plan_shard(spec: DemoSpec, shard: int) -> list[PlannedUtterance]:
    """Plan the utterances of one shard, in their order; the shards in their order are the corpus."""
    sayings = _cycle(spec.languages, spec.says)
    broken = _plan_broken(spec)
    indices = range(shard * SHARD, min((shard + 1) * SHARD, spec.utterances))
    return [_plan_utterance(spec, index, sayings, broken.get(index)) for index in indices]


def plan_recording(spec: DemoSpec, index: int) -> PlannedRecording:
    """Plan archive recording `index`: its length, speaker (of the test speakers) and container; see `next_phrase`."""
    rng = rng_for(spec, RECORDING_PLAN, index)
    test_voices = [voice for number, voice in enumerate(VOICES[: spec.voices]) if _split(number) == "test"]
    share = index / max(1, spec.archive - 1)
    return PlannedRecording(
        index=index,
        seconds=60 * spec.archive_minutes * (2 + 2 * share) / 3,
        speaker=test_voices[index % len(test_voices)],
        lang=spec.languages[index % len(spec.languages)],
        acoustics=replace(_draw_acoustics(rng), sample_rate=RECORDING_RATES[index % len(CONTAINERS)]),
        container=CONTAINERS[index % len(CONTAINERS)],
    )


def next_phrase(plan: PlannedRecording, rng: np.random.Generator) -> tuple[Speech, float]:
    """Draw one phrase of a recording and the pause after it, in seconds."""
    phrases = [text for _, text in COMMANDS[plan.lang]] + [""] * len(COMMANDS[plan.lang])  # "": a digit string
    text = phrases[rng.integers(len(phrases))] or _digit_string(plan.lang, rng)[1]
    return _draw_speech(text, plan.speaker, plan.lang, rng), float(rng.uniform(0.4, 1.2))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise ValueError(f"{name} is {value}; it must be between {low} and {high}")


def _split(voice_number: int) -> str:
    return "test" if voice_number % TEST_EVERY == TEST_EVERY - 1 else "train"


def _cycle(languages: Sequence[str], says: Sequence[Saying]) -> list[tuple[str, str, str | None]]:
    """What is said in one round: (language, slug, text), each class once and some digit strings (text None)."""
    by_language = []
    for lang in languages:
        said: dict[Saying, list[tuple[str, str, str | None]]] = {
            "digits": [(lang, str(value), word) for value, word in enumerate(DIGITS[lang])],
            "commands": [(lang, slug, text) for slug, text in COMMANDS[lang]],
            "strings": [(lang, "", None)] * STRINGS_PER_CYCLE,
        }
        by_language.append([saying for kind in get_args(Saying) if kind in says for saying in said[kind]])
    return [saying for together in zip(*by_language, strict=True) for saying in together]


def _plan_utterance(
    spec: DemoSpec, index: int, sayings: Sequence[tuple[str, str, str | None]], broken: Broken | None
) -> PlannedUtterance:
    rng = rng_for(spec, UTTERANCE_PLAN, index)
    turn, place = divmod(index, len(sayings))
    lang, slug, text = sayings[place]
    label = text
    if text is None:
        slug, text = _digit_string(lang, rng)
    # Every class visits every voice in turn; 7 has no factor in common with the usual numbers of voices.
    voice_number = (turn + 7 * place) % spec.voices
    return PlannedUtterance(
        index=index,
        slug=slug,
        speech=_draw_speech(text, VOICES[voice_number], lang, rng),
        label=label,
        split=_split(voice_number),
        acoustics=_draw_acoustics(rng),
        container=CONTAINERS[rng.integers(len(CONTAINERS))],
        broken=broken,
    )


def _plan_broken(spec: DemoSpec) -> dict[int, Broken]:
    if spec.broken == 0:
        return {}
    count = max(len(BROKEN_KINDS), round(spec.utterances * spec.broken))
    places = rng_for(spec, BROKENNESS, 0).choice(spec.utterances, count, replace=False)
    return {int(place): BROKEN_KINDS[number % len(BROKEN_KINDS)] for number, place in enumerate(places)}


def _digit_string(lang: str, rng: np.random.Generator) -> tuple[str, str]:
    """Draw two to four digits: as a slug ("314") and as words ("three one four")."""
    values = [int(value) for value in rng.integers(10, size=rng.integers(2, 5))]
    return "".join(map(str, values)), " ".join(DIGITS[lang][value] for value in values)


def _draw_speech(text: str, voice: str, lang: str, rng: np.random.Generator) -> Speech:
    rate, pitch = int(rng.integers(140, 201)), int(rng.integers(35, 66))
    return Speech(text=text, voice=voice, lang=lang, rate=rate, pitch=pitch)


def _draw_acoustics(rng: np.random.Generator) -> Acoustics:
    return Acoustics(
        sample_rate=int(rng.choice(SAMPLE_RATES, p=RATE_WEIGHTS)),
        channels=2 if rng.random() < 0.25 else 1,
        lead=float(rng.uniform(0.05, 0.2)),
        tail=float(rng.uniform(0.05, 0.2)),
        peak_db=float(rng.uniform(-15, -3)),
        snr_db=float(rng.uniform(15, 40)) if rng.random() < 0.6 else None,
        noise="pink" if rng.random() < 0.5 else "white",
    )
