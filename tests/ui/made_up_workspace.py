"""A made-up workspace: examples with four problems, and a run that is done, one that
trains, and one that was interrupted. The app's own stores write it, once; each test
works on a copy.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from backend.files import manifest
from backend.hardware import Probe, describe
from backend.models import bundled
from backend.records.events import Event
from backend.records.machine import Cpu, Gpu, Hardware
from backend.records.specs import TrainSettings
from backend.records.training import TrainingResult
from backend.runs.conversations import write_conversations
from backend.runs.token_rows import list_files
from backend.settings import SAMPLES, Workspace
from jobs.events import EventLog
from jobs.folder import JobFolder
from jobs.records import Progress, State
from tests.backend.synthetic import make_adapter
from tests.ui.fake_records import DATA, events, report
from ui.services.app import App

ROWS = 60
FAULTS = ("empty_answer", "duplicate", "no_assistant")  # each can be fixed
LAMPS = (2, 4, 30)  # the examples about lamps
RUNS = {"run-a": State.COMPLETED, "run-b": State.RUNNING, "run-c": State.INTERRUPTED}
RTX_4060 = Gpu(
    name="NVIDIA GeForce RTX 4060 Laptop GPU",
    memory_total_mib=8188,
    memory_free_mib=5400,
)
MEMORY = {
    "memory_total_mib": 32768,
    "memory_available_mib": 28000,
    "disk_free_mib": 194560,
}
HARDWARE = Hardware(gpus=(RTX_4060,), cpu=Cpu(cores=8), **MEMORY)
PROBE = Probe(hardware=HARDWARE, sentences=tuple(describe(HARDWARE)))
MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful AI assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def examples() -> list[list[dict[str, str]]]:
    """The first of the sample, each with its number. 18 and 51 have no answer, 40 is
    the same as 12, and 57 ends with a question.
    """
    lines = (
        (SAMPLES / "orders.jsonl")
        .read_text("utf-8")
        .replace("lamp", "rug")
        .splitlines()[:ROWS]
    )
    chats: list[list[dict[str, str]]] = [json.loads(line)["messages"] for line in lines]
    for number, chat in enumerate(chats, 1):
        chat[0]["content"] = f"order 77{number:03}: {chat[0]['content']}" + (
            " And lamps!" if number in LAMPS else ""
        )
    for number in (18, 51):
        chats[number - 1][1]["content"] = ""
    chats[40 - 1] = chats[12 - 1]
    del chats[57 - 1][1]
    return chats


def write(root: Path) -> None:
    """Writes it into a folder that does not exist."""
    workspace = Workspace.open(root)
    _write_model(bundled.folder(workspace))
    (root / "orders.jsonl").write_text(
        "".join(json.dumps({"messages": chat}) + "\n" for chat in examples())
    )
    app = App(workspace)
    app.models._probe = PROBE
    app.dataset_store.add(root / "orders.jsonl", "orders.jsonl", data_id=DATA)
    for kind in FAULTS:
        app.fixes.accept(DATA, kind, "all")
    for run_id, state in RUNS.items():
        started = app.planning.start(DATA, "", TrainSettings(), "Orders to fields")
        workspace.run_folder(started).rename(workspace.run_folder(run_id))
        add_events(workspace.run_folder(run_id), events(74))
        end(workspace, run_id, state)
        asked = [
            [("user", answer.question), ("assistant", answer.expected)]
            for answer in report().answers
        ]
        held_out = [
            [{"role": role, "content": text} for role, text in chat] for chat in asked
        ]
        write_conversations(workspace.run_folder(run_id), "held_out", held_out)
        list_files(workspace.run_folder(run_id))
    for kind in FAULTS:
        app.fixes.undo(DATA, kind)
    app.close()


def copy(template: Path, root: Path) -> None:
    """Copies a made-up workspace; only the weights, which nothing changes, are links."""

    def link_weights(source: str, target: str) -> None:
        (os.link if source.endswith(".safetensors") else shutil.copyfile)(
            source, target
        )

    shutil.copytree(template, root, copy_function=link_weights)


def end(workspace: Workspace, run_id: str, state: State, **changes: Any) -> None:
    """Makes a run be in this state, at step 74 of 81; with a model if it completed or
    was stopped.
    """
    folder, now = JobFolder(workspace.run_folder(run_id)), time.time()
    folder.stop.unlink(missing_ok=True)
    about: dict[str, Any] = {
        "started": now - 240,
        "progress": Progress(phase="Training", done=74, total=81, seconds_left=80),
    }
    if state.is_terminal:
        about["ended"] = now
    if state in (State.COMPLETED, State.STOPPED):
        about["result"] = TrainingResult(best_step=72).to_json()
        save_model(folder.path)
    folder.write_status(folder.status().changed(state=state, **{**about, **changes}))


def add_run(
    workspace: Workspace, run_id: str, state: State, name: str = "", **changes: Any
) -> None:
    """Another run on the same examples. changes: of its status."""
    copied, now = workspace.run_folder(run_id), time.time()
    shutil.copytree(workspace.run_folder("run-c"), copied)
    about = {"kind": "train", "name": name or "Orders to fields", "created": now}
    (copied / "job.json").write_text(json.dumps(about))
    end(workspace, run_id, state, **changes)


def respec(workspace: Workspace, run_id: str, **changes: Any) -> None:
    """Changes what defines a run."""
    file = workspace.run_folder(run_id) / "spec.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def save_model(run_folder: Path) -> None:
    """The adapter that a training saves."""
    made = run_folder / "result" / "adapter"
    if not made.exists():
        make_adapter(made, bundled.folder(Workspace(run_folder.parent.parent)))


def add_events(run_folder: Path, happened: Iterable[Event]) -> None:
    log = EventLog(JobFolder(run_folder).events, attempt=1)
    for event in happened:
        log.append(event)
    log.close()


def _write_model(folder: Path) -> None:
    """The bundled model as far as the page looks at it: with weights of its shapes that
    take no space, and a token for each byte.
    """
    matrices = {
        "self_attn.q_proj": (576, 576), "self_attn.k_proj": (192, 576), "self_attn.v_proj": (192, 576),
        "self_attn.o_proj": (576, 576), "mlp.gate_proj": (1536, 576), "mlp.up_proj": (1536, 576),
        "mlp.down_proj": (576, 1536),
    }  # fmt: skip
    layers = {
        f"model.layers.{layer}.{name}": shape
        for layer in range(30)
        for name, shape in matrices.items()
    }
    header, size = {}, 0
    for name, shape in {"model.embed_tokens": (49152, 576), **layers}.items():
        begin, size = size, size + 2 * math.prod(shape)
        header[f"{name}.weight"] = {
            "dtype": "BF16",
            "shape": shape,
            "data_offsets": (begin, size),
        }
    config = {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "dtype": "bfloat16",
        "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192,
    }  # fmt: skip
    alphabet = {
        token: at
        for at, token in enumerate(
            [*MARKERS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
        )
    }
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    tokenizer.add_special_tokens(
        [AddedToken(marker, special=True) for marker in MARKERS]
    )
    ends = {"eos_token": MARKERS[2], "pad_token": MARKERS[2], "chat_template": TEMPLATE}
    folder.mkdir(parents=True)
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(ends))
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": ""}
        for file in folder.iterdir()
    }
    (folder / manifest.NAME).write_text(
        json.dumps({"version": bundled.VERSION, "files": files})
    )
