"""The engine for safetensors models: base and tuned model share one copy of the
weights. It runs in the chat process and in exports, never in the page.

The tuned model is a twin of the base: its own modules, the same weight tensors. The
adapter is attached to the twin, so the base pane runs a model without any adapter, and
there is no switch to forget.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.chat import batch
from backend.chat.engine import (
    BASE,
    PROBE,
    TUNED,
    Answered,
    Each,
    Engine,
    Enough,
    Prompts,
    Sampling,
    Tokens,
    check_panes,
    common_prefix,
    looping,
    require_number,
    score_row,
)
from backend.chat.place import Place, place
from backend.errors import ChatFailed
from backend.hardware import gpu_memory
from backend.hardware.benchmark import sixteen_bits
from backend.models import four_bit, model_folder
from backend.records.chat import AnswerScore, EngineReport
from backend.tokens.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    import torch

NAME = "transformers"
_PRECISIONS = {"bfloat16": "16-bit", "float16": "16-bit", "float32": "32-bit"}
_READ = 256  # tokens whose logits are in memory together
_BF16_GAIN = 0.9  # on a processor bf16 is used if a token takes less than this share of its time in fp32


class TorchEngine(Engine):
    """The model in `model`, and the tuned one in `tuned` (a folder with an adapter or a
    complete model). dtype: run on the processor in this precision, instead of wherever
    it is fastest. Raises MissingPart, NotEnough, and ChatFailed if the check of the
    panes fails.
    """

    def __init__(
        self, model: Path, tuned: Path | None = None, dtype: torch.dtype | None = None
    ) -> None:
        model_folder.check(model)
        where = Place("cpu") if dtype else place(model, tuned)
        gpu_memory.stay_in_memory(where.device)
        base = model_folder.load(model, dtype) if dtype else _load(model, where)
        self._tokenizer = ChatTokenizer.of_training(model, tuned)
        self._end_ids = model_folder.end_ids(model) | set(self._tokenizer.stop_ids)
        self.models = {BASE: base}  # by pane
        self.context_length = model_folder.context_length(model)
        self._memory: dict[
            str, tuple[list[int], int, Any]
        ] = {}  # by pane: tokens read, those of the prompt, cache
        self.tokens_read: dict[str, int] = {}
        dtype_name = str(base.dtype).removeprefix("torch.")
        pane_check = ""
        if tuned:
            self.models[TUNED], pane_check = _load_tuned(
                base, tuned, self.prompt_ids(PROBE)
            )
        self.report = EngineReport(
            engine=NAME,
            precision="4-bit"
            if where.packed
            else _PRECISIONS.get(dtype_name, dtype_name),
            dtype=dtype_name,
            device=where.device,
            end_ids=tuple(sorted(self._end_ids)),
            pane_check=pane_check,
        )
        self.panes = tuple(self.models)

    def use_threads(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        model = self.models[self.panes[-1]]
        return [
            score_row(
                logits(model, row["input_ids"]).float().cpu().numpy(), row["labels"]
            )
            for row in rows
        ]

    def answer_all(
        self,
        pane: str,
        prompts: Prompts,
        limits: Sequence[int],
        each: Each,
        enough: Enough = looping,
        form: str = "",
    ) -> list[Answered]:
        return batch.answer_all(
            self.models[pane], prompts, self._end_ids, limits, each, enough
        )

    def nats(self, pane: str, ids: Sequence[int], labels: Sequence[int]) -> float:
        return nats(self.models[pane], ids, labels)

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        import torch

        if sampling.grammar:
            why = "Its answers need a fixed form, which only llama.cpp can hold a model to."
            raise ChatFailed(
                "This model can't do this here.", why, "Choose another model."
            )
        generator = torch.Generator().manual_seed(sampling.seed)
        ids, cache = self._remembered(pane, prompt_ids)
        self.tokens_read[pane] = len(prompt_ids) - len(ids)
        last, cache = _step(self.models[pane], prompt_ids[len(ids) :], cache)
        ids = list(prompt_ids)
        for done in range(1, sampling.max_new_tokens + 1):
            self._memory[pane] = ids, len(prompt_ids), cache
            token = _pick(last, sampling, generator)
            if token in self._end_ids:
                return "end"
            yield token
            if done < sampling.max_new_tokens:
                last, cache = _step(self.models[pane], [token], cache)
                ids.append(token)
        return "length"

    def _remembered(self, pane: str, prompt_ids: list[int]) -> tuple[list[int], Any]:
        """The tokens at the start of a prompt that were read in the turns before, with
        their cache; none for a prompt that does not continue the conversation.
        """
        ids, prompt, cache = self._memory.pop(pane, ([], 0, None))
        same = common_prefix(ids, prompt_ids)
        if not 0 < prompt <= same < len(prompt_ids):
            return [], None
        if same < len(ids):
            if any(type(layer).__name__ != "DynamicLayer" for layer in cache.layers):
                return [], None  # a sliding window or a recurrent state can't be cut
            cache.crop(same)
        return ids[:same], cache


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    """The logits of `model` for all positions of `ids`: (positions, vocabulary), in its
    dtype.
    """
    import torch

    with torch.inference_mode():
        tokens = torch.tensor([ids], device=model.device)
        computed: torch.Tensor = model(input_ids=tokens, use_cache=False).logits
    return computed[0]


def nats(model: Any, ids: Sequence[int], labels: Sequence[int]) -> float:
    """`Engine.nats` of a model of transformers, read in pieces that fit into memory."""
    import torch

    total, cache = 0.0, None
    for start in range(0, len(ids) - 1, _READ):
        piece = ids[start : start + _READ]
        with torch.inference_mode():
            out = model(
                input_ids=torch.tensor([piece], device=model.device),
                cache=cache,
                use_cache=True,
            )
        cache = out.cache
        following = labels[start + 1 : start + 1 + len(piece)]
        learned = [at for at, label in enumerate(following) if label >= 0]
        if learned:
            rows = torch.log_softmax(out.logits[0, learned].float(), dim=-1)
            wanted = torch.tensor([following[at] for at in learned], device=rows.device)
            total -= float(rows.gather(-1, wanted[:, None]).double().sum())
    return total


def _load_tuned(base: Any, folder: Path, probe: list[int]) -> tuple[Any, str]:
    """The tuned model, and the check that the base is unchanged."""

    def numbers(model: Any) -> Any:
        return logits(model, probe).float().cpu().numpy()

    before = numbers(base)
    if (folder / "adapter_config.json").is_file():
        tuned = model_folder.attach_adapter(_twin(base), folder)
        with tuned.disable_adapter():
            off = numbers(tuned)
    else:
        tuned = model_folder.load(folder, base.dtype).to(base.device)
        off = before
    return tuned, check_panes(before, (off, numbers(base)), numbers(tuned))


def _twin(model: Any) -> Any:
    """A copy of the modules that shares every weight and buffer with `model`."""
    return copy.deepcopy(
        model,
        {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())},
    )


def _step(model: Any, ids: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
    """The logits (vocabulary, on the CPU, fp32) after `ids`, and the cache grown by
    them.
    """
    import torch

    with torch.inference_mode():
        out = model(
            input_ids=torch.tensor([ids], device=model.device),
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    return out.logits[0, -1].float().cpu(), out.cache


def _pick(last: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token: the likeliest at temperature 0, else sampled from the likeliest
    that add up to `top_p`.
    """
    import torch

    require_number(float(last.max()))
    if sampling.temperature <= 0:
        return int(last.argmax())
    likely, ids = torch.softmax(last / sampling.temperature, dim=-1).sort(
        descending=True
    )
    likely[likely.cumsum(-1) - likely >= sampling.top_p] = 0  # the first always stays
    return int(ids[torch.multinomial(likely, 1, generator=generator)])


def _load(folder: Path, where: Place) -> Any:
    """The model in a folder, at its place and in its precision."""
    if where.packed:
        dtype = sixteen_bits(where.device)
        model = model_folder.load(
            folder, dtype, **four_bit.options(dtype, where.device)
        )
        four_bit.compute_as_asked(model)
        return model
    if where.device != "cpu":
        return model_folder.load(folder, sixteen_bits(where.device)).to(where.device)
    return _load_fastest(folder)


def _load_fastest(folder: Path) -> Any:
    """The model on the processor in its fastest dtype: a few steps in each are timed."""
    import psutil
    import torch

    model = model_folder.load(folder, torch.bfloat16)
    if psutil.virtual_memory().available < 3 * model.get_memory_footprint():
        return model
    seconds_bf16 = _seconds_per_token(model)
    model = model_folder.load(folder, torch.float32)
    if seconds_bf16 >= _BF16_GAIN * _seconds_per_token(model):
        return model
    return model_folder.load(
        folder, torch.bfloat16
    )  # .to() would also round the rotary frequencies


def _seconds_per_token(model: Any) -> float:
    """Seconds for the fastest of three one-token steps, which other work on the machine
    disturbs least.
    """
    _, cache = _step(model, [0] * 8, None)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        _, cache = _step(model, [0], cache)
        times.append(time.perf_counter() - start)
    return min(times)
