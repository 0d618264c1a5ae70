"""Is the model any good: its answers on the held-out examples, scored and compared."""
