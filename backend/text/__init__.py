"""Text and JSON as several packages need them: compared, shortened, read strictly.

Decision: JSON is read strictly, by the standard library: duplicate keys, NaN and huge
    numbers are errors of their row.
Because: other readers silently drop one value of a repeated key. Trying orjson first,
    which tells less, saved 0.4 of 1.35 seconds for 100,000 rows and was dropped.
Proof: tests/backend/datasets/read/test_read_json.py, tests/benchmarks/checking.py.
Reconsider when: files of millions of rows are common.
"""
