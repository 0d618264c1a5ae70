"""My models: every run, to open, resume, compare, rename, train again or delete."""
