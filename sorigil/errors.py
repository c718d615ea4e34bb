"""The errors a user can cause, each with the sentence that helps. Everything else is a bug of ours and keeps its traceback."""

from __future__ import annotations


class SorigilError(Exception):
    """Something the user can mend: says what was seen, what was expected and what to do.

    `exit_code` is the process's: 1 when the work failed, 2 when the request was wrong.
    """

    exit_code = 1


class RequestError(SorigilError):
    """The request cannot be carried out as it is written: a name, a value, a file in the configuration."""

    exit_code = 2


class RunError(SorigilError):
    """The run cannot go on or must not be published: too much was rejected, a shard is missing, a commit was lost."""


def place_failed(wrong: OSError) -> RunError:
    """A disk, a store or a network that fails is no bug of ours."""
    return RunError(
        f"a file or a store could not be used ({wrong}); mend that and run again: what was finished is kept"
    )


class AudioError(SorigilError):
    """One item's audio cannot be used. `reason` is a short stable code for the quarantine table, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str]]:
        return (AudioError, (self.reason, self.detail))
