"""What the model answers to held-out prompts while it learns: greedy, short, and only when time allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.records.events import SampleEvent
from backend.records.specs import DataRef
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.training.distributed import sharding
from backend.training.state.metrics import History

PROMPTS = 3
NEW_TOKENS = 64
_SHARE = 0.1  # of the run's time that answers may take


def worth_the_time(history: History, step: int, total: int) -> bool:
    """Whether answering again, if it takes as long as the last time, stays within the share of the whole run's time
    (at its pace so far). The first and the last answers are always given."""
    if not history.answers or step == total:
        return True
    return history.answer_seconds + history.last_answer_seconds <= _SHARE * history.seconds * total / max(1, step)


def answers(
    model: Any, tokenizer: ChatTokenizer, device: Device, data: DataRef, step: int = 0, new_tokens: int = NEW_TOKENS
) -> list[SampleEvent]:
    """The model's answers after `step`, of at most `new_tokens`, to up to PROMPTS held-out prompts of `data`."""
    prompts = [list(prompt) for prompt in data.held_out_prompts[:PROMPTS]]
    if not prompts:
        return []
    given = generate(model, tokenizer, device, [tokenizer.prompt_ids(prompt) for prompt in prompts], new_tokens)
    expected = [*data.held_out_answers, *[""] * len(prompts)]
    return [
        SampleEvent(step, prompt, answer, wanted)
        for prompt, answer, wanted in zip(prompts, given, expected, strict=False)
    ]


def generate(
    model: Any, tokenizer: ChatTokenizer, device: Device, prompts: Sequence[Sequence[int]], new_tokens: int
) -> list[str]:
    """The greedy answers to `prompts` (token ids), at most `new_tokens` each, made together."""
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
        made = model.generate(
            input_ids=ids.to(device.kind),
            attention_mask=mask.to(device.kind),
            generation_config=config,
            synced_gpus=sharding.is_sharded(model),  # else one that is done early leaves the others waiting
        )
    return [tokenizer.decode(row[longest:].tolist()).strip() for row in made]
