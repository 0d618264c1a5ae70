"""From records of any shape to rows.

    convert.py                    one record as a row
    detect.py, shapes.py          its shape and columns, and the shapes there are
    mapping.py                    the plan for a whole file
    guess_columns.py              columns by their values, and doubts about them
    messages.py, tool_calls.py    conversations and tool calls in the formats of others
    templates.py                  conversations as one text, in the format of a prompt
    nested.py                     dotted names for what lies inside objects

Decision: Nothing is trained on guessed columns: the page asks, and the commands refuse until they are named.
Because: a model trained on the wrong column looks trained.
Proof: tests/backend/datasets/convert/test_detect.py, tests/ui/services/data/test_imports.py.
Reconsider when: people confirm nearly every guess unread.
"""
