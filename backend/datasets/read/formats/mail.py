"""Reads e-mails: a mailbox, one message, or several that somebody copied into a text."""

from __future__ import annotations

from backend.datasets.chats.mail import MAIL, is_mail, mail_messages
from backend.datasets.chats.pasted_mail import is_pasted_mail, pasted_mails
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.source import line_blocks


def _is_mailbox(file: File) -> bool:
    return file.detects and is_mail(file.head) and not is_pasted_mail(file.head.decode("utf-8", "replace"))


def _open_mailbox(file: File) -> OpenSource:
    blocks = line_blocks(file.source.blocks(), file.options.limits.line_bytes)  # each mail has its own encodings
    return OpenSource(mail_messages(line or b"" for lines in blocks for line in lines), chat=MAIL)


def _is_pasted(file: File) -> bool:
    return file.detects and is_pasted_mail(file.text)


def _open_pasted(file: File) -> OpenSource:
    return OpenSource(pasted_mails(file.whole_text()), chat=MAIL)


MAILBOX = Reader("mail", "e-mail", _is_mailbox, _open_mailbox, binary=True)
PASTED = Reader("text", "plain text", _is_pasted, _open_pasted)
