"""Decoding: a network's posteriors to tokens and timed words (`ctc`), and windows to one recording (`stitch`)."""
