"""The engine for safetensors models: base and tuned model share one copy of the weights. It runs in the chat process
and in exports, never in the page.

The tuned model is a twin of the base: its own modules, the same weight tensors. The adapter is attached to the twin,
so the base pane runs a model without any adapter, and there is no switch to forget.
"""

from __future__ import annotations

import copy
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.chat.engine import BASE, TUNED, Messages, Sampling, TextStream, Tokens, score_row
from backend.errors import ChatFailed, NotEnough
from backend.models import model_folder
from backend.tokens.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    import torch

_PROBE = ({"role": "user", "content": "What is the capital of France?"},)
_BF16_GAIN = 0.9  # on a processor bf16 is used if a token takes less than this share of its time in fp32


class TorchEngine:
    """The model in `model`, and the tuned one in `tuned` (a folder with an adapter or a complete model).

    dtype: run on the processor in this precision, instead of wherever it is fastest. `report["pane_check"]` has the
    fields of `client.PaneCheck`. Raises MissingPart, NotEnough, and ChatFailed if the check fails.
    """

    def __init__(self, model: Path, tuned: Path | None = None, dtype: torch.dtype | None = None) -> None:

        model_folder.check(model)
        device = "cpu" if dtype else _device(model)
        base = model_folder.load(model, dtype) if dtype else _load_fastest(model, device)
        self._tokenizer = ChatTokenizer.load(tuned if tuned and (tuned / "tokenizer.json").is_file() else model)
        self._end_ids = model_folder.end_ids(model) | set(self._tokenizer.stop_ids)
        self._models = {BASE: base}
        self.context_length = model_folder.context_length(model)
        self.report: dict[str, Any] = {
            "dtype": str(base.dtype).removeprefix("torch."),
            "device": device,
            "end_ids": sorted(self._end_ids),
        }
        if tuned:
            self._models[TUNED], self.report["pane_check"] = _load_tuned(base, tuned, self.prompt_ids(_PROBE))
        self.panes = tuple(self._models)

    def prompt_ids(self, messages: Messages) -> list[int]:
        return self._tokenizer.prompt_ids([dict(m) for m in messages])

    def model(self, pane: str) -> Any:
        """The model behind a pane."""
        return self._models[pane]

    def text_stream(self) -> TextStream:
        return TextStream(self._tokenizer.decode)

    def use_threads(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)

    def score(self, rows: list[dict[str, list[int]]]) -> list[dict[str, Any]]:
        model = self._models[self.panes[-1]]
        return [score_row(logits(model, row["input_ids"]).float().cpu().numpy(), row["labels"]) for row in rows]

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        import torch

        generator = torch.Generator().manual_seed(sampling.seed)
        last, cache = _step(self._models[pane], prompt_ids, None)
        for done in range(1, sampling.max_new_tokens + 1):
            token = _pick(last, sampling, generator)
            if token in self._end_ids:
                return "end"
            yield token
            if done < sampling.max_new_tokens:
                last, cache = _step(self._models[pane], [token], cache)
        return "length"


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    """The logits of `model` for each position of `ids`: (tokens, vocabulary), in its dtype."""
    import torch

    with torch.inference_mode():
        computed: torch.Tensor = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits
    return computed[0]


def _load_tuned(base: Any, folder: Path, probe: list[int]) -> tuple[Any, dict[str, Any]]:
    """The tuned model, and the check that the base is unchanged: {base_is_base, tuned_differs, sentence}."""
    import torch

    before = logits(base, probe)
    if (folder / "adapter_config.json").is_file():
        tuned = model_folder.attach_adapter(_twin(base), folder)
        with tuned.disable_adapter():
            off = logits(tuned, probe)
    else:
        tuned = model_folder.load(folder, base.dtype).to(base.device)
        off = before
    if not (torch.equal(before, off) and torch.equal(before, logits(base, probe))):
        raise ChatFailed(
            "The two models can't be compared.",
            "With the adapter switched off, the tuned model does not give the same results as the base model.",
            "Train again. If the problem remains, the model's files are damaged.",
        )
    if torch.equal(before, logits(tuned, probe)):
        raise ChatFailed(
            "The tuned model is the same as the base model.",
            "The result of the run has no effect: both models compute exactly the same numbers.",
            "Train again with more examples, more epochs or a higher learning rate.",
        )
    sentence = (
        f"Checked: with the training switched off, all {before.numel():,} numbers that the model computes for a test "
        "question are exactly those of the base model; with it switched on, they differ."
    )
    return tuned, {"base_is_base": True, "tuned_differs": True, "sentence": sentence}


def _twin(model: Any) -> Any:
    """A copy of the modules that shares every weight and buffer with `model`."""
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, shared)


def _step(model: Any, ids: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
    """The logits (vocabulary, on the CPU, fp32) after `ids`, and the cache grown by them."""
    import torch

    with torch.inference_mode():
        out = model(input_ids=torch.tensor([ids], device=model.device), cache=cache, use_cache=True, logits_to_keep=1)
    return out.logits[0, -1].float().cpu(), out.cache


def _pick(last: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token: the likeliest at temperature 0, else sampled from the likeliest that add up to `top_p`."""
    import torch

    if not torch.isfinite(last.max()):
        raise ChatFailed(
            "The model computed an invalid number.",
            "Its weights are damaged, or the training diverged.",
            "Check the run's loss curve, and train again with a lower learning rate.",
        )
    if sampling.temperature <= 0:
        return int(last.argmax())
    likely, ids = torch.softmax(last / sampling.temperature, dim=-1).sort(descending=True)
    likely[likely.cumsum(-1) - likely >= sampling.top_p] = 0  # the first always stays
    return int(ids[torch.multinomial(likely, 1, generator=generator)])


def _device(model: Path) -> str:
    """ "cuda" if weights and answer fit in the GPU's free memory, else "cpu"."""
    import psutil
    import torch

    needed = model_folder.weight_bytes(model) * 1.3
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > needed:
        return "cuda"
    available = psutil.virtual_memory().available
    if available < needed:
        raise NotEnough(
            "There is not enough memory to chat with this model now.",
            f"It needs about {int(needed) >> 20} MiB and {available >> 20} MiB are free.",
            "Close other programs, or wait until the training has finished.",
        )
    return "cpu"


def _load_fastest(folder: Path, device: str) -> Any:
    """The model in its fastest dtype; on a processor a few steps in each are timed."""
    import psutil
    import torch

    if device == "cuda":
        native = torch.cuda.get_device_capability() >= (8, 0)
        return model_folder.load(folder, torch.bfloat16 if native else torch.float16).to(device)
    model = model_folder.load(folder, torch.bfloat16)
    if psutil.virtual_memory().available < 3 * model.get_memory_footprint():
        return model
    seconds_bf16 = _seconds_per_token(model)
    model = model_folder.load(folder, torch.float32)
    if seconds_bf16 >= _BF16_GAIN * _seconds_per_token(model):
        return model
    return model_folder.load(folder, torch.bfloat16)  # .to() would also round the rotary frequencies


def _seconds_per_token(model: Any, steps: int = 3) -> float:
    """The fastest of a few steps, which other work on the machine disturbs least."""
    _, cache = _step(model, [0] * 8, None)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        _, cache = _step(model, [0], cache)
        times.append(time.perf_counter() - start)
    return min(times)
