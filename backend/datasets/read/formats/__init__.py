"""One file for each format: how it is recognized by its first bytes, and how its records are read.

parquet.py, workbook.py                tables: Parquet, Excel, OpenDocument
delimited.py, anki.py                  tables as text
json.py, yaml.py                       JSON, JSON lines, YAML
documents.py                           PDF, Word, OpenDocument texts
text.py                                web pages, Markdown, plain text
markup.py                              feeds, translations, LaTeX
notes.py                               notes with titles: Notion, Keep, Evernote
chats.py, chat_archive.py              chats and mail, also in the records of another format
annotation_tools.py                    records of annotation tools, and nested question sets
refused.py                             what is not text
"""
