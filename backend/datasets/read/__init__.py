"""From bytes to records. Every row is imported or named; nothing is dropped silently.

Decision: A format is a Reader in a file of its own, and its place in one table.
Because: the order decides what an unclear file is, so it must be seen at once;
everything else about a format, its title on the page included, is in its file.
Proof: tests/backend/datasets/test_sources.py, over the corpus in tests/data/sources.
Reconsider when: two formats can't be told apart by their first 64 KiB and their name.
"""
