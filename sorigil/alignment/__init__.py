"""Forced alignment: where in a recording each word and character of a known text is said."""
