"""A Modelfile, from which Ollama makes a model: the GGUF file with the template, stop texts and system prompt.

Format: https://docs.ollama.com/modelfile
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST_CONTEXT = 8192  # tokens; more takes more memory, and Ollama's own default is 4,096


@dataclass(frozen=True)
class Prompting:
    """How a model is asked.

    template: in Go's template language, "" if it can't be expressed. stops: texts that end an answer. instruction:
    the system prompt, "" for none. context: tokens that the model can read.
    """

    template: str
    stops: Sequence[str]
    instruction: str
    context: int


def modelfile(gguf: str, prompting: Prompting) -> str:
    """The Modelfile for a GGUF file in the same folder.

    Three double quotes in the instruction, which would end it there, become single ones. The parameters are those of
    Try: the likeliest word each time, without a penalty for repeating one (Ollama's default would change answers that
    follow a format).
    """
    name = gguf.removesuffix(".gguf")
    lines = [
        f"# In the folder of this file: ollama create {name.lower()} -f {name}.Modelfile",
        f"FROM ./{gguf}",
    ]
    if prompting.template:
        lines.append(f'TEMPLATE """{prompting.template}"""')
    lines += [f'PARAMETER stop "{stop}"' for stop in prompting.stops if '"' not in stop]
    lines += [
        f"PARAMETER num_ctx {min(prompting.context or _LONGEST_CONTEXT, _LONGEST_CONTEXT)}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
    ]
    if prompting.instruction:
        quoted = prompting.instruction.replace('"""', "'''")
        lines += [
            "# The instruction is the one that the examples carry; other programs need it as their system prompt.",
            f'SYSTEM """{quoted}{" " if quoted.endswith(chr(34)) else ""}"""',
        ]
    return "\n".join(lines) + "\n"
