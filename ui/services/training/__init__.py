"""Services for training runs: planned, started, followed, compared, repeated."""
