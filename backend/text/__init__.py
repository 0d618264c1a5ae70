"""Text and JSON as several packages need them: compared, shortened, read strictly.

    conversation.py   the parts of a row's conversation
    normalize.py      texts that are the same but for case, spaces and the like
    excerpt.py        a piece of text, safe to show
    signs.py          loops, copies, a person's own phrases
    strict_json.py    JSON in which silent faults are errors

Decision: JSON is read strictly, by the standard library: duplicate keys, NaN and huge numbers are errors of their row.
Because: other readers silently drop one value of a repeated key. Trying orjson first, which tells less, saved 0.4 of
    1.35 seconds for 100,000 rows and was dropped.
Proof: tests/backend/datasets/read/test_read_json.py, tests/benchmarks/checking.py.
Reconsider when: files of millions of rows are common.
"""
