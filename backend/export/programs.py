"""Where an exported model goes from here: three steps for each program that can run it,
from programs.json.

The names of menus and options are those that the programs document (see
`Program.source`). Which of them were run on a real export is in docs/using-exports.md.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.export import snippets
from backend.files.json_file import read_json
from backend.records.exports import Program

FILE = "how-to-use.txt"
_PROGRAMS = read_json(Path(__file__).with_suffix(".json"))


def filled(group: str, **values: str) -> list[Program]:
    """The programs of a group in programs.json, with these values in their texts."""
    return [
        Program(
            name=program["name"],
            what=program["what"].format(**values),
            steps=tuple(step.format(**values) for step in program["steps"]),
            code=program["code"].format(**values),
            source=program["source"],
        )
        for program in _PROGRAMS[group]
    ]


def for_gguf(file: str, instruction: str = "") -> list[Program]:
    """The programs for a GGUF file with its Modelfile in the same folder. instruction:
    the system prompt, if any.
    """
    model = file.removesuffix(".gguf")
    paste = " Paste the instruction below as the system prompt." if instruction else ""
    return filled("gguf", file=file, model=model, ollama=model.lower(), paste=paste)


def for_merged(
    name: str, instruction: str = "", renamed: Mapping[str, str] | None = None
) -> list[Program]:
    """The programs for the folder NAME-merged. renamed: as for
    `snippets.with_transformers`.
    """
    folder = f"{name}-merged"
    send = " Send the instruction below as the system message." if instruction else ""
    ask = snippets.with_transformers("merged", "", instruction, folder, renamed)
    ask_server = snippets.with_openai(
        "http://127.0.0.1:8000/v1", "unused", name, instruction
    )
    return filled(
        "merged", folder=folder, name=name, send=send, ask=ask, ask_server=ask_server
    )


def for_adapter(
    name: str, base: str, instruction: str, renamed: Mapping[str, str] | None = None
) -> list[Program]:
    """The program for the folder NAME-adapter on the model with the id `base`.
    Otherwise as `for_merged`.
    """
    folder = f"{name}-adapter"
    ask = snippets.with_transformers("adapter", base, instruction, folder, renamed)
    return filled("adapter", folder=folder, base=base, ask=ask)


def for_script(model: str = "") -> list[Program]:
    """The ways to run a training script. model: the id of the base model on the hub, ""
    for one of this computer, which a rented one could not download.
    """
    programs = filled("script", where="" if model else " --model FOLDER")
    return [*programs, *filled("rented")] if model else programs


def as_text(programs: Sequence[Program], instruction: str = "") -> str:
    """The programs as a plain text file."""
    parts = ["Where to use this model\n=======================\n"]
    for program in programs:
        steps = "\n".join(
            textwrap.fill(
                f"{number}. {step}", 78, subsequent_indent="   ", break_long_words=False
            )
            for number, step in enumerate(program.steps, 1)
        )
        code = (
            f"\n{textwrap.indent(program.code.rstrip(), '    ')}\n"
            if program.code
            else ""
        )
        heading = f"{program.name}\n{'-' * len(program.name)}\n{program.what}"
        parts.append(f"{heading}\n\n{steps}\n{code}\n{program.source}\n")
    if instruction:
        parts.append(
            f"The instruction (system prompt)\n-------------------------------\nEvery chat should start with it, "
            f"also in programs that leave out what the chat template adds:\n\n{instruction}\n"
        )
    return "\n".join(parts)
