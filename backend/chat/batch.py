"""Greedy answers to many conversations at once: as one by one, in a fraction of the
time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backend.chat.engine import Answered, Each, Enough, looping, require_number
from backend.errors import is_out_of_memory
from backend.hardware.gpu_memory import release

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_ROWS = 32  # answered together at most
_TOKENS = 12_288  # of all their prompts, padding included: what is read in one pass has to fit into memory


def answer_all(
    model: Any,
    prompts: Sequence[Sequence[int]],
    end_ids: Collection[int],
    limits: Sequence[int],
    each: Each = lambda done: None,
    enough: Enough = looping,
) -> list[Answered]:
    """`Engine.answer_all` of a model of transformers."""
    answers: dict[int, Answered] = {}
    groups = list(_groups(prompts))
    while groups:
        group = groups.pop(0)
        try:
            _answer(
                model,
                {number: prompts[number] for number in group},
                end_ids,
                limits,
                answers,
                each,
                enough,
            )
            continue
        except (RuntimeError, MemoryError) as error:
            if len(group) == 1 or not is_out_of_memory(error):
                raise
            log.warning(
                "out of memory with %s answers at a time: %s", len(group), error
            )
        release(model.device.type)  # after the error, which holds the tensors
        half = len(group) // 2
        groups[:0] = group[:half], group[half:]
    return [answers[number] for number in range(len(prompts))]


def _groups(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of prompts that are answered together: of similar length, so that little
    is padded.
    """
    group: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda number: -len(prompts[number])):
        longest = len(prompts[group[0]]) if group else 0
        if group and (len(group) == _ROWS or (len(group) + 1) * longest > _TOKENS):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _answer(
    model: Any,
    prompts: dict[int, Sequence[int]],
    end_ids: Collection[int],
    limits: Sequence[int],
    answers: dict[int, Answered],
    each: Each,
    enough: Enough,
) -> None:
    """Answers `prompts` (by their numbers) together; finished ones leave the batch."""
    import torch

    numbers = list(prompts)
    written: dict[int, list[int]] = {number: [] for number in prompts}
    ids, mask = _padded(list(prompts.values()), model.device)
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    cache: Any = None
    while numbers:
        with torch.inference_mode():
            out = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                cache=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        cache, going = out.cache, []
        likeliest, chosen = out.logits[:, -1].float().max(-1)
        require_number(float(likeliest.sum()))
        for place, token in enumerate(chosen.tolist()):
            number = numbers[place]
            ended = token in end_ids
            if not ended:
                written[number].append(token)
            if (
                ended
                or len(written[number]) >= limits[number]
                or enough(number, written[number])
            ):
                answers[number] = Answered(tuple(written[number]), ended)
            else:
                going.append(place)
        each(len(answers))
        if len(going) < len(numbers):
            keep = torch.tensor(going, dtype=torch.long, device=mask.device)
            numbers, mask, places = (
                [numbers[place] for place in going],
                mask[keep],
                places[keep],
            )
            if going:
                cache.batch_select_indices(keep)
        if going:
            ids = torch.tensor(
                [[written[number][-1]] for number in numbers], device=mask.device
            )
            mask = torch.cat([mask, mask.new_ones(len(numbers), 1)], dim=-1)
            places = places[:, -1:] + 1


def _padded(
    rows: Sequence[Sequence[int]], device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows as one tensor, filled up on their left, and which of its places are
    theirs.
    """
    import torch

    width = max(map(len, rows))
    ids = [[0] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
