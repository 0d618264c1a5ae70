"""From bytes to records. Every row is imported or named; nothing is dropped silently.

table.py                                a spreadsheet as a table, to be filled and written again
material.py                             a text or a table to make examples from
load.py                                 a file as rows, with a problem for each that can't be used
readers.py                              the table of readers, in the order in which they are asked
formats/                                a file for each format
file.py                                 what a reader is, what it gets, and what it returns
assemble.py                             records as rows and problems
source.py, encoding.py                   bytes: limited, and as UTF-8
compression.py                          unpacking
cells.py, header.py, leftovers.py       rows of tables
columns.py                              names for the columns of JSON and YAML without any
examples.py, document.py                whether a text holds examples; a text to work on
parse.py                                documents, in a child process
together.py, pack.py                    several files as one dataset

Decision: A format is a Reader in a file of its own, and its place in one table.
Because: the order decides what an unclear file is, so it must be seen at once; everything else about a format,
its title on the page included, is in its file.
Proof: tests/backend/datasets/test_sources.py, over the corpus in tests/data/sources.
Reconsider when: two formats can't be told apart by their first 64 KiB and their name.
"""
