"""Greedy, short answers of a model in training: to the same few held-out prompts at
each evaluation, within a time limit; and before the first step, as its base, to
everyday prompts. Those are trained besides the examples.

A model's own answers (`backend.runs.own_answers`) keep what it knew better than texts
by others do (arXiv:2605.26097, figure `experiments/instruct` of its repository).
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from backend.chat.batch import answer_all
from backend.chat.engine import Answered, without_opening
from backend.records.encoded import Encoded
from backend.records.events import SampleEvent
from backend.records.specs import DataRef, RunSpec
from backend.runs import own_answers
from backend.text.signs import repeats
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.work import Work

_LONGEST = 64  # tokens of an answer; one that is longer is not used, since its end would be missing
AT_A_TIME = 16  # prompts
PROMPTS = 2
NEW_TOKENS = 64
_SHARE = 0.1  # of the run's time that all samples may take
_LEAST, _FIRST = (
    1.0,
    5.0,
)  # seconds of one evaluation's: at least, and before the first step


def time_limit(training: float, evaluations: int) -> float:
    """Seconds that the samples of one evaluation may take; then answers are cut.
    training: seconds of the whole run's steps, 0 before the first. evaluations: of the
    whole run.
    """
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
    """The model's answers to up to PROMPTS held-out prompts. An answer that is cut ends
    in an ellipsis.

    data: has the prompts, and the expected answers
    step: after which step this is; it goes into the events
    new_tokens: tokens of an answer at most
    longest: seconds for all of them, None without a limit
    """
    began = time.perf_counter()
    prompts = [list(prompt) for prompt in data.held_out_prompts[:PROMPTS]]
    if not prompts:
        return []
    asked = [tokenizer.prompt_ids(prompt) for prompt in prompts]
    answered = answer_prompts(model, tokenizer, device, asked, new_tokens, longest)
    texts = (
        without_opening(tokenizer.decode(list(each.ids)), tokenizer.opening_text)
        for each in answered
    )
    answers = [
        text.strip() + " …" * (not each.ended)
        for text, each in zip(texts, answered, strict=True)
    ]
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
    """The greedy answers to `prompts`, which are token ids.

    new_tokens: of an answer at most
    longest: seconds until answers are cut, None for never"""
    until = time.perf_counter() + (math.inf if longest is None else longest)
    limits, ends = [new_tokens] * len(prompts), tokenizer.stop_ids
    model.eval()
    with device.autocast():
        return answer_all(
            model,
            prompts,
            ends,
            limits,
            enough=lambda number, ids: time.perf_counter() > until,
        )


def general_rows(
    context: Work, spec: RunSpec, net: Any, tokenizer: ChatTokenizer, device: Device
) -> list[Encoded]:
    """The general rows to train besides the examples; none where the base model answers
    no prompt.

    context: of the run, in whose folder the answers are stored, so that a resumed run
        has the same ones
    net: the model before its first step, which still answers as its base
    """
    folder, wanted = context.folder, spec.settings.general_rows(spec.data.train_rows)
    answers = own_answers.read(folder)
    while (
        tokenizer.chat_template
        and not context.should_stop()
        and (left := own_answers.unasked(answers, spec))
    ):
        context.progress(
            "Asking the base model", sum(map(bool, answers.values())), wanted
        )
        asked = left[:AT_A_TIME]
        answers |= zip(
            asked, usable_answers(net, tokenizer, device, asked), strict=True
        )
        own_answers.write(folder, answers)
    return own_answers.rows(folder, spec, tokenizer)


def usable_answers(
    net: Any, tokenizer: ChatTokenizer, device: Device, prompts: list[str]
) -> list[str]:
    """The greedy answer to each prompt; "" where it is cut, empty, or stuck in a loop."""
    opening = tokenizer.opening()
    asked = [
        [*tokenizer.prompt_ids([{"role": "user", "content": prompt}]), *opening]
        for prompt in prompts
    ]
    answers = []
    for answered in answer_prompts(net, tokenizer, device, asked, _LONGEST):
        answer = tokenizer.decode(list(answered.ids)).strip() if answered.ended else ""
        answers.append("" if repeats(answer) else answer)
    return answers
