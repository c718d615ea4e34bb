"""A demo corpus of real synthesised speech, so that the whole road can be walked with no data of one's own.

`generate` yields utterances and `generate_archive` yields longer recordings, as bytes with their references; the caller
puts them into files. It is for trying and testing the pipeline, not for training anything of use.
"""

from sorigil.demo.corpus import BROKEN_KINDS, DemoSpec
from sorigil.demo.processes import generate, generate_archive
from sorigil.demo.shards import DemoRecording, DemoUtterance, synthesise_recording, synthesise_shard

__all__ = [
    "BROKEN_KINDS",
    "DemoRecording",
    "DemoSpec",
    "DemoUtterance",
    "generate",
    "generate_archive",
    "synthesise_recording",
    "synthesise_shard",
]
