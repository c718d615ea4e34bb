"""When a pipeline runs by itself. Checks that the schedule can be kept; `serve` keeps it."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from flows.config.problems import near_name

Step = Literal["ingest", "prepare", "train", "evaluate", "transcribe", "report"]
_FORBID: dict[str, Any] = {"extra": "forbid"}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of the week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """When `serve` runs the pipeline. `catch_up`: what becomes of runs missed while nothing served: none, or one."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    cron: str
    timezone: str = "UTC"
    steps: tuple[Step, ...]
    catch_up: Literal["skip", "once"] = "skip"

    def __post_init__(self) -> None:
        check_timezone(self.timezone)  # what has a default first: so the search for mistakes gets past it
        check_cron(self.cron)
        if not self.steps:
            raise ValueError("steps is empty; it must name at least one")


def check_cron(text: str) -> None:
    """Raises ValueError where `text` is not five cron fields: numbers, names, `*`, ranges, steps and lists of them."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, _, _ in _FIELDS)
        raise ValueError(f"cron is {text!r}, of {len(fields)} fields; it needs 5: {names}, as in '0 3 * * *'")
    for field, (name, lowest, highest) in zip(fields, _FIELDS, strict=True):
        for item in field.split(","):
            if not _item_fits(item, name, lowest, highest):
                raise ValueError(f"cron is {text!r}; its {name} is {item!r}, and must be within {lowest} to {highest}")


def _item_fits(item: str, name: str, lowest: int, highest: int) -> bool:
    span, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    numbers = [_number(each, name, lowest) for each in ([first, last] if dash else [first])]
    known = [number for number in numbers if number is not None]
    return len(known) == len(numbers) and all(lowest <= each <= highest for each in known) and known == sorted(known)


def _number(text: str, name: str, lowest: int) -> int | None:
    names = _NAMES.get(name, ())
    if text.lower() in names:
        return names.index(text.lower()) + lowest
    return int(text) if text.isascii() and text.isdigit() else None


def check_timezone(name: str) -> None:
    """Raises ValueError with the nearest name where there is no such time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        hint = near_name(name, known) or "it must be a name such as UTC or Asia/Seoul"
        raise ValueError(f"timezone is {name!r}, which does not exist; {hint}") from None
