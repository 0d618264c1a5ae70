"""Markers of chat templates inside what people wrote, such as <|im_end|>.

They can do no harm here: backend.tokens.tokenizer encodes content apart from the template. But they are a sign that
text was pasted together by hand, and the model would learn to write them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from backend.datasets.checks.patterns import BRACKET, TextFault

# The control tokens of the usual families: ChatML, Llama 2 and 3, Gemma, Phi, Mistral, DeepSeek.
_USUAL = (
    r"<\|[a-zA-Z0-9_ ]{2,40}\|>",
    r"<｜[^｜<>]{2,40}｜>",
    r"\[/?INST\]",
    r"<</?SYS>>",
    r"</?s>",
    r"<(?:start|end)_of_turn>",
    r"\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]",
    r"<(?:bos|eos|pad|unk)>",
)


def marker_fault(control_markers: Iterable[str] = ()) -> TextFault:
    """The fault for the usual markers and those of one model's tokenizer."""
    own = [re.escape(m) for m in sorted(control_markers, key=len, reverse=True) if m[:1] in ("<", "[")]
    return TextFault(
        "control_marker",
        BRACKET,
        re.compile("|".join([*own, *_USUAL])),
        lambda match: "",
        "a marker of a chat template",
        "It will be read as plain text, not as a command.",
    )
