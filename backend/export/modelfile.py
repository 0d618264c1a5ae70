"""A Modelfile, by which Ollama puts the examples' instruction before every conversation.

Format: https://docs.ollama.com/modelfile
"""

from __future__ import annotations


def modelfile(gguf: str, instruction: str) -> str:
    """The Modelfile for a GGUF file in the same folder.

    Three double quotes in the instruction, which would end it there, become single ones.
    """
    quoted = instruction.replace('"""', "'''")
    if quoted.endswith('"'):
        quoted += " "
    name = gguf.rpartition(".")[0]
    return (
        f"# ollama create {name} -f FILE, where FILE is this file\n"
        "# The instruction is the one that the examples carry; other programs need it as their system prompt.\n"
        f"FROM ./{gguf}\n"
        f'SYSTEM """{quoted}"""\n'
    )
