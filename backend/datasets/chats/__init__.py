"""Exports of chats and mail: who said what, and whom the model should learn to write
like.

Decision: Messages are found by who and what, wherever they lie. A format is a row of a
table only where its messages need more: versions of a reply, kinds that are no
messages, texts in pieces.
Because: a new service then needs nothing. Mail and chats as text are no records, so
    they have readers.
Proof: tests/backend/datasets/chats, and the corpus in tests/data/sources.
Reconsider when: a service nests messages in a way that no path reaches.

Decision: Where nothing says who answers, whoever answers most does, and the others are
proposed.
Because: the reading is shown before anything is trained; a question first shows nothing.
Proof: tests/data/sources/conversations.jsonl says for each file what has to be chosen.
Reconsider when: the first proposal is wrong for more files than it is right.

Decision: Quoted mail and signatures are recognized by code of our own.
Because: mail-parser-reply fails where mail_text.py says how.
Proof: tests/backend/datasets/chats/test_mail_text.py.
Reconsider when: a package passes these tests.
"""
