"""The process in which foreign templates and tokenizers run, and those for a long file,
started by box.py: `python -m backend.tokens.box_child`.

The first message holds a tokenizer ("" for a template alone), a chat template and the
special tokens; every other one names something to do, with its arguments. Whatever
fails, failures of the tokenizers package that are no Exception included, is an answer
too; what never ends, or takes too much memory, ends with this process.
"""

import gc
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, models

from backend.child_process import for_answers, limit_memory
from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import Encoded
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.tokens import frames
from backend.tokens.chat_template import TemplateRejection
from backend.tokens.plain_tokenizer import PlainTokenizer
from backend.tokens.token_counts import TokenCount

_QUESTION = {"role": "user", "content": "Hello"}
_REPLY = {"role": "assistant", "content": "Hi"}


class Worker:
    """Does what is asked of one tokenizer and template."""

    def __init__(self, tokenizer: str, template: str, specials: dict[str, str]) -> None:
        made = Tokenizer.from_str(tokenizer) if tokenizer else Tokenizer(models.BPE())
        self._tokenizer = PlainTokenizer(made, template, specials)
        self._only_template = not tokenizer
        self.ids = b""  # of the latest rows

    def do(self, name: str, *arguments: Any) -> Any:
        """A value that becomes JSON. name: "try_once", "rows", or of a method or
        property of PlainTokenizer.
        """
        if name == "document_pieces":
            text, lengths = arguments
            arguments = Row(0, 0, text=text), LengthLimits(*lengths)
        own = name in ("try_once", "rows")
        member = getattr(self if own else self._tokenizer, name)
        return member(*arguments) if callable(member) else member

    def try_once(self) -> None:
        """Uses both as any conversation does. A template may reject it, but not fail."""
        for use in (
            [self._render_answer]
            if self._only_template
            else [self._render_answer, self._encode_answer]
        ):
            try:
                use()
            except BadInput as error:
                if error.__cause__ and not isinstance(
                    error.__cause__, TemplateRejection
                ):
                    raise

    def _render_answer(self) -> None:
        self._tokenizer.render([_QUESTION], add_generation_prompt=True)
        self._tokenizer.render([_QUESTION, _REPLY])

    def _encode_answer(self) -> None:
        self._tokenizer.count(["Hello? 123 äö 日本語 a_b-c\n" * 20])
        self._tokenizer.encode([_QUESTION, _REPLY])
        self._tokenizer.opening()

    def rows(self, rows: Iterable[Sequence[Any]], with_ids: bool) -> Any:
        """Of each row [text, messages, tools] its token count or an error; or, if
        wanted, in `ids` its ids and labels instead of the learned runs.
        """
        made = [
            Row(0, 0, messages or [], None, tools, text)
            for text, messages, tools in rows
        ]
        try:
            encoded: Sequence[Encoded | BaseException] = self._tokenizer.encode_rows(
                made
            )
        except BaseException:  # of one row, or of several
            encoded = [self._row(row) for row in made]
        if with_ids:
            whole = (row for row in encoded if isinstance(row, Encoded))
            self.ids = b"".join(
                part.tobytes() for row in whole for part in (row.input_ids, row.labels)
            )
        return [
            [row.tokens, () if with_ids else TokenCount.of(row).runs, row.skipped_turns]
            if isinstance(row, Encoded)
            else _error(row)
            for row in encoded
        ]

    def _row(self, row: Row) -> Encoded | BaseException:
        try:
            return self._tokenizer.encode_rows([row])[0]
        except BaseException as error:
            return error


def _error(error: BaseException) -> list[str]:
    if not isinstance(error, ApprenticeError):
        error = BadInput(
            "This model's tokenizer or chat template failed.",
            f"It failed with: {type(error).__name__}.",
            "Choose another model, or change the text.",
        )
    return [type(error).__name__, error.what, error.why, error.next]


def main(most: int) -> None:
    """Answers until the parent closes the pipe. most: bytes of addresses."""
    source, out = sys.stdin.buffer, for_answers()
    limit_memory(most)
    gc.set_threshold(50_000)  # requests hold few cycles, but many objects
    worker: Any = None
    while True:
        try:
            name, *arguments = frames.read(source)[0]
        except EOFError:
            return
        ids = b""
        try:
            if name == "open":
                worker, value = Worker(*arguments), None
            else:
                value = worker.do(name, *arguments)
                ids, worker.ids = worker.ids, b""
            answer = frames.pack(["done", value])
        except (
            BaseException
        ) as error:  # the tokenizers package panics with one that is no Exception
            answer = frames.pack(["error", _error(error)])
        frames.write(out, answer, ids)


if __name__ == "__main__":
    main(int(sys.argv[1]))
