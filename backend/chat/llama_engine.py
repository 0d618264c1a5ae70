"""The engine on llama.cpp's own server: a base model with a trained adapter, or a GGUF
file.

Base and tuned model are two slots of one server; the adapter is switched on for the
questions to the tuned one. The server is opened as it is needed: with a slot for each
pane, with more to answer many questions at once, or with a longer one to read a long
text.
"""

import random
import re
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from queue import SimpleQueue
from statistics import fmean
from time import perf_counter
from typing import Any

from backend.chat.engine import (
    BASE,
    PROBE,
    TUNED,
    Answered,
    Each,
    Engine,
    Enough,
    Messages,
    Prompts,
    Sampling,
    Tokenizer,
    Tokens,
    Tools,
    check_panes,
    common_prefix,
    context_length,
    fewer_until_it_fits,
    looping,
    tokens_that_fit,
)
from backend.chat.llama_server import LlamaServer, Next, cannot_open, on_gpu
from backend.errors import BadInput
from backend.gguf.facts import Facts
from backend.hardware import container
from backend.models import model_folder
from backend.records.chat import AnswerScore, EngineReport
from backend.tokens.tokenizer import ChatTokenizer

NAME = "llama.cpp"
# llama.cpp's number of a file's type (enum llama_ftype) in words.
PRECISIONS = {
    "0": "32-bit",
    "1": "16-bit",
    "7": "8-bit",
    "18": "6-bit",
    "17": "5-bit",
    "15": "4-bit",
    "3": "4-bit",
}
_COMPARED = 1000  # probabilities of the check of the panes
_TOGETHER = 8  # conversations; more gain little on a processor
_ROUND = 256  # tokens
_PIECE = 8  # tokens until an answer is looked at
_SHOWN = 0.1  # seconds until the next words of an answer; a request for each token would cost a fifth of the time
_LOOK = 0.2  # seconds between looks at answers in progress
_CUT = "\uf8f0"  # a private-use character: the text is tokenized in parts around it


def trained_tokenizer(
    model: Path, tuned: Path | None
) -> tuple[ChatTokenizer, set[int]]:
    """The tokenizer of the training in the folder `tuned`, or else of the model in the
    folder `model`; and the tokens that end an answer.
    """
    tokenizer = ChatTokenizer.of_training(model, tuned)
    return tokenizer, model_folder.end_ids(model) | set(tokenizer.stop_ids)


class LlamaEngine(Engine):
    """The model in a GGUF file, in the pane "tuned"; or a base model, and what was
    trained on it. Raises MissingPart, and ChatFailed if the check of the panes fails.

    file: the model, or base model, as a GGUF file
    model: the folder of the base model, with the tokenizer it was trained with
    tuned, adapter: the folder of what was trained, and its adapter as a GGUF LoRA
    """

    def __init__(
        self,
        file: Path,
        model: Path | None = None,
        tuned: Path | None = None,
        adapter: Path | None = None,
    ) -> None:
        self.panes = (
            (TUNED,) if model is None else (BASE, TUNED) if adapter else (BASE,)
        )
        self._file = file
        try:
            self._facts = Facts(file)
            trained, self._per_token = (
                self._facts.trained_context,
                self._facts.bytes_per_token,
            )
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise cannot_open(file) from error
        self.context_length = context_length(trained, self._per_token, len(self.panes))
        self._threads = container.cores()
        self._adapter = b""  # a GGUF file, which every new server reads
        self._open: LlamaServer | None = None
        self._held: dict[
            str, tuple[int, list[int]]
        ] = {}  # by pane: of the latest prompt the length, and all tokens
        self.tokens_read: dict[str, int] = {}
        self._tokenizer: Tokenizer
        if model is None:
            self._tokenizer, self._end_ids = (
                GgufTokenizer(self.server, self._facts),
                self.server().end_ids(),
            )
        else:
            self._tokenizer, self._end_ids = trained_tokenizer(model, tuned)
        pane_check = self._attach(adapter) if adapter else ""
        self.server()
        self.report = EngineReport(
            engine=NAME,
            precision=PRECISIONS.get(str(self._facts.value("general.file_type")), ""),
            dtype="gguf",
            device="gpu" if on_gpu() else "cpu",
            end_ids=tuple(sorted(self._end_ids)),
            pane_check=pane_check,
        )

    def server(self, slots: int = 0, tokens: int = 0) -> LlamaServer:
        """The open server with at least so many slots and tokens in each; the default:
        those of the panes.
        """
        slots, tokens = slots or len(self.panes), tokens or self.context_length
        server = self._open
        if (
            server is None
            or server.slots < slots
            or server.tokens < tokens
            or server.threads != self._threads
        ):
            self.close()
            with tempfile.TemporaryDirectory() as work:
                adapter = Path(work) / "adapter.gguf" if self._adapter else None
                if adapter:
                    adapter.write_bytes(self._adapter)
                server = self._open = LlamaServer(
                    self._file, slots, tokens, adapter, self._threads
                )
        return server

    def close(self) -> None:
        """Frees the model until it is needed again."""
        self._held = {}
        if self._open is not None:
            self._open.close()
            self._open = None

    def _attach(self, adapter: Path) -> str:
        """Let the tuned pane answer with the adapter from now on. Returns the check
        that the base is unchanged.
        """
        probe = self.prompt_ids(PROBE)
        before = self.server(1).next(probe, 0, likeliest=_COMPARED).likeliest
        self.close()
        self._adapter = adapter.read_bytes()

        def asked(pane: str, *, tuned: bool) -> Any:
            return (
                self.server()
                .next(probe, self.panes.index(pane), tuned=tuned, likeliest=_COMPARED)
                .likeliest
            )

        with_adapter, without = asked(TUNED, tuned=True), asked(TUNED, tuned=False)
        compared = f"the {_COMPARED:,} largest probabilities"
        return check_panes(
            before, (without, asked(BASE, tuned=False)), with_adapter, compared
        )

    def use_threads(self, threads: int) -> None:
        self._threads = threads

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        server, draw, ids = (
            self.server(),
            random.Random(sampling.seed),  # noqa: S311 (not a secret)
            list(prompt_ids),
        )
        prompt, held = self._held.get(pane, (0, []))
        continues = 0 < prompt <= common_prefix(held, ids) < len(ids)
        # Any other prompt is read from its start: read in other pieces it gives
        # slightly other numbers, and the seed alone must decide.
        self._held[pane] = len(ids), ids
        slot, tuned, left = (
            self.panes.index(pane),
            self._tuned(pane),
            sampling.max_new_tokens,
        )
        if sampling.grammar:  # which begins after the thought
            answer = self._in_form(
                server, slot, pane, [*ids, *self._tokenizer.opening()], sampling
            )
            yield from answer.ids
            return "end" if answer.ended else "length"
        new = self._next(
            server,
            pane,
            ids,
            sampling=replace(sampling, seed=draw.getrandbits(31)),
            remembered=continues,
        )
        self.tokens_read[pane], chunk, piece = new.read, [new.token], 1
        while chunk:
            for token in chunk:
                if token in self._end_ids:
                    return "end"
                yield token
                ids.append(token)
            left -= len(chunk)
            if left <= 0:
                return "length"
            began, step = perf_counter(), replace(sampling, seed=draw.getrandbits(31))
            chunk = server.answer(ids, slot, min(piece, left), tuned, step)
            if (
                sampling.temperature <= 0
            ):  # else the speed would decide what a seed gives
                piece = max(
                    1, min(_PIECE, int(_SHOWN * len(chunk) / (perf_counter() - began)))
                )
        return "end"

    def _next(
        self, server: LlamaServer, pane: str, ids: Sequence[int], **more: Any
    ) -> Next:
        return server.next(ids, self.panes.index(pane), tuned=self._tuned(pane), **more)

    def _tuned(self, pane: str) -> bool:
        return pane == TUNED and bool(self._adapter)

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        scores = []
        for row in rows:
            tokens = self._known(self.panes[-1], row["input_ids"], row["labels"])
            nll = -fmean(log_p for log_p, _ in tokens) if tokens else 0.0
            scores.append(AnswerScore(nll=nll, top=tuple(top for _, top in tokens)))
        return scores

    def nats(self, pane: str, ids: Sequence[int], labels: Sequence[int]) -> float:
        return -sum(log_p for log_p, _ in self._known(pane, ids, labels))

    def _known(
        self, pane: str, ids: Sequence[int], labels: Sequence[int]
    ) -> list[tuple[float, int]]:
        """The log-probability of each label after the ids before it, and the likeliest
        token there.
        """
        self._held.pop(pane, None)
        server, scored = (
            self.server(tokens=max(len(ids), self.context_length)),
            list[tuple[float, int]](),
        )
        for at, label in enumerate(labels):
            if at and label >= 0:
                new = self._next(
                    server, pane, ids[:at], forced=label, remembered=bool(scored)
                )
                if (
                    new.log_p is None
                ):  # all of them, with another token chosen, whose text is complete
                    every = {
                        "likeliest": self._facts.tokens,
                        "forced": min(self._end_ids),
                    }
                    new = self._next(server, pane, ids[:at], remembered=True, **every)
                    new = new._replace(log_p=dict(new.likeliest)[label])
                scored.append((new.log_p or 0.0, new.likeliest[0][0]))
        return scored

    def answer_all(
        self,
        pane: str,
        prompts: Prompts,
        limits: Sequence[int],
        each: Each,
        enough: Enough = looping,
        form: str = "",
    ) -> list[Answered]:
        if not prompts:
            return []
        longest = (
            max(
                len(prompt) + limit
                for prompt, limit in zip(prompts, limits, strict=True)
            )
            + 1
        )
        fit = tokens_that_fit(self._per_token) // longest
        self._held = {}
        tokens = -(-longest // _ROUND) * _ROUND
        slots = max(1, min(_TOGETHER, len(prompts), fit))
        server = fewer_until_it_fits(lambda count: self.server(count, tokens), slots)
        free = SimpleQueue[int]()
        for slot in range(server.slots):
            free.put(slot)

        def answer(number: int) -> Answered:
            slot = free.get()
            try:
                if form:
                    return self._in_form(
                        server,
                        slot,
                        pane,
                        prompts[number],
                        Sampling(limits[number], grammar=form),
                    )
                return self._answer(
                    server,
                    slot,
                    pane,
                    prompts[number],
                    limits[number],
                    partial(enough, number),
                )
            finally:
                free.put(slot)

        with ThreadPoolExecutor(server.slots) as threads:
            answers = [threads.submit(answer, number) for number in range(len(prompts))]
            try:
                while wait(answers, _LOOK).not_done:
                    each(sum(answer.done() for answer in answers))
                each(len(answers))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self.close()  # which ends the answers in progress
                raise
            return [answer.result() for answer in answers]

    def _in_form(
        self,
        server: LlamaServer,
        slot: int,
        pane: str,
        prompt: list[int],
        sampling: Sampling,
    ) -> Answered:
        """In one request, which holds the state of the form."""
        ids = server.answer(
            prompt, slot, sampling.max_new_tokens, self._tuned(pane), sampling
        )
        answer = tuple(token for token in ids if token not in self._end_ids)
        return Answered(answer, ended=len(ids) < sampling.max_new_tokens)

    def _answer(
        self,
        server: LlamaServer,
        slot: int,
        pane: str,
        prompt: list[int],
        limit: int,
        enough: Callable[[Sequence[int]], bool],
    ) -> Answered:
        """In pieces, which cost nothing since the slot remembers them. The server also
        ends at tokens that may not end an answer here.
        """
        ids: list[int] = []
        while len(ids) < limit and not enough(ids):
            piece = min(_PIECE, limit - len(ids))
            ids += server.answer([*prompt, *ids], slot, piece, tuned=self._tuned(pane))
            ended = next(
                (at for at, token in enumerate(ids) if token in self._end_ids), None
            )
            if ended is not None:
                return Answered(tuple(ids[:ended]), ended=True)
        return Answered(tuple(ids), ended=False)


class GgufTokenizer:
    """Does for a GGUF file, which a server has open, what `ChatTokenizer` does for a
    model folder. The template in it is untrusted: backend.tokens renders it in a box.
    Control markers inside messages are cut in two, so that no text becomes a control
    token.
    """

    def __init__(self, server: Callable[[], LlamaServer], facts: Facts) -> None:
        self._server, self._template, self._silent = (
            server,
            facts.template,
            facts.silent_ids,
        )
        self._specials = {
            f"{name}_token": facts.special_token(name) for name in ("bos", "eos")
        }
        longest_first = sorted(filter(str.strip, facts.markers), key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def prompt_ids(self, messages: Messages, tools: Tools | None = None) -> list[int]:
        """The token ids of the conversation. Raises BadInput if there is no template,
        or if it rejects it.
        """
        if not self._template:
            raise BadInput(
                "This GGUF file has no chat template.",
                "It was not made for chat.",
                "Choose another.",
            )
        clean = [dict(message) for message in messages]
        for message in clean:
            if isinstance(content := message.get("content"), str):
                whole = content.replace(_CUT, "")
                message["content"] = self._markers.sub(
                    lambda m: m.group()[0] + _CUT + m.group()[1:], whole
                )
        text = self._of_template().render(clean, tools, add_generation_prompt=True)
        return [
            token for part in text.split(_CUT) for token in self._server().encode(part)
        ]

    def opening(self) -> list[int]:
        return self._server().encode(self.opening_text)

    @cached_property
    def opening_text(self) -> str:
        return self._of_template().opening_text

    def _of_template(self) -> ChatTokenizer:
        return ChatTokenizer.of_template(self._template, self._specials)

    def decode(self, ids: Sequence[int]) -> str:
        """The text without control tokens, with U+FFFD for an incomplete character."""
        return self._server().decode(
            [token for token in ids if token not in self._silent]
        )
