"""Examples for people who have none: questions drafted about their text, their table or
their topic.

Decision: The answer is always the person's own sentence; a model drafts only the
    question and names the sentence.
Because: small models can ask about a passage, but what they answer and how they rate is
    not to be trusted. What the bundled one asks is of no use (docs/performance.md has
    the measurement).
Proof: tests/backend/drafts/test_drafts.py.
Reconsider when: a model of the catalogue answers from a passage without adding to it.

Decision: A draft is no row. It becomes an edit of the dataset when the person keeps it.
Because: what nobody has looked at must never train.
Proof: tests/ui/services/data/test_drafting.py,
    tests/backend/datasets/read/test_material.py.
Reconsider when: drafts are as good as what people keep.
"""
