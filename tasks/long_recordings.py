"""Recordings too long to be held: decoded, prepared and stored block by block, in memory that does not depend on length.

`prepare.py` hands them over. That a recording breaks off is known only at its end, so until then nothing of it is called
done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sorigil.audio import decode
from sorigil.audio.decode import Floats, LongRecording
from sorigil.audio.prepare import Prepared, to_float
from sorigil.audio.prepare_long import LongPrepared, LongSpan, ShortSpan
from sorigil.errors import AudioError
from sorigil.features import compute
from sorigil.features.long import compute_long
from storage.streams import Spool
from tasks.rows import Item, Row, refuse, row_of, samples_there, span_of
from tasks.unit_output import Output, unexpected
from tasks.units import PrepareUnit

Span = LongSpan | ShortSpan


def prepare_long(
    unit: PrepareUnit, recording: LongRecording, items: Sequence[Item], sha256: str, output: Output
) -> None:
    """Prepare, featurize and store the items of one recording. A bad one becomes a rejection; the others go on."""
    work = _Work(unit, recording, sha256, output)
    spans = [(item, _span(unit, recording, item)) for item in items]
    waiting = sorted(spans, key=lambda one: -one[1].low)
    active: list[tuple[Item, Span]] = []
    try:
        for at, block in _timed_blocks(recording, items[0]["uri"], output):
            after = at + len(block)
            while waiting and waiting[-1][1].low < after:
                active.append(waiting.pop())
            for item, span in active:
                work.feed(item, span, block, at)
                if span.high <= after:
                    work.finish(item, span, after)
            active = [one for one in active if one[1].high > after]
        for item, span in (*active, *waiting):
            work.finish(item, span, recording.num_samples)
    except AudioError as wrong:
        for item in items:
            output.reject(item, sha256, "decode", wrong)
        return
    finally:
        for _, span in (*active, *waiting):
            span.close()
    work.settle()


def _span(unit: PrepareUnit, recording: LongRecording, item: Item) -> Span:
    start, length = span_of(item, recording.sample_rate)
    where: dict[str, Any] = {"start": start, "channel": item["channel"]}
    if length is None or length * recording.channels > decode.HELD_VALUES:
        return LongSpan(unit.audio, recording.sample_rate, length=length, set_aside=Spool, **where)
    return ShortSpan(unit.audio, recording.sample_rate, recording.container, length=length, **where)


def _timed_blocks(recording: LongRecording, uri: str, output: Output) -> Iterator[tuple[int, Floats]]:
    """The recording's blocks and where they begin."""
    at = 0
    blocks = iter(recording)
    while True:
        clock = time.perf_counter()
        try:
            block = next(blocks, None)
        except AudioError:
            raise
        except Exception as bug:
            raise unexpected(bug, uri) from bug
        output.time("decode", clock)
        if block is None:
            return
        yield at, block
        at += len(block)


class _Work:
    """What has become of the items of one recording so far."""

    def __init__(self, unit: PrepareUnit, recording: LongRecording, sha256: str, output: Output) -> None:
        self._unit, self._recording, self._sha256, self._output = unit, recording, sha256, output
        self._done: list[Row] = []
        self._failed: dict[int, tuple[Item, str, AudioError]] = {}  # by the item's address: item, stage, what is wrong

    def feed(self, item: Item, span: Span, block: Floats, at: int) -> None:
        if id(item) in self._failed or "problem" in item:
            return
        clock = time.perf_counter()
        try:
            span.add(block, at)
        except OSError:
            raise  # of our own disk: no verdict on the item
        except Exception as error:
            self._fail(item, "prepare", error)
        self._output.time("resample", clock)

    def finish(self, item: Item, span: Span, total: int) -> None:
        """All samples that the item takes have come; of the recording there are `total`, or more."""
        if id(item) in self._failed:
            return
        stage = "prepare"
        try:
            clock = time.perf_counter()
            refuse(item)
            prepared = span.finish(total)
            self._output.time("resample", clock)
            row = row_of(self._unit, item, self._sha256, self._recording, prepared)
            stage = "features"
            self._store(row, prepared)
            self._done.append(row)
        except OSError:
            raise
        except Exception as error:
            self._fail(item, stage, error)
        finally:
            span.close()

    def _store(self, row: Row, prepared: Prepared | LongPrepared) -> None:
        output, specs, rate = self._output, self._unit.features, prepared.sample_rate
        clock = time.perf_counter()
        if isinstance(prepared, Prepared):
            features = compute(specs, to_float(prepared.pcm), rate)
            output.time("features", clock)
            for number, matrix_TF in enumerate(features):
                output.write_feature(row, number, [matrix_TF])
            output.write_audio(row, [prepared.pcm])
            output.listen(row, [to_float(prepared.pcm)])
            return
        if specs:
            samples = map(to_float, prepared.pcm())
            for number, blocks in compute_long(specs, samples, rate, lambda width: Spool(width=width)):
                clock = output.time("features", clock)
                output.write_feature(row, number, blocks)
                clock = time.perf_counter()
        output.write_audio(row, prepared.pcm())
        output.listen(row, map(to_float, prepared.pcm()))

    def _fail(self, item: Item, stage: str, error: Exception) -> None:
        wrong = error if isinstance(error, AudioError) else unexpected(error, item["uri"])
        self._failed[id(item)] = (item, stage, wrong)

    def settle(self) -> None:
        """The recording came to its end as it should."""
        rate, total = self._recording.sample_rate, self._recording.num_samples
        for row in self._done:
            row["header_samples"] = self._recording.header_samples  # known only now
            self._output.keep(row, row["num_samples"] / rate, row["prepared_samples"])
        for item, stage, wrong in self._failed.values():
            known = samples_there(item, total, rate)
            self._output.reject(item, self._sha256, stage, wrong, num_samples=known, sample_rate=rate)
