"""Make the table of `docs/formats.md`: where libsndfile, FFmpeg and Sorigil differ on a folder of odd files.

    python docs/decoders.py ../shared/data/formats           prints the page with a new table
    python docs/decoders.py ../shared/data/formats --write   writes it

The folder has a manifest.jsonl with `audio`, `expect`, and for headerless files `sample_rate_hint`. Needs the extra
`formats`.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from sorigil.audio.decode import decode
from sorigil.audio.prepare import prepare
from sorigil.audio.spec import AudioSpec, RawAudio
from sorigil.errors import AudioError

PAGE = Path(__file__).with_name("formats.md")
BEGIN, END = "<!-- made by docs/decoders.py -->\n", "<!-- end -->\n"
SAME = 2 / 32768  # a difference below two steps of 16 bits is rounding
SAID = 58  # characters of an error


@dataclass
class Opinion:
    """What a decoder makes of a file: samples (num_samples, channels), or what it said instead; `note` is added."""

    samples: np.ndarray | None = None
    rate: int = 0
    said: str = ""
    note: str = ""

    def __str__(self) -> str:
        if self.samples is None:
            return self.said
        length = f"{len(self.samples):,} × {self.samples.shape[1]} at {self.rate:,} Hz"
        return length + (f"; {self.note}" if self.note else "")


def libsndfile(data: bytes) -> Opinion:
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, TypeError) as error:
        return Opinion(said=f"error: {getattr(error, 'error_string', error)}"[:SAID])
    return Opinion(samples, rate)


def ffmpeg(data: bytes) -> Opinion:
    blocks: list[np.ndarray] = []
    rate, note = 0, ""
    try:
        with av.open(io.BytesIO(data), metadata_errors="replace") as container:
            stream = container.streams.audio[0]
            rate = stream.rate
            resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
            for frame in container.decode(stream):
                blocks += [part.to_ndarray() for part in resampler.resample(frame)]
    except (av.error.FFmpegError, ValueError, AttributeError, IndexError) as error:
        note = f"error: {getattr(error, 'strerror', None) or error}"[:SAID]
    if not blocks:
        return Opinion(said=note or "no samples")
    return Opinion(np.concatenate(blocks, axis=1).T, rate, note=f"then {note}" if note else "")


def ours(data: bytes, hint: int | None) -> Opinion:
    try:
        decoded = decode(data, raw=RawAudio(sample_rate=hint) if hint else None)
    except AudioError as refused:
        return Opinion(said=f"refused: `{refused.reason}`")
    note = ""
    if decoded.header_samples not in (None, decoded.num_samples):
        note = f"header claims {decoded.header_samples:,}"
    try:
        prepare(decoded, AudioSpec())
    except AudioError as refused:
        note = note if refused.reason == "too_short" else f"refused: `{refused.reason}`"
    return Opinion(decoded.samples, decoded.sample_rate, note=note)


def differ(one: Opinion, ours: Opinion) -> bool:
    """Whether one took what the other refused, or another number of samples, or heard something else (then noted)."""
    if one.samples is None or ours.samples is None:
        return (one.samples is None) != (ours.samples is None)
    if one.samples.shape != ours.samples.shape or one.rate != ours.rate:
        return True
    apart = np.abs(np.nan_to_num(one.samples) - np.nan_to_num(ours.samples))
    if apart.size and apart.max() > SAME:
        one.note = one.note or f"other values (by up to {apart.max():.2g})"
    return bool(one.note)


def table(folder: Path) -> str:
    """The files on which they differ, as Markdown, and how many there were."""
    lines = ["| file | to expect | libsndfile | FFmpeg | Sorigil |", "|---|---|---|---|---|"]
    rows: list[dict[str, Any]] = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for row in rows:
        data = (folder / row["audio"]).read_bytes()
        opinions = [libsndfile(data), ffmpeg(data), ours(data, row.get("sample_rate_hint"))]
        differing = [differ(each, opinions[2]) for each in opinions[:2]]  # both: each notes its difference
        if any(differing) or opinions[2].note:
            name = Path(row["audio"]).name
            cells = [str(each).replace("|", "\\|") for each in opinions]
            lines.append(f"| `{name}` | {row['expect'].replace('_', ' ')} | {' | '.join(cells)} |")
    agreed = len(rows) - len(lines) + 2
    versions = f"libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})"
    return "\n".join([f"{len(rows)} files; all three agree on {agreed}. {versions}.", "", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description="where the decoders differ")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="write docs/formats.md")
    given = parser.parse_args()
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    page = before + BEGIN + "\n" + table(given.folder) + "\n" + END + rest.partition(END)[2]
    if given.write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
