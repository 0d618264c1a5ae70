"""Texts and office documents: what is in them, and questions with answers among it.

Decision: Documents are parsed in a child process with limits on time and memory.
Because: they come from strangers, and their parsers crash and hang.
Proof: tests/backend/datasets/read/test_parse.py, test_fuzz.py.
Reconsider when: the parsers have a sandbox of their own.

Decision: python-calamine reads the cells of spreadsheets, mammoth Word documents and
PDFium the letters of a PDF. What a page or a sheet shows is found by code of our own.
Because: of the readers of everything, none got as many files of the corpus right.
Proof: files of tests/data/sources that came out as their tables say, in December 2026.
Of two forms of output (Markdown, HTML) each file counts with the better one; a
title that is kept as a heading of Markdown counts as wrong.

                      this      pandoc   kreuzberg  markitdown  calamine  pdf_oxide
                      package   3.9      4.10.4     0.1.9       0.9.1     0.3.78
.xlsx                 20 of 20  9 of 20  14 of 20   13 of 20    18 of 20  -
.ods                  3 of 3    -        1 of 3     -           3 of 3    -
.docx                 9 of 9    7 of 9   6 of 9     7 of 9      -         -
.odt                  2 of 2    2 of 2   2 of 2     -           -         -
.html                 8 of 8    4 of 8   3 of 8     2 of 8      -         -
.tex                  1 of 1    1 of 1   1 of 1     1 of 1      -         -
.pdf                  8 of 8    -        2 of 8     2 of 8      -         3 of 8
sheets: s, MiB        0.48, 55  0.41, 36 0.29, 46   2.75, 199   0.01, 14  -
.docx .odt .html      0.37, 35  0.43, 56 0.07, 47   1.90, 192   -         -
.pdf                  0.25, 31  -        0.21, 53   3.07, 193   -         0.10, 35
installed, MB         -         155      98         217         2         25
licence               -         GPL 2    MIT        MIT         MIT       MIT, Apache 2

The seconds are for all files of the line that a reader takes; the memory is the most
that its process held.
Calamine alone shows 35% as 0.35 and a price without its currency, and reads hidden
rows as any others; `workbook` adds that. It read 50,000 rows of three cells in 0.2 s,
`workbook` in 0.8 s, and openpyxl, which it replaced, in 4.7 s. All have wheels for
Linux, macOS on ARM and Windows.
Of 14 mails with quotations (tests, "mails"), `chats.mail_text` got 14 right, quotequail
9, mail-parser-reply and email-reply-parser 8.
Reconsider when: one of them gets as many right; or when .epub and .rtf are wanted,
which pandoc reads.
"""
