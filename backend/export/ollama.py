"""A Modelfile, from which Ollama makes a model: the GGUF file with the template, stop
texts and system prompt.

The template is the model's chat template in Go's template language, derived by example:
the texts between placeholders. If a conversation comes out differently, there is none,
and Ollama chooses one itself. Tools are not covered. Formats:
https://docs.ollama.com/modelfile and /template
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from backend.chat.engine import Messages, common_prefix
from backend.errors import BadInput
from backend.tokens.tokenizer import ChatTokenizer

_SYSTEM, _ONE, _ANSWER, _TWO = (
    "\uf8f1system\uf8f1",
    "\uf8f1one\uf8f1",
    "\uf8f1answer\uf8f1",
    "\uf8f1two\uf8f1",
)
_Render = Callable[[Messages], str]  # the text after which the model answers
_Around = tuple[str, str]  # the texts before and after a message
_LONGEST_CONTEXT = (
    8192  # tokens; more takes more memory, and Ollama's own default is 4,096
)


def modelfile(
    gguf: str, template: str, stops: Sequence[str], instruction: str, context: int
) -> str:
    """The Modelfile for a GGUF file in the same folder. Three double quotes in the
    instruction, which would end it there, become single ones. The parameters are those
    of Try: the likeliest word each time, without a penalty for repeating one (Ollama's
    default would change answers that follow a format).

    template: in Go's template language, "" if it can't be expressed
    stops: texts that end an answer
    instruction: the system prompt, "" for none
    context: tokens that the model can read
    """
    name = gguf.removesuffix(".gguf")
    lines = [
        f"# In the folder of this file: ollama create {name.lower()} -f {name}.Modelfile",
        f"FROM ./{gguf}",
    ]
    if template:
        lines.append(
            "# System messages are put at the start, wherever they stand in a conversation."
        )
        lines.append(f'TEMPLATE """{template}"""')
    lines += [f'PARAMETER stop "{stop}"' for stop in stops if '"' not in stop]
    lines += [
        f"PARAMETER num_ctx {min(context or _LONGEST_CONTEXT, _LONGEST_CONTEXT)}",
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
    ]
    if instruction:
        quoted = instruction.replace('"""', "'''")
        lines += [
            "# The instruction is the one of the training; other programs need it as their system prompt.",
            f'SYSTEM """{quoted}{" " if quoted.endswith(chr(34)) else ""}"""',
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class OllamaTemplate:
    """The fixed texts of a chat template. system: None where it accepts no system
    message. bare: how a conversation without one starts. answer: what follows the last
    question, beyond what follows each.
    """

    system: _Around | None
    bare: str
    user: _Around
    assistant: _Around
    answer: str

    def go(self) -> str:
        """The Go template."""
        start = self.bare
        if self.system:
            before, after = self.system
            start = (
                "{{ if .System }}"
                + before
                + "{{ .System }}"
                + after
                + "{{ else }}"
                + self.bare
                + "{{ end }}"
            )
        user, assistant = (
            "{{ .Content }}".join(around) for around in (self.user, self.assistant)
        )
        turn = (
            '{{ if eq .Role "user" }}'
            + user
            + '{{ else if eq .Role "assistant" }}'
            + assistant
            + "{{ end }}"
        )
        return start + "{{ range .Messages }}" + turn + "{{ end }}" + self.answer

    def render(self, messages: Messages) -> str:
        """A conversation as Ollama renders it with this template."""
        system = "\n\n".join(
            message["content"] for message in messages if message["role"] == "system"
        )
        text = system.join(self.system) if system and self.system else self.bare
        around = {"user": self.user, "assistant": self.assistant}
        turns = (
            m["content"].join(around[m["role"]])
            for m in messages
            if m["role"] in around
        )
        return text + "".join(turns) + self.answer

    @property
    def is_plain(self) -> bool:
        """Whether its texts mean nothing else in Go's template language or in a
        Modelfile.
        """
        texts = [
            self.bare,
            *self.user,
            *self.assistant,
            self.answer,
            *(self.system or ()),
        ]
        return not any("{{" in text or '"""' in text for text in texts)


def derive(
    tokenizer: ChatTokenizer, chats: Sequence[Messages], adds_bos: bool
) -> OllamaTemplate | None:
    """The template of `tokenizer` for Ollama, None where it can't be expressed. chats:
    conversations that must be rendered alike. adds_bos: whether llama.cpp itself puts
    the start token before a text, so that the template must not.
    """
    bos = tokenizer.special_tokens.get("bos_token", "") if adds_bos else ""

    def render(messages: Messages) -> str:
        return tokenizer.render(messages, add_generation_prompt=True).removeprefix(bos)

    try:
        template = _derive(render)
    except (BadInput, ValueError):
        return None
    return (
        template
        if template.is_plain and all(_agrees(template, render, chat) for chat in chats)
        else None
    )


def _derive(render: _Render) -> OllamaTemplate:
    """Raises BadInput where the chat template rejects a conversation, ValueError where
    it changes a message.
    """
    question = {"role": "user", "content": _ONE}
    turns = [
        question,
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": _TWO},
    ]
    bare, to_answer = _split(render([question]), _ONE)
    _, before_answer, after_answer, _ = _split(render(turns), _ONE, _ANSWER, _TWO)
    system = _with_system(render, question)
    # What the texts after a question share belongs to the question, and so does what
    # those before it share.
    after = to_answer[: common_prefix(to_answer, before_answer)]
    backwards = (
        text[::-1] for text in (bare, after_answer, *(system[1:] if system else ()))
    )
    before = reduce(lambda left, right: left[: common_prefix(left, right)], backwards)[
        ::-1
    ]
    return OllamaTemplate(
        system=(system[0], system[1].removesuffix(before)) if system else None,
        bare=bare.removesuffix(before),
        user=(before, after),
        assistant=(
            before_answer.removeprefix(after),
            after_answer.removesuffix(before),
        ),
        answer=to_answer.removeprefix(after),
    )


def _with_system(render: _Render, question: dict[str, str]) -> _Around | None:
    """The texts before a system message, and between it and the question."""
    try:
        text = render([{"role": "system", "content": _SYSTEM}, question])
    except BadInput:
        return None
    before, between, _ = _split(text, _SYSTEM, _ONE)
    return before, between


def _split(text: str, *marks: str) -> list[str]:
    parts = []
    for mark in marks:
        part, mark_found, text = text.partition(mark)
        if not mark_found:
            raise ValueError("the template changes a message")
        parts.append(part)
    return [*parts, text]


def _agrees(template: OllamaTemplate, render: _Render, chat: Messages) -> bool:
    try:
        return template.render(chat) == render(chat)
    except BadInput:  # nobody can have this conversation with the model
        return True
