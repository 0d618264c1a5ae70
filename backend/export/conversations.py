"""The fixed conversations that every export must read as training did, from conversations.json."""

from pathlib import Path
from typing import NamedTuple

from backend.chat.engine import Messages, Tools
from backend.files.json_file import read_json


class Conversation(NamedTuple):
    """Messages up to an answer, and the tools that the model may call."""

    messages: Messages
    tools: Tools = ()


FIXED = [Conversation(**fixed) for fixed in read_json(Path(__file__).with_suffix(".json"))["conversations"]]
PLAIN: tuple[Messages, ...] = tuple(fixed.messages for fixed in FIXED[:5])  # without tools and outer spaces
