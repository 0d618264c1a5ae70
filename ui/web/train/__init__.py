"""Train: everything that is about to happen, then watching it happen."""
