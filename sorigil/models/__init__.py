"""Networks: `specs/` has their parameters, `network.py` finds them by kind, and each has a file of its own."""
