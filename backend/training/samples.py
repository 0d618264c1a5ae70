"""The model's answers to the same few held-out prompts at each evaluation: greedy, short, and within a time limit."""

import time
from collections.abc import Sequence
from typing import Any

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
    ids = generate_ids(model, tokenizer, device, asked, new_tokens, longest)
    answers = [tokenizer.decode(answer).strip() for answer in ids]
    expected = [*data.held_out_answers, *[""] * len(prompts)]
    seconds = round(time.perf_counter() - began, 3)
    return [
        SampleEvent(step, prompt, answer, reference, seconds)
        for prompt, answer, reference in zip(prompts, answers, expected, strict=False)
    ]


Prompts = Sequence[Sequence[int]]  # token ids


def generate_ids(
    model: Any,
    tokenizer: ChatTokenizer,
    device: Device,
    prompts: Prompts,
    new_tokens: int,
    longest: float | None = None,
) -> list[list[int]]:
    """The greedy answers to `prompts`, generated in one batch, as token ids: the answer, then, where it ended in
    time, a stop token and padding. model: the model in training. tokenizer: of the model. device: to generate on.
    prompts: token ids. new_tokens: of an answer at most. longest: seconds until answers are cut, None for never."""
    import torch
    from transformers import GenerationConfig

    width = max(len(ids) for ids in prompts)
    ids = torch.full((len(prompts), width), tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for index, prompt in enumerate(prompts):
        ids[index, width - len(prompt) :] = torch.tensor(prompt)
        mask[index, width - len(prompt) :] = 1
    config = GenerationConfig(
        max_new_tokens=new_tokens,
        max_time=longest,
        do_sample=False,
        eos_token_id=list(tokenizer.stop_ids),
        pad_token_id=tokenizer.pad_id,
        use_cache=True,
    )
    model.eval()
    with torch.no_grad(), device.autocast():
        output = model.generate(
            input_ids=ids.to(device.kind), attention_mask=mask.to(device.kind), generation_config=config
        )
    return [row[width:].tolist() for row in output]
