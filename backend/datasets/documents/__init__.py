"""Texts and office documents: what is in them, and questions with answers among it.

    child.py                               parses one document in a process of its own
    archive.py                             checks the zip archive that an Office document is
    odf.py, pdf.py                         documents
    workbook.py, number_format.py          spreadsheets, as Excel shows them
    markdown.py, markup.py                 Markdown and HTML
    blocks.py                              what all of these become
    questions.py, labelled.py              questions and answers in a text
    passages.py                            a document in passages to make examples from

Decision: Documents are parsed in a child process with limits on time and memory.
Because: they come from strangers, and their parsers crash and hang.
Proof: tests/backend/datasets/read/test_parse.py, test_fuzz.py.
Reconsider when: the parsers have a sandbox of their own.
"""
