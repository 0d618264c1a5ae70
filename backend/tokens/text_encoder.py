"""Rendered text to token ids and labels, with two guarantees that a plain
`tokenizers.Tokenizer` does not give.

A control marker inside a message, such as <|im_end|>, is encoded as plain text and
never becomes a control token: `escape` puts a cut mark into it, and the text is encoded
in parts around such marks.

The tokens before an answer are those of the prompt alone, as the model will read it.
Where a tokenizer would merge the end of the prompt with the start of the answer, the
two are encoded apart.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

from tokenizers import Encoding, Tokenizer

from backend.records.encoded import (
    Encoded,
    Rendered,
    Span,
    fill_gaps,
    first_token,
    label_tokens,
    token_span,
    unlearned,
)

CUT = "\uf8f0"  # a private-use character: the text is encoded in two parts around it
_CACHED_UP_TO = 200  # characters: a longer text between a control token and an answer hardly occurs twice


class TextEncoder:
    """Encodes what a chat template has rendered."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._added = tokenizer.get_added_tokens_decoder()
        self._cache: dict[
            str, list[int]
        ] = {}  # ids of what a template writes between a control token and an answer

    @cached_property
    def control_markers(self) -> tuple[str, ...]:
        """Texts that the tokenizer turns into control tokens, longest first."""
        markers = {
            token.content
            for token in self._added.values()
            if token.special and token.content.strip()
        }
        return tuple(sorted(markers, key=lambda marker: (-len(marker), marker)))

    @cached_property
    def _control(self) -> re.Pattern[str]:
        return _any_of(self.control_markers)

    @cached_property
    def _added_token(self) -> re.Pattern[str]:
        return _any_of(
            sorted(
                (token.content for token in self._added.values()), key=len, reverse=True
            )
        )

    def leading_token(self, text: str) -> str:
        """The added token, such as <|im_end|>, that `text` starts with; "" if it starts
        with none.
        """
        match = self._added_token.match(text)
        return match.group() if match else ""

    def escape(self, value: Any) -> Any:
        """`value` with a cut mark inside every control marker, in texts at any depth
        (dict keys too).
        """
        if isinstance(value, str):
            text = value.replace(CUT, "")
            return self._control.sub(
                lambda marker: marker.group()[0] + CUT + marker.group()[1:], text
            )
        if isinstance(value, (list, tuple)):
            return [self.escape(item) for item in value]
        if isinstance(value, (dict, Mapping)):  # the first takes a fraction of the time
            return {self.escape(key): self.escape(item) for key, item in value.items()}
        return value

    def encode(
        self, rendered: Rendered, whole: Encoding | None = None
    ) -> tuple[list[int], list[Span]]:
        """Ids and their character spans. whole: the text encoded in one part, if
        already known.
        """
        cuts = (
            {match.start() for match in re.finditer(CUT, rendered.text)}
            if CUT in rendered.text
            else set[int]()
        )
        ids, spans = self._encode_parts(rendered.text, cuts, whole)
        apart = set()
        for start, _ in rendered.learned:
            position = bisect_left(spans, start, key=lambda span: span[0])
            if not self._matches_prompt(
                rendered.text, ids, position, lambda i: spans[i][1], start
            ):
                apart.add(start)
        return (
            self._encode_parts(rendered.text, cuts | apart) if apart else (ids, spans)
        )

    def encode_many(self, texts: Sequence[Rendered]) -> list[Encoded]:
        """The ids and labels of each text, on all cores."""
        one_part = [
            index for index, rendered in enumerate(texts) if CUT not in rendered.text
        ]
        batch = self._tokenizer.encode_batch(
            [texts[index].text for index in one_part], add_special_tokens=False
        )
        whole = dict(zip(one_part, batch, strict=True))
        encoded = []
        for index, rendered in enumerate(texts):
            fast = self._label_fast(rendered, whole[index]) if index in whole else None
            if fast is None:
                ids, spans = self.encode(rendered, whole.get(index))
                fast = label_tokens(ids, spans, rendered)
            encoded.append(fast)
        return encoded

    def _label_fast(self, rendered: Rendered, whole: Encoding) -> Encoded | None:
        """The same as `encode` and `label_tokens`, without listing the span of every
        token, which takes longer than tokenizing; None where a learned span does not
        start and end between two tokens.
        """
        ids, text = whole.ids, rendered.text
        numbers, labels = array("i", ids), unlearned(len(ids))
        for start, end in rendered.learned:
            first = first_token(whole, start)
            last = first_token(whole, end) if end < len(text) else len(ids)
            if first is None or last is None:
                return None
            if not self._matches_prompt(
                text, ids, first, lambda i: token_span(whole, i)[1], start
            ):
                return None
            labels[first:last] = numbers[first:last]
        return Encoded(numbers, labels, False, rendered.skipped_turns)

    def _matches_prompt(
        self,
        text: str,
        ids: list[int],
        position: int,
        end: Callable[[int], int],
        at: int,
    ) -> bool:
        """Whether the tokens before `position`, where the character `at` is, are the
        same when the text ends there. A tokenizer never looks across a control token,
        so only the text since the last one is compared. end: gives the character at
        which a token ends.
        """
        first = position
        while first and ids[first - 1] not in self._added:
            first -= 1
        between = text[end(first - 1) if first else 0 : at]
        alone = self._cache.get(between)
        if alone is None:
            alone = self._encode_part(between)[0] if between else []
            if len(between) <= _CACHED_UP_TO:
                self._cache[between] = alone
        return alone == ids[first:position]

    def _encode_parts(
        self, text: str, cuts: set[int], whole: Encoding | None = None
    ) -> tuple[list[int], list[Span]]:
        if not cuts:
            encoding = whole or self._tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, fill_gaps(encoding.offsets, len(text))
        ids: list[int] = []
        spans: list[Span] = []
        for begin, end in pairwise([0, *sorted(cuts), len(text)]):
            shift = begin + (1 if text[begin : begin + 1] == CUT else 0)
            part_ids, part_spans = self._encode_part(text[shift:end])
            ids += part_ids
            spans += [(a + shift, b + shift) for a, b in part_spans]
        return ids, fill_gaps(spans, len(text))

    def _encode_part(self, text: str) -> tuple[list[int], list[Span]]:
        """A part of a text, without the space that some tokenizers put before the first
        word: it is encoded after a newline, which is then removed (transformers encodes
        such parts in the same way).
        """
        encoding = self._tokenizer.encode("\n" + text, add_special_tokens=False)
        after = [
            (i, (a - 1, b - 1))
            for i, (a, b) in zip(encoding.ids, encoding.offsets, strict=True)
            if b > 1
        ]
        if after and after[0][1][0] < 0:  # the newline merged with the first token
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, list(encoding.offsets)
        return [i for i, _ in after], [span for _, span in after]


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)) or "(?!)")
