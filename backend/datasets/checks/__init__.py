"""What is wrong with examples, and the fixes.

    issues.py                                          every kind of problem: severity, title, fix
    report.py                                          the report
    fix.py, fixers.py                                  applies accepted fixes, and writes the result
    structure.py                                       the order of turns
    content.py, patterns.py                            faults inside a text, by:
    characters.py, leftovers.py                        unintended characters and parts
    personal_data.py, phone_numbers.py                 personal data and secrets
    editor.py                                          what a strict editor would send back
    answers.py, names.py                               answers, and customers' names in them
    dataset.py                                         the file as a whole
    language.py                                        the language of rows
    duplicates.py, near_duplicates.py                  rows that are the same or almost
    tokens.py                                          what the chosen model makes of a row

Decision: Checks filter before they search: texts are looked at in blocks of 512 rows, and patterns run on the few
    that can match.
Because: a hundred thousand rows must be checked while a person waits, in Python.
Proof: tests/backend/datasets/checks/test_check_text.py; tests/benchmarks/checking.py.
Reconsider when: a plain loop is fast enough in that benchmark.

Decision: Near-duplicates are found by a prefix filter, and each comparison is exact. Rows of one form are none.
Because: sketches (datasketch's MinHash) are approximate, and were slower.
Proof: tests/backend/datasets/checks/test_duplicates.py; tests/benchmarks/near_duplicates.py.
Reconsider when: files of millions of rows are common.
"""
