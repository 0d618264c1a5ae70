"""The form of a run's answers as a JSON schema: that of its examples' answers, or what
the person wrote instead.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.errors import BadInput, BadSetting
from backend.files.json_file import loads
from backend.runs.conversations import read_conversations
from backend.text.conversation import content
from backend.text.schemas import check_schema

_NAMES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}
Schema = dict[str, Any]
EDITED = "form.json"  # in the run's folder


def answer_form(run_folder: Path) -> Schema | None:
    """The edited form, or else that of the examples; None without one. Raises
    BadSetting as `edited_form`.
    """
    return edited_form(run_folder) or form_of_examples(run_folder)


def edited_form(run_folder: Path) -> Schema | None:
    """What the person wrote; None for nothing. Raises BadSetting that names the file,
    for one that can't be used.
    """
    file = run_folder / EDITED
    try:
        return parse_form(file.read_text("utf-8-sig")) if file.exists() else None
    except (OSError, UnicodeDecodeError, BadInput) as error:
        why = error.what if isinstance(error, BadInput) else f"can't be read ({error})."
        name = "/".join(file.parts[-3:])
        raise BadSetting(
            f"The form in {name} {why}", "", "Correct it on Share, or delete that file."
        ) from error


def parse_form(text: str) -> Schema:
    """The JSON schema in `text`, {} for none. Raises BadInput: what is wrong with it,
    without a subject.
    """
    try:
        schema = {**loads(text.strip() or "{}")}
        check_schema(schema)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"is not a JSON object ({error}).") from error
    return schema


def form_of_examples(run_folder: Path) -> Schema | None:
    """The JSON schema of the objects or lists that a run's examples have as their last
    answers; None where some are anything else, or objects in one place have other names
    or another order.
    """
    with suppress(OSError, ValueError):
        chats = read_conversations(run_folder, "train") or read_conversations(
            run_folder, "held_out"
        )
        answers = [
            loads(content(chat[-1]))
            for chat in chats
            if chat and chat[-1]["role"] == "assistant"
        ]
        if answers and all(isinstance(answer, dict | list) for answer in answers):
            return _schema(answers)
    return None


def _schema(values: list[Any]) -> Schema:
    """What all `values` are. Raises ValueError for objects of several forms."""
    kinds = {type(value) for value in values}
    if {int, float} <= kinds:
        kinds.remove(int)
    plain = sorted(_NAMES[kind] for kind in kinds if kind in _NAMES)
    schemas: list[Schema] = (
        [{"type": plain[0] if len(plain) == 1 else plain}] if plain else []
    )
    objects = [value for value in values if isinstance(value, dict)]
    if objects:
        names = list(objects[0])
        if any(list(value) != names for value in objects):
            raise ValueError("objects of several forms")
        properties = {
            name: _schema([value[name] for value in objects]) for name in names
        }
        schemas.append(
            {
                "type": "object",
                "properties": properties,
                "required": names,
                "additionalProperties": False,
            }
        )
    if list in kinds:
        items = [item for value in values if isinstance(value, list) for item in value]
        schemas.append({"type": "array", "items": _schema(items)})
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas} if schemas else {}
