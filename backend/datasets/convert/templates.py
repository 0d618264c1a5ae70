"""Conversations in the format of a prompt, as one text: ChatML, Llama, Gemma, Alpaca,
Ollama's Modelfile.

<|im_start|>user Where?<|im_end|> ...    [INST] Where? [/INST] Here.    ### Human: Where? ### Assistant: Here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.convert.shapes import SPEAKERS
from backend.files.json_file import read_json
from backend.records.rows import Message

_BEGIN, _OPEN, _CLOSE = "\ue010", "\ue011", "\ue012"  # of a conversation; around a role
# Marks, and what stands in for them; SPEAKERS: the names of speakers.
_FORMS, _TAGS = (
    [
        (
            re.compile(
                mark.replace("SPEAKERS", "|".join(SPEAKERS)),
                re.MULTILINE | re.IGNORECASE,
            ),
            to,
        )
        for mark, to in marks
    ]
    for marks in read_json(Path(__file__).with_suffix(".json")).values()
)
_MODELFILE = re.compile(
    r"^(?:MESSAGE (user|assistant|system)|(SYSTEM))\b", re.MULTILINE
)
_ABOVE = 300  # characters above the first mark; a longer text is about such marks
_NAMES = {
    **SPEAKERS,
    "instruction": "user",
    "response": "assistant",
    "sys": "system",
    "ast": "assistant",
}


@dataclass
class _Turn:
    """line: where it begins, from 1. first: a mark says that a conversation begins with
    it.
    """

    message: Message
    line: int
    first: bool


def conversation(text: str) -> list[Message]:
    """The messages of a text that is one conversation; [] for a text without such
    marks.
    """
    return [turn.message for turn in _turns(text)]


def conversations(text: str) -> list[tuple[int, list[Message]]]:
    """The conversations in a text, each with its line: as the marks divide them, else
    at each system message, else at each question. [] for a text without such marks.
    """
    turns = _turns(text)
    systems = [turn.message for turn in turns if turn.message["role"] == "system"]
    divided = sum(turn.first for turn in turns) > 1
    result: list[tuple[int, list[Message]]] = []
    for turn in turns:
        role = turn.message["role"]
        begins = role == "system" or (len(systems) < 2 and role == "user")
        if not result or (
            turn.first
            if divided
            else begins and result[-1][1][-1]["role"] == "assistant"
        ):
            result.append(
                (turn.line, systems[:1] if len(systems) == 1 and role == "user" else [])
            )
        result[-1][1].append(turn.message)
    return result


def _is_tagged(text: str) -> bool:
    """Whether a text names its speakers in tags (<user>): it begins with one, and no
    other mark names a speaker.
    """
    return bool(_TAGS[0][0].match(text.lstrip())) and not any(
        _OPEN in to and mark.search(text) for mark, to in _FORMS
    )


def _turns(text: str) -> list[_Turn]:
    """The messages of a text. What is above the first mark is the system's, except in a
    Modelfile.
    """
    marked, modelfile = text, "\nMESSAGE " in text
    marks = _FORMS + _TAGS if _is_tagged(text) else _FORMS
    for pattern, to in [(_MODELFILE, rf"{_OPEN}\1\2{_CLOSE}")] if modelfile else marks:
        marked = pattern.sub(to, marked)
    above, *parts = re.split(rf"{_OPEN}(\w+){_CLOSE}", marked)
    line, first = 1 + above.count("\n"), _BEGIN in above
    system = "" if modelfile else above.replace(_BEGIN, "").strip()
    turns = [_Turn({"role": "system", "content": system}, 1, first)] if system else []
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        role = _NAMES.get(name.lower(), name.lower())
        content = part.replace(_BEGIN, "").strip()
        if role == "input" and turns:
            turns[-1].message["content"] += f"\n{content}"
        elif content:
            content = content.strip('"').strip() if modelfile else content
            turns.append(_Turn({"role": role, "content": content}, line, first))
        line, first = line + part.count("\n"), _BEGIN in part
    return (
        turns
        if {"user", "assistant"} <= {turn.message["role"] for turn in turns}
        and len(above) <= _ABOVE
        else []
    )
