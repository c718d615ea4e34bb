"""Sorigil's science: audio, features, text, models, decoding, metrics, training.

Bytes, arrays and specs come in; arrays and results go out. Nothing here knows a file, a network address or an
orchestrator: `storage` gives the bytes, `tasks` do one unit of work with them, `flows` decide what runs where.
"""

__version__ = "0.1.0"
