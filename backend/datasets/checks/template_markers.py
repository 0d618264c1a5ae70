"""Chat template markers such as <|im_end|> inside the text.

They are harmless in training, since backend.tokens.tokenizer encodes content separately from the template. But they
show that text was pasted from a formatted prompt, and the model would learn to write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from backend.datasets.checks.patterns import BRACKET, TextFault

# Control tokens of the common model families: ChatML, Llama 2 and 3, Gemma, Phi, Mistral, DeepSeek.
_COMMON = (
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
    """The fault for common markers and those of the model's tokenizer."""
    own = [re.escape(m) for m in sorted(control_markers, key=len, reverse=True) if m[:1] in ("<", "[")]
    return TextFault(
        "control_marker",
        BRACKET,
        re.compile("|".join([*own, *_COMMON])),
        lambda match: "",
        "a mark from a model's chat format (template marker)",
        "It was probably copied in by mistake; the model would learn to write it.",
    )
