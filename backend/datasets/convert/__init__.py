"""From records of any shape to rows.

Decision: Nothing is trained on guessed columns: the page asks, and the commands refuse
    until they are named.
Because: a model trained on the wrong column looks trained.
Proof: tests/backend/datasets/convert/test_detect.py,
    tests/ui/services/data/test_imports.py.
Reconsider when: people confirm nearly every guess unread.
"""
