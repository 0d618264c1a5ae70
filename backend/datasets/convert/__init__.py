"""From records of any shape to rows.

Decision: A table is read by the likeliest of at most four readings, ranked by one
    score; it is shown with the others, and nothing is trained before a person says yes.
    Only names of columns that leave no doubt need no yes.
Because: rules that must never be wrong have no end, since their result is not shown: 105
    constants and thirteen exceptions were still wrong in silence. One score is right
    first for 63 of 86 tables of the corpus, and a wrong one costs a click.
Proof: docs/formats.md, by tests/backend/datasets/test_sources.py: of 356 files, 137 need
    no click, 150 one, 42 up to four; 12 are refused with a reason, and 15 lack something
    that can't be had, such as the text of the option that a quiz's letter names.
Reconsider when: people say yes unread.

Decision: Several columns of an answer become a JSON object in their order, with numbers
    where every cell that was looked at is one and null for an empty cell.
Because: fields that are pulled out of a text are the likeliest use of such a table, and
    a program that reads the answers needs one form.
Proof: tests/backend/datasets/convert/test_fields.py.
Reconsider when: people want fields inside fields.
"""
