"""Language models of the decoders: n-grams (`ngram`), learned from transcripts (`kneser_ney`), as ARPA files (`arpa`)."""
