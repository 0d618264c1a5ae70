"""The model's answers to the same few held-out prompts at each evaluation: greedy, short, and within a time limit."""

import math
import time
from collections.abc import Sequence
from typing import Any

from backend.chat.batch import answer_all
from backend.chat.engine import Answered
from backend.records.events import SampleEvent
from backend.records.specs import DataRef
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device

PROMPTS = 2
NEW_TOKENS = 64
_SHARE = 0.1  # of the run's time that all samples may take
_LEAST, _FIRST = 1.0, 5.0  # seconds of one evaluation's: at least, and before the first step


def time_limit(training: float, evaluations: int) -> float:
    """Seconds that the samples of one evaluation may take; then answers are cut. training: seconds of the whole run's
    steps, 0 before the first. evaluations: of the whole run."""
    return max(_LEAST, _SHARE * training / max(1, evaluations)) if training else _FIRST


def sample_answers(
    model: Any,
    tokenizer: ChatTokenizer,
    device: Device,
    data: DataRef,
    step: int = 0,
    new_tokens: int = NEW_TOKENS,
    longest: float | None = None,
) -> list[SampleEvent]:
    """The model's answers to up to PROMPTS held-out prompts. model: the model in training. tokenizer: of the model.
    device: to generate on. data: has the prompts, and the expected answers. step: after which step this is; it goes
    into the events. new_tokens: tokens of an answer at most. longest: seconds for all of them, None without a limit."""
    began = time.perf_counter()
    prompts = [list(prompt) for prompt in data.held_out_prompts[:PROMPTS]]
    if not prompts:
        return []
    asked = [tokenizer.prompt_ids(prompt) for prompt in prompts]
    answered = answer_prompts(model, tokenizer, device, asked, new_tokens, longest)
    answers = [tokenizer.decode(list(answer.ids)).strip() for answer in answered]
    expected = [*data.held_out_answers, *[""] * len(prompts)]
    seconds = round(time.perf_counter() - began, 3)
    return [
        SampleEvent(step, prompt, answer, reference, seconds)
        for prompt, answer, reference in zip(prompts, answers, expected, strict=False)
    ]


def answer_prompts(
    model: Any,
    tokenizer: ChatTokenizer,
    device: Device,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    longest: float | None = None,
) -> list[Answered]:
    """The greedy answers to `prompts`. model: the model in training. tokenizer: of the model. device: to compute on.
    prompts: token ids. new_tokens: of an answer at most. longest: seconds until answers are cut, None for never."""
    until = time.perf_counter() + (math.inf if longest is None else longest)
    limits, ends = [new_tokens] * len(prompts), tokenizer.stop_ids
    model.eval()
    with device.autocast():
        return answer_all(model, prompts, ends, limits, enough=lambda number, ids: time.perf_counter() > until)
