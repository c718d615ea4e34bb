"""espeak-ng through ctypes: text in, 16-bit samples out.

The library comes from the optional package `espeakng-loader` and is loaded at run time; it is under the GPL-3 and no
part of it is shipped here. It keeps state between calls (the phase of its oscillators among it) that neither
`espeak_Terminate` nor a new seed puts back, so only a fresh process gives the same samples again.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from sorigil.demo.corpus import Speech
from sorigil.errors import RequestError, RunError

# Values of the enumerations in espeak-ng's speak_lib.h
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: report missing data, do not end the process
_RATE, _PITCH = 1, 3  # espeakRATE, espeakPITCH
_POSITION_CHARACTER = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8
_NO_MORE, _WORD, _END = 0, 1, 5  # espeakEVENT_LIST_TERMINATED, espeakEVENT_WORD, espeakEVENT_END
_LANGUAGES = {"en": "en-us", "ko": "ko"}  # en-gb takes no variants

Timed = tuple[float, float, str]  # start and end in seconds, text


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; audio_position is in milliseconds."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Events = ctypes.POINTER(_Event)
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, _Events)
_used = False


def require_espeak() -> None:
    """Raise RequestError, saying what to install, when the optional package is not there."""
    if find_spec("espeakng_loader") is None:
        raise RequestError("the demo corpus needs the extra: pip install 'sorigil[demo]'")


class Synthesiser:
    """The voice of one process: it can be made once in a process, so that its samples can be had again.

    `sample_rate` is the rate of what `speak` returns (22,050 Hz).
    """

    def __init__(self) -> None:
        """Load the library. Raise RequestError if it is not installed and RunError if it does not start."""
        global _used
        require_espeak()
        if _used:
            raise RuntimeError("espeak-ng was used in this process already: its samples would not be reproducible")
        _used = True
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._blocks: list[bytes] = []
        self._starts: list[float] = []  # of the words, in seconds
        self._end = 0.0
        self._callback = _Callback(self._receive)  # kept: C holds the only other reference
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if self.sample_rate <= 0:
            raise RunError("espeak-ng did not start: its data was not found where espeakng-loader says it is")
        # It has just seeded its breath noise with the time of day: voices such as f3 would change every second.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, speech: Speech) -> NDArray[np.int16]:
        """Synthesise one phrase: samples [N] at `sample_rate`. Raise RunError if the voice or the phrase fails."""
        voice = f"{_LANGUAGES[speech.lang]}+{speech.voice}"
        text = speech.text.encode() + b"\0"
        self._blocks.clear()
        self._starts.clear()
        failed = self._library.espeak_SetVoiceByName(voice.encode())
        failed = failed or self._library.espeak_SetParameter(_RATE, speech.rate, 0)
        failed = failed or self._library.espeak_SetParameter(_PITCH, speech.pitch, 0)
        failed = failed or self._library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, _POSITION_CHARACTER, 0, _UTF8, None, None
        )
        samples = np.frombuffer(b"".join(self._blocks), dtype=np.int16)
        if failed or not samples.any():
            raise RunError(f"espeak-ng said nothing for {speech.text!r} in voice {voice} (status {failed})")
        return samples

    def words(self, speech: Speech) -> list[Timed]:
        """When each word of what was just spoken is said, until the next begins. Raise RunError if that is not known."""
        words, starts = speech.text.split(), self._starts
        if not starts and len(words) == 1:  # a word that it spells out has no event
            starts = [0.0]
        if len(starts) != len(words):
            raise RunError(f"espeak-ng tells where {len(starts)} words begin, of {len(words)}: {speech.text!r}")
        return list(zip(starts, [*starts[1:], self._end], words, strict=True))

    def _receive(
        self, samples: ctypes._Pointer[ctypes.c_short] | None, count: int, events: ctypes._Pointer[_Event]
    ) -> int:
        place = 0
        while events and events[place].type != _NO_MORE:
            event = events[place]
            if event.type == _WORD:
                self._starts.append(event.audio_position / 1000)
            elif event.type == _END:
                self._end = event.audio_position / 1000
            place += 1
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on
