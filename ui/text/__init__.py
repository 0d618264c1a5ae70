"""Words for people.

format.py          numbers and records as a person reads them
memory_parts.py    parts of the memory estimate
verdicts.py        an evaluation's report
files.py           formats, encodings and columns
"""
