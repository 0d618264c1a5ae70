"""A run folder with a tiny random Llama and a toy task: the whole training path takes a
second or two.
"""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.files.json_file import read_json
from backend.models.local import learned
from backend.records.encoded import Encoded
from backend.records.events import Event
from backend.records.rows import Row
from backend.records.specs import DataRef, Descent, ModelRef, RunSpec, TrainSettings
from backend.runs import division, start
from backend.runs.prepare import encode_pairs
from backend.runs.token_rows import list_files, write_rows
from backend.settings import PROJECT_ROOT
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.session import STEP_PHASES

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = [f"w{i}" for i in range(40)]
SPECIALS = ["<pad>", "<|user|>", "<|assistant|>", "<|end|>"]

_SHAPES = read_json(
    PROJECT_ROOT / "tests" / "data" / "tiny_models.json"
)  # by model_type


def make_model(folder: Path, kind: str = "llama", **config: Any) -> Path:
    """A model of 2 layers and width 64 with random weights (seed 0), saved as
    safetensors with its tokenizer.

    kind: its model_type, one of _SHAPES. config: values of its configuration. Models
    with a `text_config` also have eyes: they are saved whole.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    words = [*SPECIALS, *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(SPECIALS)
    torch.manual_seed(0)
    shape = {"vocab_size": len(words), **_SHAPES[kind], **config}
    classes: Any = AutoModelForCausalLM
    if "text_config" in shape:
        classes = AutoModelForImageTextToText
        text = {"vocab_size": len(words), **shape["text_config"]}
        shape = {"text_config": text, "vision_config": shape["vision_config"]}
    model = classes.from_config(
        AutoConfig.for_model(kind, **shape), dtype=torch.float32
    )
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<pad>",
        "chat_template": TEMPLATE,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    return folder


def conversations(count: int, seed: int = 0) -> list[list[dict[str, str]]]:
    """The toy task: answer with the words of the question reversed; 2 to 6 words."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        words = draw.sample(WORDS[:8], draw.randint(2, 6))
        answer = " ".join(reversed(words))
        made.append(
            [
                {"role": "user", "content": " ".join(words)},
                {"role": "assistant", "content": answer},
            ]
        )
    return made


@dataclass
class FakeWork:
    """A job's context that records events and phases, and requests a stop after the
    step `stop_at`, or in the phase with the words `stop_in`.
    """

    folder: Path
    spec: dict[str, Any]
    attempt: int = 1
    short_of_memory: bool = False
    stop_at: int | None = None
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    heartbeats: int = 0
    workspace: Any = None
    stop_in: str = ""
    oom_resets: int = 0
    _steps: int = 0

    def emit(self, event: Event) -> None:
        json.dumps(event.data())  # must be JSON
        self.events.append((event.kind, event.data()))

    def progress(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
        detail: str = "",
    ) -> None:
        self.phases.append(phase)
        self.details += [detail] if detail else []
        self.left += [] if seconds_left is None else [seconds_left]
        self._steps = done if phase in STEP_PHASES else self._steps

    def alive(self) -> None:
        self.heartbeats += 1

    def should_stop(self) -> bool:
        """Called after each step, before it is reported: the current step is one more
        than the last reported.
        """
        if self.stop_in:
            return any(self.stop_in in phase for phase in self.phases)
        return self.stop_at is not None and self._steps + 1 >= self.stop_at

    def reset_oom_count(self) -> None:
        self.oom_resets += 1

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]

    def losses(self) -> dict[int, float]:
        return {data["step"]: data["loss"] for data in self.events_of("step")}


def make_run(
    folder: Path, model: Path, *, rows: int = 40, validation: int = 8, **settings: Any
) -> FakeWork:
    """A run folder as the services create it, with the toy task."""
    tokenizer = ChatTokenizer.load(model)
    data = [tokenizer.encode(messages) for messages in conversations(rows + validation)]
    return run_of(folder, model, data[:rows], data[rows:], **settings)


def weights(folder: Path) -> dict[str, Any]:
    """The tensors of all files of weights in a folder, by name."""
    from safetensors.torch import load_file

    return {
        name: tensor
        for file in folder.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def saved(work: FakeWork) -> bytes:
    """What a run has learned: its file of weights, whole."""
    [file] = (work.folder / "result").rglob("*.safetensors")
    return file.read_bytes()


def continue_from(first: FakeWork, work: FakeWork) -> None:
    """Makes a run start from the weights of another one, which has ended."""
    saved = learned(first.folder, first.spec["settings"]["method"])
    weights = start.digest(saved)
    start.copy(first.folder, saved, work.folder, weights)
    list_files(work.folder)
    name = first.folder.name
    work.spec["descent"] = Descent(
        first=name, parent=name, version=2, weights=weights
    ).model_dump()


def pairs(count: int, seed: int = 0) -> list[Row]:
    """The toy task as preference pairs: the worse answers have the same length and
    words that no question has.
    """
    made = []
    for number, (question, answer) in enumerate(conversations(count, seed), 1):
        other = {"role": "assistant", "content": answer["content"].replace("w", "w2")}
        made.append(Row(number, number, [question, answer], [other]))
    return made


def make_pairs_run(
    folder: Path, model: Path, *, rows: int = 24, validation: int = 8, **settings: Any
) -> FakeWork:
    """A run folder with the toy task as preference pairs."""
    encoded = encode_pairs(ChatTokenizer.load(model), pairs(rows + validation))
    data = [row for row in encoded if isinstance(row, Encoded)]
    return run_of(folder, model, data[:rows], data[rows:], trainer="dpo", **settings)


def run_of(
    folder: Path,
    model: Path,
    train: list[Encoded],
    validation: list[Encoded],
    **settings: Any,
) -> FakeWork:
    """A run folder with the given rows."""
    chosen = {
        "precision": "fp32",
        "lora_dropout": 0.1,
        "learning_rate": 5e-3,
        **settings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    division.write(folder, [])
    write_rows(folder, train, validation)
    spec = RunSpec(
        name="toy",
        model=ModelRef(id="tests/tiny", path=model),
        data=DataRef(
            name="toy.jsonl", sha256="", train_rows=len(train), validation_rows=len(validation),
            train_tokens=sum(row.tokens for row in train), learned_tokens=sum(row.learned for row in train),
            longest=max((row.tokens for row in train), default=0),
            held_out_prompts=(({"role": "user", "content": "w1 w2"},),), held_out_answers=("w2 w1",),
        ),
        settings=TrainSettings.model_validate(chosen),
    )  # fmt: skip
    return FakeWork(folder, spec.model_dump(mode="json"))
