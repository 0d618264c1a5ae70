"""A model's tokenizer and chat template: the bundled model's in this process, any
other's in a box, as are the rows of a long file. What they do is in plain_tokenizer.py,
for both.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import Tokenizer, models

from backend.errors import ApprenticeError, MissingPart
from backend.records.encoded import Encoded, Piece
from backend.records.lengths import LengthLimits
from backend.records.rows import Message, Row
from backend.tokens.box import Box, error_of
from backend.tokens.plain_tokenizer import PlainTokenizer, Tools
from backend.tokens.token_counts import TokenCount

# SHA-256 of the bundled model's files, as backend/models/bundled_file.py writes them.
_BUNDLED_TOKENIZER = "e9f1b9eb29e5f4fc508736f874cc7d1321834fb5610e169fb1acae231472321b"
_BUNDLED_TEMPLATE = "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"
_SPECIAL_NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
)
_ROWS, _CHARACTERS = (
    2048,
    1 << 21,
)  # of one request to a box: a second, for which others may wait; fewer take longer

T = TypeVar("T")


class ChatTokenizer(PlainTokenizer):
    """A model's tokenizer and chat template. Use `ChatTokenizer.load`."""

    @classmethod
    def of_training(cls, model: Path, tuned: Path | None) -> ChatTokenizer:
        """The one that was saved with what was trained, in the folder `tuned`; that of
        the base in `model` where there is none. Raises as `load`.
        """
        return cls.load(
            tuned if tuned and (tuned / "tokenizer.json").is_file() else model
        )

    @classmethod
    def load(cls, folder: Path) -> ChatTokenizer:
        """The tokenizer of the model in `folder` (tokenizer.json,
        tokenizer_config.json, chat_template.jinja). Raises MissingPart when the files
        are missing, can't be read, or can't be used within the limits of a box.
        """
        try:
            tokenizer = (folder / "tokenizer.json").read_text("utf-8")
            config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
            template = config.get("chat_template") or ""
            if (template_file := folder / "chat_template.jinja").is_file():
                template = template_file.read_text("utf-8")
            elif isinstance(template, list):
                template = {item["name"]: item["template"] for item in template}.get(
                    "default", ""
                )
            named = (
                (name, token) for name in _SPECIAL_NAMES if (token := config.get(name))
            )
            specials = {
                name: str(token["content"] if isinstance(token, Mapping) else token)
                for name, token in named
            }
        except (
            OSError,
            ValueError,
            AttributeError,
            TypeError,
            KeyError,
            RecursionError,
        ) as error:
            raise MissingPart(
                "The model's tokenizer could not be read.",
                f"{folder.name} has no usable tokenizer.json or tokenizer_config.json.",
                "Prepare or download the model again.",
            ) from error
        if (_digest(tokenizer), _digest(str(template))) == (
            _BUNDLED_TOKENIZER,
            _BUNDLED_TEMPLATE,
        ):
            return cls(Tokenizer.from_str(tokenizer), template, specials)
        try:
            return BoxedTokenizer(
                tokenizer, str(template), tuple(sorted(specials.items()))
            )
        except ApprenticeError as error:
            raise MissingPart(
                "This model can't be used.", f"{error.what} {error.why}", error.next
            ) from error

    @classmethod
    def of_template(cls, template: str, specials: Mapping[str, str]) -> ChatTokenizer:
        """A template alone, to `render` with. Raises BadInput when it can't be used
        within the limits of a box.
        """
        if _digest(template) == _BUNDLED_TEMPLATE:
            return cls(Tokenizer(models.BPE()), template, specials)
        return BoxedTokenizer("", template, tuple(sorted(specials.items())))

    @property
    def boxed(self) -> ChatTokenizer:
        """The same in a process of its own."""
        return BoxedTokenizer(
            self._text, self.chat_template, tuple(sorted(self.special_tokens.items()))
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _plain, (
            self._text,
            self.chat_template,
            tuple(self.special_tokens.items()),
        )

    @cached_property
    def _text(self) -> str:
        return self._tokenizer.to_str()


def _plain(
    tokenizer: str, template: str, specials: tuple[tuple[str, str], ...]
) -> ChatTokenizer:
    """One that comes from another process."""
    return ChatTokenizer(Tokenizer.from_str(tokenizer), template, dict(specials))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_warm_box = lru_cache(maxsize=4)(Box)


class BoxedTokenizer(ChatTokenizer):
    """The same, but whatever uses the tokenizer or the template runs in a box. Raises
    ApprenticeError, also where only a broken limit ends it.
    """

    def __init__(
        self, tokenizer: str, template: str, specials: tuple[tuple[str, str], ...]
    ) -> None:
        self._source, self._box = (
            (tokenizer, template, specials),
            _warm_box(tokenizer, template, specials),
        )
        self._box.open()
        self.chat_template, self.special_tokens = template, dict(specials)

    def __reduce__(self) -> tuple[Any, ...]:
        return BoxedTokenizer, self._source

    boxed = property(lambda self: self)
    pad_id = cached_property[int](lambda self: self._box.ask(int, "pad_id"))
    control_markers = cached_property[tuple[str, ...]](
        lambda self: self._box.ask(tuple, "control_markers")
    )
    control_ids = cached_property[set[int]](
        lambda self: set(self._box.ask(_ids, "control_ids"))
    )
    stop_ids = cached_property[tuple[int, ...]](
        lambda self: tuple(self._box.ask(_ids, "stop_ids"))
    )
    end_of_turn = cached_property[str](lambda self: self._box.ask(str, "end_of_turn"))
    opening_text = cached_property[str](lambda self: self._box.ask(str, "opening_text"))
    can_skip_thought = cached_property[bool](
        lambda self: self._box.ask(bool, "can_skip_thought")
    )
    default_instruction = cached_property[str](
        lambda self: self._box.ask(str, "default_instruction")
    )

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Tools = None,
        add_generation_prompt: bool = False,
    ) -> str:
        return self._box.ask(str, "render", messages, tools, add_generation_prompt)

    def encode_rows(self, rows: Iterable[Row]) -> list[Encoded | ApprenticeError]:
        return [
            *self._rows(
                rows,
                True,
                lambda count, ids, labels: Encoded(
                    ids, labels, False, count.skipped_turns
                ),
            )
        ]

    def count_rows(self, rows: Iterable[Row]) -> list[TokenCount | ApprenticeError]:
        return [*self._rows(rows, False, lambda count, *_: count)]

    def _rows(
        self,
        rows: Iterable[Row],
        with_ids: bool,
        made: Callable[[TokenCount, array[int], array[int]], T],
    ) -> Iterator[T | ApprenticeError]:
        def answers(
            values: Sequence[Any], more: bytes = b""
        ) -> list[T | ApprenticeError]:
            ids, at, results = array("i", more), 0, list[T | ApprenticeError]()
            for value in values:
                if isinstance(value[0], str):
                    results.append(error_of(value))
                    continue
                tokens, runs, skipped = value
                if tokens < 0:
                    raise ValueError("fewer tokens than none")
                count = TokenCount(
                    int(tokens),
                    tuple((int(start), int(end)) for start, end in runs),
                    int(skipped),
                )
                labels, after = at + count.tokens, at + 2 * count.tokens
                results.append(made(count, ids[at:labels], ids[labels:after]))
                at = after
            if len(results) != len(batch) or (with_ids and at != len(ids)):
                raise ValueError("too few answers, or too many")
            return results

        for batch in _batches(rows):
            asked = [(row.text, row.messages, row.tools) for row in batch]
            try:
                yield from self._box.ask(answers, "rows", asked, with_ids)
            except ApprenticeError as error:
                apart = (
                    result
                    for row in batch
                    for result in self._rows([row], with_ids, made)
                )
                yield from [error] if len(batch) == 1 else apart

    def prompt_ids(self, messages: Sequence[Message], tools: Tools = None) -> list[int]:
        return self._box.ask(_ids, "prompt_ids", messages, tools)

    def opening(self) -> list[int]:
        return self._box.ask(_ids, "opening")

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        return self._box.ask(str, "decode", list(ids), skip_special_tokens)

    def count(self, texts: Sequence[str]) -> list[int]:
        return self._box.ask(_ids, "count", list(texts))

    def pieces(
        self,
        messages: Sequence[Message],
        tools: Tools = None,
        max_length: int | None = None,
    ) -> list[Piece]:
        return self._box.ask(_pieces, "pieces", messages, tools, max_length)

    def document_pieces(self, row: Row, lengths: LengthLimits) -> list[Piece]:
        return self._box.ask(_pieces, "document_pieces", row.text or "", lengths)


def _ids(answer: Sequence[Any]) -> list[int]:
    return list(map(int, answer))


def _pieces(answer: Sequence[Any]) -> list[Piece]:
    return [Piece(str(text), kind, int(tokens)) for text, kind, tokens in answer]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch, characters = list[Row](), 0
    for row in rows:
        batch.append(row)
        characters += len(row.text or "") + sum(
            len(message.get("content") or "") for message in row.messages
        )
        if len(batch) == _ROWS or characters > _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
