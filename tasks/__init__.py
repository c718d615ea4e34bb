"""One unit of work each: one shard, one model, one recording in; a small report out. Plain functions, no orchestrator."""
