"""Text and JSON as several packages need them: compared, shortened, read strictly.

    conversation.py   the parts of a row's conversation
    normalize.py      texts that are the same but for case, spaces and the like
    excerpt.py        a piece of text, safe to show
    signs.py          loops, copies, a person's own phrases
    strict_json.py    JSON in which silent faults are errors

Decision: JSON is read strictly: duplicate keys, NaN and huge numbers are errors of their row. orjson reads first, and
    its value is used where the strict reader would return the same.
Because: other readers silently drop one value of a repeated key, and orjson is faster.
Proof: tests/backend/datasets/read/test_read_json.py, tests/benchmarks/checking.py.
Reconsider when: the benchmark no longer shows a gain: then the standard library alone is enough.
"""
