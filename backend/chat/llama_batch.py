"""Greedy answers of llama.cpp to many conversations at once: it reads the weights once for a token of each."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from backend.chat.engine import Answered, Each, Enough, fewer_until_it_fits, require_number
from backend.chat.llama import BATCH, Context, Token, Weights

_ROUND = 256  # tokens
_TOGETHER = 8  # conversations; more gain little on a processor


def answer_all(
    weights: Weights,
    adapter: Any,
    prompts: Sequence[Sequence[int]],
    end_ids: Collection[int],
    limits: Sequence[int],
    each: Each,
    enough: Enough,
) -> list[Answered]:
    """See `Engine.answer_all`. adapter: of the tuned context, None for the base."""
    if not prompts:
        return []
    longest = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
    count = max(1, min(_TOGETHER, len(prompts), weights.tokens_that_fit() // longest))
    talks = fewer_until_it_fits(partial(_Talks, weights, adapter, longest), count)
    count = talks.count
    answers: dict[int, Answered] = {}
    waiting, answering = list(reversed(range(len(prompts)))), dict[int, int]()  # sequence to number
    written: list[list[int]] = [[] for _ in prompts]
    while waiting or answering:
        parts: dict[int, Sequence[int]] = {sequence: written[number][-1:] for sequence, number in answering.items()}
        for sequence in sorted(set(range(count)) - answering.keys())[: len(waiting)]:
            answering[sequence] = waiting.pop()
            parts[sequence] = prompts[answering[sequence]]
        for sequence, token in talks.read(parts).items():
            number = answering[sequence]
            ended = token in end_ids
            if not ended:
                written[number].append(token)
            if ended or len(written[number]) >= limits[number] or enough(number, written[number]):
                answers[number] = Answered(tuple(written[number]), ended)
                del answering[sequence]
                talks.end(sequence)
        each(len(answers))
    return [answers[number] for number in range(len(prompts))]


class _Talks:
    """Several conversations, each in a sequence of its own. tokens: of the longest. Raises ChatFailed."""

    def __init__(self, weights: Weights, adapter: Any, tokens: int, count: int) -> None:
        self.count = count
        # llama.cpp divides a context among its sequences, in multiples of _ROUND
        self._context = Context(weights, -(-tokens // _ROUND) * _ROUND * count, count)
        if adapter:
            self._context.adapter = adapter
            self._context.switch_adapter(True)
        self._lengths = [0] * count

    def read(self, parts: Mapping[int, Sequence[int]]) -> dict[int, int]:
        """Reads more of some conversations; the likeliest next token of each."""
        tokens = [
            Token(token, self._lengths[sequence] + at, at == len(part) - 1, sequence)
            for sequence, part in parts.items()
            for at, token in enumerate(part)
        ]
        for sequence, part in parts.items():
            self._lengths[sequence] += len(part)
        likeliest: dict[int, int] = {}
        for begin in range(0, len(tokens), BATCH):
            piece = tokens[begin : begin + BATCH]
            self._context.decode(piece)
            for at, token in enumerate(piece):
                if token.wanted:
                    logits = self._context.logits(at)
                    require_number(logits.max())
                    likeliest[token.sequence] = int(logits.argmax())
        return likeliest

    def end(self, sequence: int) -> None:
        """Makes room for another conversation."""
        self._context.forget_sequence(sequence)
        self._lengths[sequence] = 0
