"""The model's answers to validation prompts during training: greedy, short, and only when time allows."""

from collections.abc import Sequence
from typing import Any

from backend.records.events import SampleEvent
from backend.records.specs import DataRef
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.training.state.metrics import Metrics

PROMPTS = 3
NEW_TOKENS = 64
SHARE = 0.1  # of the run's time that samples may take


def has_time_for_samples(metrics: Metrics, step: int, total: int) -> bool:
    """Whether samples, if they take as long as the last ones, stay within their share of the whole run's time (at its
    pace so far). The first and the last samples are always generated."""
    if not metrics.samples or step == total:
        return True
    return metrics.sample_seconds + metrics.last_sample_seconds <= SHARE * metrics.seconds * total / max(1, step)


def sample_answers(
    model: Any, tokenizer: ChatTokenizer, device: Device, data: DataRef, step: int = 0, new_tokens: int = NEW_TOKENS
) -> list[SampleEvent]:
    """The model's answers to up to PROMPTS held-out prompts.

    model: the model in training.
    tokenizer: of the model.
    device: to generate on.
    data: has the prompts, and the expected answers.
    step: after which step this is; it goes into the events.
    new_tokens: tokens of an answer at most.
    """
    prompts = [list(prompt) for prompt in data.held_out_prompts[:PROMPTS]]
    if not prompts:
        return []
    answers = generate(model, tokenizer, device, [tokenizer.prompt_ids(prompt) for prompt in prompts], new_tokens)
    expected = [*data.held_out_answers, *[""] * len(prompts)]
    return [
        SampleEvent(step, prompt, answer, reference)
        for prompt, answer, reference in zip(prompts, answers, expected, strict=False)
    ]


def generate(
    model: Any, tokenizer: ChatTokenizer, device: Device, prompts: Sequence[Sequence[int]], new_tokens: int
) -> list[str]:
    """The greedy answers to `prompts`, generated in one batch.

    model: the model in training.
    tokenizer: of the model.
    device: to generate on.
    prompts: token ids.
    new_tokens: tokens of an answer at most.
    """
    answers = generate_ids(model, tokenizer, device, prompts, new_tokens)
    return [tokenizer.decode(ids).strip() for ids in answers]


def generate_ids(
    model: Any, tokenizer: ChatTokenizer, device: Device, prompts: Sequence[Sequence[int]], new_tokens: int
) -> list[list[int]]:
    """Like `generate`, but as token ids: the answer, then, where it ended in time, a stop token and padding."""
    import torch
    from transformers import GenerationConfig

    longest = max(len(ids) for ids in prompts)
    ids = torch.full((len(prompts), longest), tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for index, prompt in enumerate(prompts):
        ids[index, longest - len(prompt) :] = torch.tensor(prompt)
        mask[index, longest - len(prompt) :] = 1
    config = GenerationConfig(
        max_new_tokens=new_tokens,
        do_sample=False,
        eos_token_id=list(tokenizer.stop_ids),
        pad_token_id=tokenizer.pad_id,
        use_cache=True,
    )
    model.eval()
    with torch.no_grad(), device.autocast():
        output = model.generate(
            input_ids=ids.to(device.kind),
            attention_mask=mask.to(device.kind),
            generation_config=config,
        )
    return [row[longest:].tolist() for row in output]
