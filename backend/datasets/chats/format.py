"""Describes a chat format: where its messages are, who wrote them, and what they say.
formats.json has them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backend.datasets.chats.paths import find
from backend.files.json_file import read_json

Markup = Literal["", "html", "slack", "meta"]


@dataclass(frozen=True)
class ChatFormat:
    """One format of conversations, as paths (`paths.py`). Those after `messages` start
    at a message.

    title: "a WhatsApp chat". source: where the format is documented. needs: what every
    record of it has. records: where the conversations are, if not the record itself.
    messages: where a conversation's messages are; () where each record is one message.
    thread: which conversation a message belongs to.

    author: who wrote it, or their id; name: their name. roles: what values of `author`
    mean, in lower case; a value that is not listed stays as it is. asker: in the
    conversation, the id of the one who asks; everyone else answers.

    text: the first that is filled is what was said; its pieces are put together with
    `joint`. time: when. id, parent: of a message, where answers form a tree; leaf: in
    the conversation, the id of its last message; rank: of several replies the lowest is
    followed. only: values that a message may have, if it has one;
    never: what it must not have; internal: what says which messages the asker does not
    see. markup: what the text is written in. pauses: it goes on for months, so that a
    long pause begins a new conversation.
    """

    title: str
    source: str = ""
    needs: Sequence[str] = ()
    records: str = ""
    messages: Sequence[str] = ()
    thread: str = ""
    author: Sequence[str] = ("author",)
    name: Sequence[str] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    asker: str = ""
    text: Sequence[str] = ("text",)
    joint: str = "\n"
    time: Sequence[str] = ()
    id: str = ""
    parent: str = ""
    leaf: str = ""
    rank: str = ""
    only: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    never: Sequence[str] = ()
    internal: Sequence[str] = ()
    markup: Markup = ""
    pauses: bool = False

    def conversations(self, record: Any) -> list[Any]:
        """The conversations in a record, or the messages where each record is one."""
        return find(record, self.records) if self.records else [record]

    def fits(self, record: Any) -> bool:
        """Whether a record has this format."""
        chats = self.conversations(record) if isinstance(record, dict) else []
        return any(all(find(chat, path) for path in self.needs) for chat in chats)


# Names of columns and of roles, notices and more, in the languages that most write in.
WORDS: dict[str, Any] = read_json(Path(__file__).with_name("words.json"))

# Lists inside one conversation, or next to the conversations; a document's examples are
# in none of these.
IN_CONVERSATIONS = ("chat_messages", "comments", "participants", "profile_pictures")

# In the order in which they are asked. A format with several `records` has the
# conversations at one of them.
FORMATS = tuple(
    ChatFormat(**{**described, "records": records})
    for described in read_json(Path(__file__).with_name("formats.json"))["formats"]
    for records in described.get("records", [""])
)
