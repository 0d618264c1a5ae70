"""From messages to `input_ids` and `labels`: the ONE way, used by preview, counts, training, chat and export.

What is learned. For each assistant turn the template is rendered twice: up to the turn with the generation
prompt (what the model reads when it has to answer) and up to its end. The text between the two, through the
end-of-turn token, is what the model must produce, so exactly that is learned. A turn whose text looks different
inside the whole conversation (templates that strip reasoning from earlier turns) is not learned there;
`Encoded.skipped_turns` counts those, and the data check reports them.

What a message contains never becomes a control token: a marker such as <|im_end|> inside content is encoded as
plain text.

Light on purpose: the `tokenizers` package and sandboxed Jinja; no transformers, no torch.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from backend.errors import ApprenticeError, BadInput, MissingPart
from backend.records.encoded import (
    IGNORED,
    Encoded,
    Piece,
    Rendered,
    Span,
    contents,
    first_token,
    labelled,
    pieces,
    place,
    tiled,
)
from backend.records.lengths import LengthLimits
from backend.records.rows import Message, Row
from backend.tokens.chat_template import render

_CUT = "\uf8f0"  # a private-use character: marks a place where the text must be encoded in two parts
_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_SHORT = 200  # characters; a longer text between a control token and an answer is hardly met twice
_PROBE = "\uf8f1answer\uf8f1"


class ChatTokenizer:
    """A model's tokenizer and chat template. Use `Tokeniser.load`."""

    def __init__(self, tokenizer: Tokenizer, chat_template: str, special_tokens: Mapping[str, str]) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.chat_template = chat_template
        self.special_tokens = dict(special_tokens)
        self._between: dict[
            str, list[int]
        ] = {}  # ids of what a template writes between a control token and an answer

    @classmethod
    def load(cls, folder: Path) -> ChatTokenizer:
        """The tokeniser of the model in `folder` (tokenizer.json, tokenizer_config.json, chat_template.jinja).

        Raises MissingPart when the files are not there or can't be read.
        """
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
            template_file = folder / "chat_template.jinja"
            template = template_file.read_text("utf-8") if template_file.is_file() else _template_of(config)
        except Exception as error:  # the tokenizers package raises plain Exception
            raise MissingPart(
                "The model's tokenizer could not be read.",
                f"{folder.name} lacks a usable tokenizer.json or tokenizer_config.json.",
                "Prepare or download the model again.",
            ) from error
        specials = {name: _token_text(config[name]) for name in _SPECIAL_NAMES if config.get(name)}
        return cls(tokenizer, template, specials)

    # What the tokenizer knows

    @property
    def eos_token(self) -> str:
        return self.special_tokens.get("eos_token", "")

    @property
    def eos_id(self) -> int:
        return self._id(self.eos_token)

    @property
    def pad_id(self) -> int:
        return self._id(self.special_tokens.get("pad_token") or self.eos_token)

    @cached_property
    def control_markers(self) -> tuple[str, ...]:
        """Texts that the tokenizer turns into control tokens, longest first."""
        added = self._tokenizer.get_added_tokens_decoder().values()
        return tuple(sorted({t.content for t in added if t.special and t.content.strip()}, key=len, reverse=True))

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids at which an answer ends: the template's end-of-turn token and the end-of-text token."""
        return tuple(sorted({self._id(token) for token in (self.end_of_turn, self.eos_token) if token}))

    @cached_property
    def end_of_turn(self) -> str:
        """The token that the template writes after an answer, such as <|im_end|>; "" when it writes none."""
        messages = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _PROBE}]
        after = self.render(messages).partition(_PROBE)[2]
        first = self._added_token.match(after.lstrip())
        return first.group() if first else ""

    @cached_property
    def _added_token(self) -> re.Pattern[str]:
        contents = sorted(
            (t.content for t in self._tokenizer.get_added_tokens_decoder().values()), key=len, reverse=True
        )
        return re.compile("|".join(map(re.escape, contents)) or "(?!)")

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(self._tokenizer.get_added_tokens_decoder())

    @cached_property
    def _control(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self.control_markers)) or "(?!)")

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token) if token else None
        if found is None:
            raise MissingPart("The model's tokenizer names no end-of-text token.", "", "Choose another model.")
        return found

    # Text

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
    ) -> str:
        """The text that the chat template makes of `messages`. Raises BadInput when it does not accept them."""
        if not self.chat_template:
            raise BadInput(
                "This model has no chat template.",
                "It was never taught to hold a conversation.",
                "Choose an instruct model.",
            )
        return render(self.chat_template, messages, self.special_tokens, tools, add_generation_prompt)

    def _plain(self, value: Any) -> Any:
        """`value` with a cut inside every control marker, in texts at any depth (dict keys too)."""
        if isinstance(value, str):
            text = value.replace(_CUT, "")
            return self._control.sub(lambda m: m.group()[0] + _CUT + m.group()[1:], text)
        if isinstance(value, Mapping):
            return {self._plain(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        return value

    def _render_row(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool = False,
    ) -> Rendered:
        safe, safe_tools = self._plain(messages), self._plain(tools)
        full = self.render(safe, safe_tools, add_generation_prompt)
        learned: list[Span] = []
        skipped = 0
        for index, message in enumerate(safe):
            if message.get("role") != "assistant":
                continue
            span = self._turn(full, safe, safe_tools, index, add_generation_prompt)
            if span is None:
                skipped += 1
            else:
                learned.append(span)
        return Rendered(full, learned, skipped)

    def _turn(
        self,
        full: str,
        messages: list[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        index: int,
        with_prompt: bool,
    ) -> Span | None:
        """The span of `full` that the model must produce for the assistant turn `index`, None if there is none."""
        prompt = self.render(messages[:index], tools, add_generation_prompt=True)
        last = index + 1 == len(messages) and not with_prompt
        so_far = full if last else self.render(messages[: index + 1], tools)
        start = len(prompt)
        end = so_far.find(self.end_of_turn, start) + len(self.end_of_turn)
        produced = bool(self.end_of_turn) and end > start and so_far.startswith(prompt)
        return (start, end) if produced and full.startswith(so_far[:end]) else None

    # Tokens

    def encode(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_length: int | None = None,
    ) -> Encoded:
        """One conversation as `input_ids` and `labels`, cut to `max_length` tokens if given.

        Raises BadInput when the template does not accept the conversation.
        """
        rendered = self._render_row(messages, tools)
        ids, spans = self._tokens(rendered)
        return labelled(ids, spans, rendered, max_length)

    def encode_rows(self, rows: Iterable[Row]) -> list[Encoded | ApprenticeError]:
        """Many rows, whole, on all cores: conversations, and documents, of which every token is learned, the
        end-of-text token included. A row that can't be encoded gives its error in its place."""
        rendered: list[Rendered | ApprenticeError] = []
        for row in rows:
            try:
                rendered.append(
                    self._render_row(row.messages, row.tools) if row.text is None else self._render_text(row.text)
                )
            except ApprenticeError as error:
                rendered.append(error)
        plain = {i: r.text for i, r in enumerate(rendered) if isinstance(r, Rendered) and _CUT not in r.text}
        batch = self._tokenizer.encode_batch(list(plain.values()), add_special_tokens=False)
        whole = dict(zip(plain, batch, strict=True))
        encoded: list[Encoded | ApprenticeError] = []
        for index, item in enumerate(rendered):
            if isinstance(item, ApprenticeError):
                encoded.append(item)
                continue
            quick = self._quickly(item, whole[index]) if index in whole else None
            if quick is None:
                ids, spans = self._tokens(item, whole.get(index))
                quick = labelled(ids, spans, item, None)
            encoded.append(quick)
        return encoded

    def _quickly(self, rendered: Rendered, whole: Encoding) -> Encoded | None:
        """What the long way gives, where every learned part plainly begins and ends between two tokens; else None.

        The place of every token need not be listed for that, which takes longer than the tokenizing itself.
        """
        ids, text = whole.ids, rendered.text
        labels = [IGNORED] * len(ids)
        for start, end in rendered.learned:
            first = first_token(whole, start)
            last = first_token(whole, end) if end < len(text) else len(ids)
            if first is None or last is None:
                return None
            if not self._ends_like_a_prompt(text, ids, first, lambda i: place(whole, i)[1], start):
                return None
            labels[first:last] = ids[first:last]
        return Encoded(ids, labels, False, rendered.skipped_turns)

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[int]:
        """What the model reads before it answers: the conversation with the generation prompt."""
        return self._tokens(self._render_row(messages, tools, add_generation_prompt=True))[0]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens in each text, template not counted."""
        return [len(e.ids) for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def pieces(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_length: int | None = None,
    ) -> list[Piece]:
        """The tokens of `encode`, grouped for showing into learned, read (content) and template parts."""
        rendered = self._render_row(messages, tools)
        ids, spans = self._tokens(rendered)
        encoded = labelled(ids, spans, rendered, max_length)
        return pieces(rendered.text, spans, encoded.labels, contents(rendered.text, self._plain(messages)), _CUT)

    def document_pieces(self, row: Row, lengths: LengthLimits) -> list[Piece]:
        """The parts of a document that are trained, each with its text."""
        rendered = self._render_text(row.text or "")
        ids, spans = self._tokens(rendered)
        parts = [(rendered.text[spans[a][0] : spans[b - 1][1]], b - a) for a, b in lengths.spans(row, len(ids))]
        return [Piece(text.replace(_CUT, ""), "learned", tokens) for text, tokens in parts]

    def _render_text(self, text: str) -> Rendered:
        whole = str(self._plain(text)) + self.eos_token
        return Rendered(whole, [(0, len(whole))], 0)

    def _tokens(self, rendered: Rendered, whole: Any = None) -> tuple[list[int], list[Span]]:
        """Ids and their character spans. The text is cut where a control marker was disarmed, and at the beginning
        of a learned part where the tokens before it would not be those of the prompt alone."""
        cuts = _cuts(rendered.text)
        ids, spans = self._encode_parts(rendered.text, cuts, whole)
        apart = set()
        for start, _ in rendered.learned:
            position = bisect_left(spans, start, key=lambda span: span[0])
            if not self._ends_like_a_prompt(rendered.text, ids, position, lambda i: spans[i][1], start):
                apart.add(start)
        return self._encode_parts(rendered.text, cuts | apart) if apart else (ids, spans)

    def _ends_like_a_prompt(
        self, text: str, ids: list[int], position: int, end: Callable[[int], int], at: int
    ) -> bool:
        """Whether the tokens before `position`, where the character `at` is, are what they are when the text ends
        there. Control tokens bound what a tokenizer looks at, so only the text since the last one matters.
        end: the character at which a token ends."""
        first = position
        while first and ids[first - 1] not in self._added_ids:
            first -= 1
        between = text[end(first - 1) if first else 0 : at]
        return self._alone(between) == ids[first:position]

    def _encode_parts(self, text: str, cuts: set[int], whole: Any = None) -> tuple[list[int], list[Span]]:
        if not cuts:
            encoding = whole or self._tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, tiled(encoding.offsets, len(text))
        ids: list[int] = []
        spans: list[Span] = []
        for begin, end in pairwise([0, *sorted(cuts), len(text)]):
            shift = begin + (1 if text[begin : begin + 1] == _CUT else 0)
            part_ids, part_spans = self._part(text[shift:end])
            ids += part_ids
            spans += [(a + shift, b + shift) for a, b in part_spans]
        return ids, tiled(spans, len(text))

    def _alone(self, text: str) -> list[int]:
        known = self._between.get(text)
        if known is None:
            known = self._part(text)[0] if text else []
            if len(text) <= _SHORT:
                self._between[text] = known
        return known

    def _part(self, text: str) -> tuple[list[int], list[Span]]:
        """A part of a text, encoded without the space that some tokenizers put before the first word: it
        follows a newline that is then taken off (the way transformers encodes such parts too)."""
        encoding = self._tokenizer.encode("\n" + text, add_special_tokens=False)
        behind = [(i, (a - 1, b - 1)) for i, (a, b) in zip(encoding.ids, encoding.offsets, strict=True) if b > 1]
        if behind and behind[0][1][0] < 0:  # the newline joined with the first token
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, list(encoding.offsets)
        return [i for i, _ in behind], [span for _, span in behind]


def _cuts(text: str) -> set[int]:
    return {m.start() for m in re.finditer(_CUT, text)} if _CUT in text else set()


def _template_of(config: Mapping[str, Any]) -> str:
    template = config.get("chat_template") or ""
    if isinstance(template, list):
        named = {item["name"]: item["template"] for item in template}
        template = named.get("default", "")
    return str(template)


def _token_text(value: Any) -> str:
    return str(value["content"] if isinstance(value, Mapping) else value)
