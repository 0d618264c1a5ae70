"""Shared by the two engines (torch and llama.cpp): sampling, streaming text, scores of
known answers, and the check that the base model is unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Literal, Protocol, TypeVar

from backend.errors import BadInput, ChatFailed
from backend.records.chat import AnswerScore, EngineReport

BASE, TUNED = "base", "tuned"  # the two panes
Opened = TypeVar("Opened")
Finish = Literal[
    "end", "length", "stopped"
]  # ended by the model, cut at the limit, stopped by the person
Tokens = Generator[int, None, Finish]
Messages = Sequence[Mapping[str, Any]]
Prompts = Sequence[list[int]]  # token ids
Each = Callable[
    [int], None
]  # gets the number of finished answers; what it raises ends the work
Enough = Callable[
    [int, Sequence[int]], bool
]  # whether the tokens so far of the answer to a prompt say enough
Tools = Sequence[Mapping[str, Any]]  # descriptions of functions
_SHARE = 0.25  # of the free memory, for what the contexts of llama.cpp remember
_LEAST = 2048  # tokens of a context
_LONGEST_LOOP = 40  # tokens
# Nats between two tokens up to which rounding decides: 13 of 17 that sound files of a
# little trained model chose.
NEAR_TIE = 0.2
PROBE: Messages = ({"role": "user", "content": "What is the capital of France?"},)


@dataclass(frozen=True)
class Sampling:
    """How an answer is sampled. temperature 0 is greedy: always the likeliest token, so
    always the same answer. grammar: that the answer fits, in GBNF or a JSON schema, ""
    for none; only llama.cpp holds an answer to it.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    grammar: str = ""

    def within(self, prompt_tokens: int, context_length: int) -> Sampling:
        """These settings, limited to the tokens that the context has left. Raises
        BadInput if none are left.
        """
        left = context_length - prompt_tokens
        if left < 1:
            raise BadInput(
                "The conversation has become too long for this model.",
                f"It has {prompt_tokens} tokens, and the model can read {context_length}.",
                "Start a new conversation, or shorten the text.",
            )
        return replace(self, max_new_tokens=min(self.max_new_tokens, left))


@dataclass(frozen=True)
class Answered:
    """The token ids of an answer without its end token. ended: whether the model ended
    it by itself.
    """

    ids: tuple[int, ...]
    ended: bool


def looping(number: int, ids: Sequence[int]) -> bool:
    """Whether an answer says `Enough` because it ends in a loop: the same tokens three
    times and more, 40 at least.
    """
    return any(
        ids[-1] == ids[-1 - size] and ids[size - length :] == ids[-length:-size]
        for size in range(1, _LONGEST_LOOP + 1)
        if len(ids) >= (length := max(_LONGEST_LOOP, 3 * size))
    )


class Engine(Protocol):
    """A loaded model that answers in one or two panes."""

    panes: tuple[str, ...]
    context_length: int
    report: EngineReport
    tokens_read: dict[
        str, int
    ]  # of each pane's latest prompt; the rest was in memory from the turns before
    _tokenizer: Tokenizer

    def prompt_ids(self, messages: Messages, tools: Tools = ()) -> list[int]:
        """The token ids of the conversation; tools: that the model may call. Raises
        BadInput if the chat template rejects it.
        """
        return self._tokenizer.prompt_ids(
            [dict(message) for message in messages], tools
        )

    def text_stream(self) -> TextStream:
        return TextStream(self._tokenizer.decode, self._tokenizer.opening_text)

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        """The answer, token by token, without its end token; the generator returns how
        it ended.
        """
        ...

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        """The score of each row: input_ids, and labels with -100 for the prompt."""
        ...

    def answer_all(
        self,
        pane: str,
        prompts: Prompts,
        limits: Sequence[int],
        each: Each,
        enough: Enough = looping,
        form: str = "",
    ) -> list[Answered]:
        """The greedy answers to many prompts (token ids) at once.

        limits: the most tokens of each answer
        each: called with the number of finished answers every few tokens; what it
            raises ends the work
        enough: gets the number of a prompt and its answer so far, which may be cut once
            this is true
        form: see `Sampling.grammar`; no answer in one is cut
        """
        ...

    def nats(self, pane: str, ids: Sequence[int], labels: Sequence[int]) -> float:
        """The sum of -ln p of those `labels` that are not -100, each after the `ids`
        before its position.
        """
        ...

    def use_threads(self, threads: int) -> None: ...


class Tokenizer(Protocol):
    """The part of a tokenizer that an engine needs."""

    def prompt_ids(self, messages: Any, tools: Any = None) -> list[int]: ...
    def opening(self) -> list[int]: ...
    @property
    def opening_text(self) -> str: ...
    def decode(self, ids: list[int]) -> str: ...


class TextStream:
    """Converts a stream of tokens to text, in complete characters only: one may take
    several tokens. decode: token ids to text, with U+FFFD for an incomplete character.
    opening: see `without_opening`.
    """

    def __init__(self, decode: Callable[[list[int]], str], opening: str = "") -> None:
        self._decode, self._opening = decode, opening
        self._ids: list[int] = []
        self._begin = 0  # decoding starts here: early enough to decode the tokens up to `_shown` in context
        self._shown = 0  # tokens whose text has been returned

    def add(self, token: int) -> str:
        """The text that `token` completes, "" while a character is incomplete."""
        self._ids.append(token)
        new = self._new_text()
        if not new or new.endswith("\ufffd"):
            return ""
        self._begin, self._shown = self._shown, len(self._ids)
        return new

    def end(self) -> str:
        """The rest after the last token; an incomplete character becomes U+FFFD."""
        new = self._new_text()
        self._begin = self._shown = len(self._ids)
        return new

    def _new_text(self) -> str:
        shown = self._decode(self._ids[self._begin : self._shown])
        new = self._decode(self._ids[self._begin :])[len(shown) :]
        return new if self._shown else without_opening(new, self._opening)


def without_opening(text: str, opening: str) -> str:
    """An answer, or its beginning, without the empty thought that the template of a
    model writes before each.
    """
    return "" if opening.startswith(text) else text.removeprefix(opening)


def require_number(largest: float | None) -> None:
    """Raises ChatFailed if the largest of a model's numbers is invalid: None in JSON."""
    if largest is None or not math.isfinite(largest):
        raise ChatFailed(
            "The model computed an invalid number.",
            "Its weights are damaged, or the training diverged.",
            "Check the run's loss curve, and train again with a lower learning rate.",
        )


def score_row(logits: Any, labels: Sequence[int]) -> AnswerScore:
    """`Engine.score` for one row. logits: a numpy array, (at least as many tokens as
    labels, vocabulary).
    """
    import numpy

    learned = [i for i, label in enumerate(labels) if i > 0 and label >= 0]
    rows = logits[[i - 1 for i in learned]].astype(numpy.float64)
    peak = rows.max(axis=-1, keepdims=True, initial=-numpy.inf)
    log_sum = peak[:, 0] + numpy.log(numpy.exp(rows - peak).sum(axis=-1))
    nll = log_sum - rows[numpy.arange(len(learned)), [labels[i] for i in learned]]
    near = [numpy.flatnonzero(row >= row.max() - NEAR_TIE).tolist() for row in rows]
    return AnswerScore(
        nll=float(nll.mean()) if learned else 0.0,
        top=rows.argmax(axis=-1).tolist(),
        near=near,
    )


def check_panes(
    before: Any, unchanged: Sequence[Any], tuned: Any, compared: str = ""
) -> str:
    """Check that the base pane is the base model and the tuned one is not, by the
    logits for `PROBE` (numpy arrays). Returns the result in a sentence. Raises
    ChatFailed.

    before: of the base alone
    unchanged: of the base with the tuned model loaded too
    compared: what they are, if not all logits
    """
    import numpy

    if not all(numpy.array_equal(before, other) for other in unchanged):
        raise ChatFailed(
            "The two models can't be compared.",
            "With the adapter switched off, the tuned model does not give the same results as the base model.",
            "Train again. If the problem remains, the model's files are damaged.",
        )
    if numpy.array_equal(before, tuned):
        raise ChatFailed(
            "The tuned model is the same as the base model.",
            "The result of the run has no effect: both models compute exactly the same numbers.",
            "Train again with more examples, more epochs or a higher learning rate.",
        )
    return (
        f"Checked: with the training switched off, {compared or f'all {before.size:,} numbers'} that the model "
        "computes for a test question are exactly those of the base model; with it switched on, they differ."
    )


def common_prefix(left: Sequence[int] | str, right: Sequence[int] | str) -> int:
    """The number of equal tokens, or letters, at the start."""
    return next(
        (i for i, (a, b) in enumerate(zip_longest(left, right)) if a != b), len(left)
    )


def tokens_that_fit(bytes_per_token: int) -> int:
    """How many tokens contexts can remember in the memory that they may take; 0 if
    unknown.
    """
    import psutil

    return (
        int(psutil.virtual_memory().available * _SHARE / bytes_per_token)
        if bytes_per_token
        else 0
    )


def fewer_until_it_fits(open_for: Callable[[int], Opened], count: int) -> Opened:
    """`open_for` as many conversations as memory allows, `count` at most. Raises
    ChatFailed if not even one fits.
    """
    while True:
        try:
            return open_for(count)
        except ChatFailed:
            if count == 1:
                raise
            count //= 2


def context_length(trained: int, bytes_per_token: int, contexts: int) -> int:
    """Tokens for each of `contexts`. trained: how many the model was trained to read, 0
    if unknown.
    """
    fits = tokens_that_fit(bytes_per_token) // contexts
    return min(trained or _LEAST, max(_LEAST, fits - fits % 256))
