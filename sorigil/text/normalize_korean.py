"""Korean: composed syllables, numbers and units read out, and transcriptions that give two spellings.

Reading out follows the standard rules (native numerals before counters such as 명 and 개, Sino-Korean ones elsewhere) and
no dictionary: 번 and 대 are read as counters where the number alone cannot tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from sorigil.text.normalize_plain import basic

Numbers = Literal["keep", "spoken"]
Dual = Literal["keep", "spoken", "written"]

HANGUL_FILLERS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0"), " ")  # letters by category, blanks to the eye

DIGITS, STRING_DIGITS = "영일이삼사오육칠팔구", "공일이삼사오육칠팔구"
SMALL, LARGE = ("천", "백", "십", ""), ("", "만", "억", "조", "경")
NATIVE_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
MONTHS = {6: "유", 10: "시"}

# Before these a number up to 99 is native; what begins alike and is something else is kept out (달러, 개월, 번지, 대로).
COUNTERS = (
    "시간|시(?!간)|명(?!령)|개(?!월|국|년|소|사|정)|살|마리|번(?!지|호)|잔|병(?!원)|장(?!관|군)|권|대(?!로|학)|달(?!러)|가지|사람|군데|곳|"
    "벌|송이|켤레|그루|채(?!널)|척|쌍|통(?!화)|줄|조각|바퀴|끼|배(?!럴)|그릇|봉지|상자|자루|포기"
)
UNITS = {
    "%": "퍼센트", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터", "m": "미터", "kg": "킬로그램", "mg": "밀리그램",
    "g": "그램", "t": "톤", "ml": "밀리리터", "mL": "밀리리터", "l": "리터", "L": "리터", "ℓ": "리터", "°C": "도",
    "℃": "도", "°": "도", "Hz": "헤르츠", "kHz": "킬로헤르츠", "MHz": "메가헤르츠", "GHz": "기가헤르츠", "kW": "킬로와트",
    "W": "와트", "V": "볼트", "KB": "킬로바이트", "MB": "메가바이트", "GB": "기가바이트", "TB": "테라바이트", "$": "달러",
    "m²": "제곱미터", "㎡": "제곱미터", "㎞": "킬로미터", "㎝": "센티미터", "㎜": "밀리미터", "㎏": "킬로그램", "㎎": "밀리그램",
    "㏄": "시시", "cc": "시시", "€": "유로", "£": "파운드", "₩": "원",
}  # fmt: skip

_CURRENCY = re.compile(r"([$€£₩])\s*([0-9](?:[0-9,.]*[0-9])?)")
_LONGEST_UNIT_FIRST = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"""(?P<minus>(?<!\S)[-−](?=[0-9]))?
    (?P<whole>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)
    (?:\.(?P<fraction>[0-9]+)|(?P<hyphens>(?:-[0-9]+)+))?
    (?:\s?(?:(?P<unit>{_LONGEST_UNIT_FIRST})(?![A-Za-z])|(?P<counter>{COUNTERS})|(?P<month>월)|(?P<word>(?=[가-힣]))))?""",
    re.VERBOSE,
)
_DUAL = re.compile(r"\(([^()]*)\)\s*/?\s*\(([^()]*)\)")
_NOISES = re.compile(r"(?<![A-Za-z])[bnlou]/")


def korean(text: str) -> str:
    """Korean: as `basic`, and the Hangul fillers (letters nobody sees) count as white space.

    Syllables are composed (NFC) and never split. Spaces are kept here; whether they count is the metric's choice:
    `cer` leaves them out, `cer_spaces` and `wer` count them, `swer` takes the reference's.
    """
    return basic(text.translate(HANGUL_FILLERS))


def reader(numbers: Numbers, dual: Dual) -> Callable[[str], str]:
    """Return `korean` with one side of dual transcriptions taken before it, and numbers read out."""
    if numbers == "keep" and dual == "keep":
        return korean
    steps: list[Callable[[str], str]] = [lambda text: unicodedata.normalize("NFC", text)]
    if dual != "keep":
        steps.append(lambda text: one_side(text, spoken=dual == "spoken"))
    if numbers == "spoken":
        steps.append(read_out)

    def normalize(text: str) -> str:
        for step in steps:
            text = step(text)
        return korean(text)

    return normalize


def one_side(text: str, *, spoken: bool) -> str:
    """Take one spelling of a KsponSpeech transcription, where `(70%)/(칠십 퍼센트)` gives the written and the spoken one.

    Its marks go: noises (`b/` breath, `l/` laughter, `n/`, `o/`, `u/`), the slash after a filler (`음/`), `+` after a
    repeated and `*` after an unclear word (Bang et al. 2020, "KsponSpeech: Korean Spontaneous Speech Corpus").
    """
    text = _NOISES.sub(" ", _DUAL.sub(r"\2" if spoken else r"\1", text))
    return re.sub(r"/(?=\s|$)|[+*]", "", text)


def read_out(text: str) -> str:
    """Write numbers and the units behind them as they are read: `3명` -> `세 명`, `2.5kg` -> `이 점 오 킬로그램`."""
    return _NUMBER.sub(_read, _CURRENCY.sub(r"\2\1", text))


def sino(number: int) -> str:
    """A number in Sino-Korean numerals, a space after each 만 as spelled: 110003 -> `십일만 삼`."""
    if number == 0:
        return DIGITS[0]
    if number >= 10 ** (4 * len(LARGE)):
        return digit_by_digit(str(number))
    groups = []
    for power, large in enumerate(LARGE):
        group = number // 10_000**power % 10_000
        leading = number < 10_000 ** (power + 1)
        said = "" if group == 1 and large == "만" and leading else _below_10000(group)  # 10000 is 만, not 일만
        groups.append(said + large if group else "")
    return " ".join(filter(None, reversed(groups)))


def native(number: int) -> str:
    """A number from 1 to 99 as it stands before a counter: 3 -> `세`, 20 -> `스무`, 21 -> `스물한`."""
    return "스무" if number == 20 else NATIVE_TENS[number // 10] + NATIVE_ONES[number % 10]


def digit_by_digit(digits: str) -> str:
    """A telephone number or the like: 010 -> `공일공`."""
    return "".join(STRING_DIGITS[int(digit)] for digit in digits)


def _below_10000(number: int) -> str:
    said = ""
    for digit, small in zip(f"{number:04d}", SMALL, strict=True):
        if digit != "0":
            said += small if digit == "1" and small else DIGITS[int(digit)] + small
    return said


def _read(found: re.Match[str]) -> str:
    whole, unit, counter = found["whole"].replace(",", ""), found["unit"], found["counter"]
    if found["hyphens"]:
        said = " ".join(digit_by_digit(part) for part in (whole + found["hyphens"]).split("-"))
    elif len(whole) > 1 and whole.startswith("0"):
        said = digit_by_digit(whole)
    elif counter and not found["fraction"] and _is_native(int(whole), counter):
        said = native(int(whole))
    elif found["month"] and int(whole) in MONTHS:
        return f"{MONTHS[int(whole)]}월"
    else:
        said = sino(int(whole))
    if found["fraction"]:
        said += " 점 " + "".join(DIGITS[int(digit)] for digit in found["fraction"])
    if found["minus"]:
        said = f"마이너스 {said}"
    behind = UNITS[unit] if unit else counter or found["month"] or ""
    return f"{said} {behind}" if behind or found["word"] is not None else said


def _is_native(number: int, counter: str) -> bool:
    """Hours stop at 12 (15시 is 십오 시), and 20대 are people of that age more often than machines."""
    if counter == "시":
        return 1 <= number <= 12
    if counter == "대" and number % 10 == 0:
        return False
    return 1 <= number <= 99
