"""Text: the spelling that transcripts are compared in (`normalize`) and the symbols a model emits (`tokenizer`)."""
