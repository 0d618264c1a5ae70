"""From messages to `input_ids` and `labels`: the one way, used by preview, counts,
training, chat and export, and in boxes.

The head of this package says how the learned part of a conversation is found; it goes
through the end-of-turn token. A turn whose text looks different inside the whole
conversation (templates that strip reasoning from earlier turns) is not learned there;
`Encoded.skipped_turns` counts such turns, and the data check reports them. A turn of
weight 0 is only read.

Light on purpose: the `tokenizers` package and sandboxed Jinja; no transformers, no
    torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

from backend.errors import ApprenticeError, BadInput, MissingPart
from backend.records.encoded import (
    Encoded,
    Piece,
    Rendered,
    Span,
    content_spans,
    group_pieces,
    label_tokens,
)
from backend.records.lengths import LengthLimits
from backend.records.rows import Message, Row, is_learned
from backend.tokens.chat_template import render
from backend.tokens.text_encoder import CUT, TextEncoder
from backend.tokens.token_counts import TokenCount

Tools = Sequence[Mapping[str, Any]] | None
_PROBE = "\uf8f1answer\uf8f1"
_HI, _HELLO = (
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
)


class PlainTokenizer:
    """A tokenizer and chat template, used in this process."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        chat_template: str,
        special_tokens: Mapping[str, str],
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._encoder = TextEncoder(tokenizer)
        self.chat_template = chat_template
        self.special_tokens = dict(special_tokens)

    # Special tokens

    @property
    def eos_token(self) -> str:
        return self.special_tokens.get("eos_token", "")

    @property
    def pad_id(self) -> int:
        return self._id(self.special_tokens.get("pad_token") or self.eos_token)

    @property
    def control_markers(self) -> tuple[str, ...]:
        """Texts that the tokenizer turns into control tokens, longest first."""
        return self._encoder.control_markers

    @property
    def control_ids(self) -> set[int]:
        """The ids of the `control_markers`."""
        return {self._id(marker) for marker in self.control_markers}

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids at which an answer ends: the template's end-of-turn token and the
        end-of-text token.
        """
        return tuple(
            sorted(
                {
                    self._id(token)
                    for token in (self.end_of_turn, self.eos_token)
                    if token
                }
            )
        )

    @cached_property
    def end_of_turn(self) -> str:
        """The token that the template writes after an answer, such as <|im_end|>; ""
        when it writes none.
        """
        messages = [
            {"role": "user", "content": "question"},
            {"role": "assistant", "content": _PROBE},
        ]
        return self._encoder.leading_token(
            self.render(messages).partition(_PROBE)[2].lstrip()
        )

    @cached_property
    def default_instruction(self) -> str:
        """The system message that the template writes before a conversation without
        one; "" when it writes none.
        """
        question = {"role": "user", "content": "question"}
        try:
            bare = self.render([question])
            before, _, after = self.render(
                [{"role": "system", "content": _PROBE}, question]
            ).partition(_PROBE)
        except BadInput:  # it accepts no system message
            return ""
        if len(bare) < len(before) + len(after) or not (
            bare.startswith(before) and bare.endswith(after)
        ):
            return ""
        return bare[len(before) : len(bare) - len(after)].strip()

    @cached_property
    def writes_tool_calls(self) -> bool:
        """Whether the template writes the tool calls of an answer."""
        name = "find_nothing"
        call = {"type": "function", "function": {"name": name, "arguments": {}}}
        tool = {
            "type": "function",
            "function": {"name": "other", "description": "", "parameters": {}},
        }
        answer = {"role": "assistant", "content": "", "tool_calls": [call]}
        try:
            return name in self.render(
                [{"role": "user", "content": "question"}, answer], [tool]
            )
        except BadInput:  # which it says of the example itself
            return True

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token) if token else None
        if number is None:
            raise MissingPart(
                "The model's tokenizer names no end-of-text token.",
                "",
                "Choose another model.",
            )
        return number

    # Messages to text

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Tools = None,
        add_generation_prompt: bool = False,
    ) -> str:
        """The text that the chat template makes of `messages`. Raises BadInput when it
        does not accept them.
        """
        if not self.chat_template:
            why = "It was never trained to hold a conversation."
            raise BadInput(
                "This model has no chat template.", why, "Choose an instruct model."
            )
        return render(
            self.chat_template,
            messages,
            self.special_tokens,
            tools,
            add_generation_prompt,
        )

    def _render_chat(
        self,
        messages: Sequence[Message],
        tools: Tools,
        add_generation_prompt: bool = False,
    ) -> Rendered:
        if (
            any(message.get("tool_calls") for message in messages)
            and not self.writes_tool_calls
        ):
            raise BadInput(
                "This model can't learn actions (tool calls).",
                "Its format (chat template) leaves them out, so that an empty answer would remain.",
                "Choose a model that knows tools, or remove these examples.",
            )
        messages, tools = self._encoder.escape(messages), self._encoder.escape(tools)
        full = self.render(messages, tools, add_generation_prompt)
        turns = [
            self._answer_span(full, messages, tools, index, add_generation_prompt)
            for index, message in enumerate(messages)
            if message.get("role") == "assistant" and is_learned(message)
        ]
        learned = [span for span in turns if span is not None]
        return Rendered(full, learned, len(turns) - len(learned))

    def _answer_span(
        self,
        full: str,
        messages: Sequence[Message],
        tools: Tools,
        index: int,
        with_prompt: bool,
    ) -> Span | None:
        """The span of `full` that the model must produce for the assistant turn
        `index`, None if there is none.
        """
        prompt = self.render(messages[:index], tools, add_generation_prompt=True)
        last = index + 1 == len(messages) and not with_prompt
        so_far = full if last else self.render(messages[: index + 1], tools)
        start = len(prompt)
        end = so_far.find(self.end_of_turn, start) + len(self.end_of_turn)
        produced = bool(self.end_of_turn) and end > start and so_far.startswith(prompt)
        return (start, end) if produced and full.startswith(so_far[:end]) else None

    def _render_document(self, text: str) -> Rendered:
        """A document, all of which is learned, the end-of-text token included."""
        whole = str(self._encoder.escape(text)) + self.eos_token
        return Rendered(whole, [(0, len(whole))], 0)

    # Text to tokens

    def encode(self, messages: Sequence[Message], tools: Tools = None) -> Encoded:
        """One conversation as `input_ids` and `labels`, uncut. Raises BadInput when the
        template does not accept it.
        """
        (encoded,) = self.encode_rows(
            [Row(0, 0, [*messages], tools=[*map(dict, tools or ())] or None)]
        )
        if isinstance(encoded, ApprenticeError):
            raise encoded
        return encoded

    def encode_rows(self, rows: Iterable[Row]) -> list[Encoded | ApprenticeError]:
        """Many rows, conversations and documents, uncut, on all cores. A row that can't
        be encoded gives its error in its place.
        """
        rendered: list[Rendered | ApprenticeError] = []
        for row in rows:
            try:
                chat = (
                    self._render_chat(row.messages, row.tools)
                    if row.text is None
                    else None
                )
                rendered.append(chat or self._render_document(row.text or ""))
            except ApprenticeError as error:
                rendered.append(error)
        encoded = iter(
            self._encoder.encode_many(
                [item for item in rendered if isinstance(item, Rendered)]
            )
        )
        return [
            item if isinstance(item, ApprenticeError) else next(encoded)
            for item in rendered
        ]

    def count_rows(self, rows: Iterable[Row]) -> list[TokenCount | ApprenticeError]:
        """The counts of what `encode_rows` makes."""
        encoded = self.encode_rows(rows)
        return [
            row if isinstance(row, ApprenticeError) else TokenCount.of(row)
            for row in encoded
        ]

    def prompt_ids(self, messages: Sequence[Message], tools: Tools = None) -> list[int]:
        """The tokens that the model reads before it answers: the conversation with the
        generation prompt.
        """
        return self._encoder.encode(
            self._render_chat(messages, tools, add_generation_prompt=True)
        )[0]

    def opening(self) -> list[int]:
        """The tokens that the template writes between the generation prompt and an
        answer: an empty thought, with a model that otherwise thinks aloud first;
        usually none.
        """
        return list(
            self._tokenizer.encode(self.opening_text, add_special_tokens=False).ids
        )

    @cached_property
    def opening_text(self) -> str:
        """The text of `opening`; none without a template, or with one that rejects
        conversations with an answer.
        """
        with suppress(BadInput):
            prompt, whole = (
                self.render([_HI], add_generation_prompt=True),
                self.render([_HI, _HELLO]),
            )
            return (
                whole.removeprefix(prompt).partition("Hello")[0]
                if whole.startswith(prompt)
                else ""
            )
        return ""

    @cached_property
    def can_skip_thought(self) -> bool:
        """Whether the template adds the `opening` to its prompt where `enable_thinking`
        is false.
        """
        prompt = self.render([_HI], add_generation_prompt=True)
        quiet = render(
            self.chat_template,
            [_HI],
            {**self.special_tokens, "enable_thinking": False},
            None,
            True,
        )
        return bool(self.opening_text) and quiet == prompt + self.opening_text

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`."""
        return self._tokenizer.decode(
            list(ids), skip_special_tokens=skip_special_tokens
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens in each text, without a template."""
        return [
            len(e.ids)
            for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]

    def pieces(
        self,
        messages: Sequence[Message],
        tools: Tools = None,
        max_length: int | None = None,
    ) -> list[Piece]:
        """The first `max_length` tokens of `encode`, or all, grouped into learned, read
        (content) and template ones.
        """
        rendered = self._render_chat(messages, tools)
        ids, spans = self._encoder.encode(rendered)
        labels = label_tokens(ids, spans, rendered).labels[:max_length]
        contents = content_spans(rendered.text, self._encoder.escape(messages))
        return group_pieces(rendered.text, spans, labels, contents, CUT)

    def document_pieces(self, row: Row, lengths: LengthLimits) -> list[Piece]:
        """The parts of a document that are trained, each with its text."""
        rendered = self._render_document(row.text or "")
        ids, spans = self._encoder.encode(rendered)
        parts = [
            (rendered.text[spans[a][0] : spans[b - 1][1]], b - a)
            for a, b in lengths.spans(row, len(ids))
        ]
        return [
            Piece(text.replace(CUT, ""), "learned", tokens) for text, tokens in parts
        ]
