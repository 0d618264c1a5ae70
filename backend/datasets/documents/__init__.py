"""Texts and office documents: what is in them, and questions with answers among it.

Decision: Documents are parsed in a child process with limits on time and memory.
Because: they come from strangers, and their parsers crash and hang.
Proof: tests/backend/datasets/read/test_parse.py, test_fuzz.py.
Reconsider when: the parsers have a sandbox of their own.
"""
