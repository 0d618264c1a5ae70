"""What is wrong with examples, and the fixes.

Decision: Checks filter before they search: texts are looked at in blocks of 512 rows,
    and patterns run on the few that can match.
Because: a hundred thousand rows must be checked while a person waits, in Python.
Proof: tests/backend/datasets/checks/test_check_text.py; tests/benchmarks/checking.py.
Reconsider when: a plain loop is fast enough in that benchmark.

Decision: Near-duplicates are found by a prefix filter, and each comparison is exact.
    Rows of one form are none.
Because: sketches (datasketch's MinHash) are approximate, and were slower.
Proof: tests/backend/datasets/checks/test_duplicates.py;
    tests/benchmarks/near_duplicates.py.
Reconsider when: files of millions of rows are common.
"""
