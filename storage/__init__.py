"""Where things live: sources, catalogue, parts, models, experiments. The only layer that sees paths, URLs and tables."""
