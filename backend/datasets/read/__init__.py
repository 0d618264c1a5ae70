"""From bytes to records. Every row is imported or named; nothing is dropped silently.

load.py                                                 a file as rows, with a problem for each that can't be used
source.py, compression.py, encoding.py                  bytes: limited, unpacked, as UTF-8
open.py, text.py, opened.py                             detects the format, and begins to read
formats.py                                              formats by their first bytes
delimited.py, header.py, leftovers.py, split_texts.py   tables as text
json_document.py, values.py                             JSON and YAML
parquet.py, spreadsheet.py                              Parquet and sheets
parse.py, documents.py, document.py                     documents, and whether a text holds examples
anki.py, annotations.py, chat_archive.py                exports of other programs
together.py, pack.py                                    several files as one dataset
records.py                                              collects records as rows
"""
