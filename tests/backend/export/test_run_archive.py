"""A zip file of everything on another computer: the same model in My models, or a
refusal and nothing stored.
"""

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import ApprenticeError, BadInput
from backend.export import run_archive, take_home
from backend.files import manifest
from backend.files.json_file import write_json
from backend.models import local
from backend.models.model_folder import make_portable
from backend.runs import about
from backend.runs.conversations import read_conversations
from backend.runs.start import digest
from backend.runs.token_rows import read_rows
from backend.settings import Workspace, new_id
from backend.tokens import box
from backend.training.state.resume import base_files
from jobs.runner import Runner
from tests.backend.export.test_take_home import CHATS, with_examples
from tests.backend.synthetic import make_adapter, make_finished_run
from tests.ui.fake_records import report, report_json
from ui.records.runs import ImportedModel
from ui.services.app import App
from ui.services.machine.models import ModelImportService
from ui.web.try_it import verdict_card

MODEL = "tests/tiny"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the first computer."""
    there = tmp_path_factory.mktemp("there") / "workspace"
    folder = Workspace.open(there).runs / new_id()
    make_adapter(
        make_finished_run(folder, tiny_model, MODEL, num_train_epochs=5), tiny_model
    )
    with_examples(folder)
    about.write(folder, "Orders", "the good one")
    write_json(folder / "base.json", base_files(tiny_model))
    result = {"best_step": 3, "eval_loss": 0.5, "x": [], "eval_step": 10**400}
    write_json(folder / "status.json", {"state": "completed", "result": result})
    line = json.dumps(
        {"time": 1.0, "attempt": 1, "kind": "eval", "data": {"step": 3, "loss": 0.5}}
    )
    (folder / "events.jsonl").write_text(
        f"{line}\n{line[:40]}\n{line}\n", "utf-8"
    )  # a power cut tore the second
    return folder


@pytest.fixture(scope="module")
def archive(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip file, without the parts that an import doesn't read."""
    out = tmp_path_factory.mktemp("out")
    shutil.copytree(folder / "result" / "adapter", out / "tiny-adapter")
    make_portable(out / "tiny-adapter", MODEL)
    run_archive.write(
        out,
        local.read_run(folder),
        folder,
        "Orders",
        report().elsewhere(),
        "the good one",
    )
    manifest.write(out, {})
    take_home.pack(out, out / "tiny-everything.zip", "tiny")
    return out / "tiny-everything.zip"


@pytest.fixture
def here(tmp_path: Path, tiny_model: Path) -> Workspace:
    """The other computer, which has the base model."""
    workspace = Workspace.open(tmp_path / "here")
    shutil.copytree(tiny_model, workspace.models / MODEL.replace("/", "--"))
    return workspace


def add(workspace: Workspace, file: Path) -> ImportedModel:
    return ModelImportService(workspace, Runner(workspace)).add(file)


def test_the_model_is_the_same_on_another_computer(
    folder: Path, archive: Path, here: Workspace
) -> None:
    app = App(here)
    found = app.model_imports.add(archive)
    new = app.runs.folder(found.run_id)
    before, spec = local.read_run(folder), app.runs.spec(found.run_id)
    assert (found.name, found.note) == ("Orders", "")
    assert (spec.settings, spec.data) == (before.settings, before.data)
    assert spec.model.path == here.models / "tests--tiny"
    assert app.runs.job(found.run_id).result == {"best_step": 3, "eval_loss": 0.5}, (
        "numbers that can be shown"
    )
    assert app.results.has_model(found.run_id)
    assert digest(app.results.model_folder(found.run_id)) == digest(
        folder / "result" / "adapter"
    )
    old_rows, new_rows = (
        [
            (row.input_ids.tolist(), row.labels.tolist())
            for part in read_rows(of)
            for row in part
        ]
        for of in (folder, new)
    )
    assert (old_rows, read_conversations(new, "train")) == (new_rows, CHATS[:1])
    assert app.evaluations.judging(found.run_id)[0] == 1
    [shown] = app.runs.all()
    assert (shown.info.name, shown.note, shown.losses.saved_step) == (
        "Orders",
        "the good one",
        3,
    )
    assert (
        shown.losses.best.loss,
        app.evaluations.summaries()[found.run_id].systems["tuned"].score,
    ) == (0.5, 0.75)
    scores = app.evaluations.latest_report(found.run_id)
    assert scores.answers == report().answers
    for text in (
        "it is better than the base model",
        "It kept the rest",
        "6 of 8 right",
    ):
        assert text in verdict_card.verdict(scores)
    app.runner.delete(found.run_id)
    assert list(here.runs.iterdir()) == []


def test_it_says_that_the_base_model_is_missing_or_another_one(
    archive: Path, here: Workspace
) -> None:
    base = here.models / "tests--tiny"
    (base / "tokenizer.json").write_text(
        (base / "tokenizer.json").read_text("utf-8") + " ", "utf-8"
    )
    other = add(here, archive).note
    shutil.rmtree(base)
    missing = add(here, archive).note
    assert other != missing
    assert MODEL in missing


def test_what_macos_adds_to_a_zip_file_is_passed_over(
    archive: Path, here: Workspace
) -> None:
    of_a_mac = Path(shutil.copy(archive, here.root / "mac.zip"))
    with zipfile.ZipFile(of_a_mac, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr("__MACOSX/tiny/._MANIFEST.json", b"\x00\x05\x16\x07" * 50)
    assert add(here, of_a_mac).name == "Orders"
    other = packed(
        {"photos/a.txt": b"a", "__MACOSX/._a.txt": b"\x00"},
        here.root / "other.zip",
        zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(BadInput, match="Everything in one file"):
        add(here, other)


def listed(files: Files, name: str, content: bytes) -> Files:
    """The files with another one of them, which the manifest knows: a careful attacker."""
    import hashlib

    about_files, digest_of = (
        json.loads(files["tiny/MANIFEST.json"]),
        hashlib.sha256(content).hexdigest(),
    )
    about_files["files"][name.partition("/")[2]] = {
        "bytes": len(content),
        "sha256": digest_of,
    }
    return {
        **files,
        name: content,
        "tiny/MANIFEST.json": json.dumps(about_files).encode(),
    }


def run_with(
    files: Files, result: dict[str, Any] | None = None, **changes: Any
) -> Files:
    """The files with changes of the run's spec, or with another result."""
    run = json.loads(files["tiny/apprentice/run.json"])
    changed = {
        **run,
        "spec": run["spec"] | changes,
        **({"result": result} if result else {}),
    }
    return listed(files, "tiny/apprentice/run.json", json.dumps(changed).encode())


def adapter_with(files: Files, **changes: Any) -> Files:
    name = "tiny/tiny-adapter/adapter_config.json"
    return listed(
        files, name, json.dumps({**json.loads(files[name]), **changes}).encode()
    )


def rows_of(rows: int) -> bytes:
    import numpy as np
    from safetensors.numpy import save

    parts = [
        f"{part}.{side}"
        for part in ("train", "validation")
        for side in ("chosen", "rejected")
    ]
    empty = {
        f"{part}.{name}": np.zeros(0, np.int32)
        for part in parts
        for name in ("lengths", "input_ids", "labels")
    }
    return save({**empty, "train.chosen.lengths": np.full(rows, 2**31 - 1, np.int32)})


def report_with(files: Files, **changes: Any) -> Files:
    return listed(
        files,
        "tiny/apprentice/evaluation.json",
        json.dumps({**report_json(), **changes}).encode(),
    )


def with_numbers(files: Files, *, kept: int = 1, **changes: float | None) -> Files:
    """A report that is accepted unless its perplexity, words of an answer, loss, or
    kept questions are wrong.
    """
    system = {
        "score": 1.0,
        "interval": [None, None],
        "words": 1.0,
        "loss": 1.0,
        **changes,
    }
    general, systems = (
        {**report_json()["general"], "kept": kept},
        {"base": system, "tuned": system},
    )
    return report_with(
        files, main_measure="perplexity", systems=systems, general=general
    )


WEIGHTS, LEARNED = "tiny/tiny-adapter/adapter_model.safetensors", "tiny/tiny-adapter/"


def header_with(files: Files, change: Callable[[dict[str, Any]], Any]) -> Files:
    """The same bytes behind another header."""
    data = files[WEIGHTS]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return listed(
        files, WEIGHTS, len(text).to_bytes(8, "little") + text + data[8 + length :]
    )


def weights_with(files: Files, change: Callable[[dict[str, Any]], Any]) -> Files:
    """Other weights in a sound file."""
    from safetensors.numpy import load, save

    weights = load(files[WEIGHTS])
    change(weights)
    return listed(files, WEIGHTS, save(weights))


def shifted(files: Files) -> Files:
    """Weights after a gap of eight bytes, which the safetensors package refuses."""

    def shift(header: dict[str, Any]) -> None:
        for name in header.keys() - {"__metadata__"}:
            header[name]["data_offsets"] = [
                at + 8 for at in header[name]["data_offsets"]
            ]

    files = header_with(files, shift)
    return listed(files, WEIGHTS, files[WEIGHTS] + bytes(8))


def overlap(header: dict[str, Any]) -> None:
    first, second = sorted(
        (name for name in header if name[0] != "_"),
        key=lambda n: header[n]["data_offsets"],
    )[:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]


def widen(weights: dict[str, Any]) -> None:
    name = next(name for name in weights if "lora_A" in name)
    weights[name] = weights[name].repeat(2, axis=1)


MANY: list[Any] = [[]] * 10**6
# Read as UTF-8, its letter ends the text, and the brackets are in one.
DEEP = ('{"Ȣ": ' + "[" * 100_000).encode("utf-16-le")
ENDLESS = (
    b"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
)
ROWS = "tiny/apprentice/rows.safetensors"
NAMES = {
    "parent": "tiny/../../escaped", "absolute": "/tmp/escaped", "drive": "tiny/C:escaped", "hidden": "tiny/.bashrc",
    "backslash": "tiny\\..\\escaped", "two folders": "other/README.md",
}  # fmt: skip
HOSTILE: dict[str, Callable[[Files], Files]] = {
    **{kind: lambda files, name=name: {**files, name: b""} for kind, name in NAMES.items()},  # type: ignore[misc]
    "pickle": lambda files: listed(files, "tiny/tiny-adapter/adapter_model.bin", b"\x80\x04."),
    "numpy pickle": lambda files: listed(files, "tiny/apprentice/rows.NPY", b""),
    "same name": lambda files: {
        **files, "tiny/Tiny-adapter/adapter_config.json": b"", "tiny/APPRENTICE/run.json": b"",
    },
    "not listed": lambda files: {**files, "tiny/MANIFEST.json": b'{"files": {}}'},
    "changed": lambda files: {**files, ROWS: files[ROWS][:-1] + b"\x07"},
    "missing": lambda files: {name: data for name, data in files.items() if name != ROWS},
    "no run": lambda files: {"tiny/README.md": b"hello"},
    "deep in UTF-16": lambda files: {**files, "tiny/MANIFEST.json": DEEP},
    "unknown setting": lambda files: run_with(files, settings={"method": "lora", "evil": 1}),
    "model elsewhere": lambda files: run_with(files, model={"id": "../../etc", "revision": ""}),
    "version elsewhere": lambda files: run_with(files, descent={"first": "../x", "parent": "../x", "version": 2}),
    "rows that lie": lambda files: listed(files, ROWS, rows_of(3)),
    "other rows": lambda files: listed(files, ROWS, rows_of(0)),
    "no rows": lambda files: listed(files, ROWS, b"PAR1"),
    "expression": lambda files: adapter_with(files, target_modules="(a+)+$"),
    "no weights": lambda files: listed(files, WEIGHTS, b""),
    "weights that are a pickle": lambda files: listed(files, WEIGHTS, b"\x80\x04." + bytes(100)),
    "a header without end": lambda files: listed(files, WEIGHTS, (1 << 63).to_bytes(8, "little") + b"{}"),
    "a deep header in UTF-16": lambda files: listed(files, WEIGHTS, len(DEEP).to_bytes(8, "little") + DEEP),
    "half of the weights": lambda files: listed(files, WEIGHTS, files[WEIGHTS][:-1000]),
    "overlapping weights": lambda files: header_with(files, overlap),
    "bytes before the weights": shifted,
    "weights without a shape": lambda files: header_with(files, lambda header: header.popitem()),
    "another part": lambda files: weights_with(
        files, lambda weights: weights.update(evil=next(iter(weights.values())))
    ),
    "another width": lambda files: weights_with(files, widen),
    "more layers than the base": lambda files: weights_with(files, lambda weights: weights.update(
        {name.replace(".layers.0.", ".layers.999."): weights[name] for name in weights if ".layers.0." in name}
    )),
    **{f"rank {rank}": partial(adapter_with, r=rank) for rank in (10**7, 10**9, 0, 8, "x", True, None)},
    **{f"alpha {alpha}": partial(adapter_with, lora_alpha=alpha) for alpha in (1e308, -1, math.inf, "x", None)},
    "no tokenizer": lambda files: listed(files, LEARNED + "tokenizer.json", b"{}"),
    "an endless template": lambda files: listed(files, LEARNED + "chat_template.jinja", ENDLESS),
    "rows that are no text": lambda files: listed(files, "tiny/apprentice/train.jsonl", bytes(range(256))),
    "a row of a million lists": lambda files: listed(files, "tiny/apprentice/train.jsonl", b"[" + b"[]," * 10**6),
    "a run of a million lists": lambda files: run_with(files, {"x": MANY}),
    "an adapter of a million lists": lambda files: adapter_with(files, x=MANY),
    "weights with a million lists": lambda files: header_with(files, lambda header: header.update(__metadata__=MANY)),
    "an event of a million lists": lambda files: listed(
        files, "tiny/apprentice/events.jsonl", json.dumps({"x": MANY}).encode()
    ),
    "a row of quotes": lambda files: listed(files, "tiny/apprentice/train.jsonl", b"[]," * 99 + b'\\"' * 10**6),
    "other adapter": lambda files: adapter_with(files, peft_type="VERA"),
    "result with a broken number": lambda files: run_with(files, {"peak_memory_mib": 12.5}),
    "no report": lambda files: listed(files, "tiny/apprentice/evaluation.json", b"[]"),
    "report of another measure": lambda files: report_with(files, main_measure="beauty"),
    "report without scores": lambda files: report_with(files, systems={}),
    "report with a text for a number": lambda files: report_with(files, items="8"),
    **{
        f"report with {number} as perplexity": partial(with_numbers, score=number)
        for number in (math.inf, math.nan, 1e308, None)
    },
    **{
        f"report with {name} {number}": partial(with_numbers, **{name: number})
        for name, number in (("words", math.nan), ("words", -1), ("loss", math.nan), ("loss", -1e300), ("kept", 99))
    },
    "report with the previous version as a system": lambda files: report_with(
        files, systems={**report_json()["systems"], "parent": report_json()["systems"]["base"]}
    ),
    "report with a finding without its example": lambda files: report_with(files, findings=[{"kind": "memorized"}]),
    "report without the answers of a system": lambda files: report_with(
        files,
        systems={**report_json()["systems"], "prompt": report_json()["systems"]["base"]},
        answers=[{**one, "scores": {**one["scores"], "prompt": 0.0}} for one in report_json()["answers"]],
    ),
    "no JSON": lambda files: listed(files, "tiny/tiny-adapter/tokenizer_config.json", b"[" * 100_000),
    "code of its own": lambda files: listed(
        files, "tiny/tiny-adapter/tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": "evil.py"}}'
    ),
}  # fmt: skip


def packed(files: Files, file: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, content in files.items():
            written.writestr(zipfile.ZipInfo(name), content, compression)
    return file


def content(archive: Path) -> Files:
    with zipfile.ZipFile(archive) as read:
        return {name: read.read(name) for name in read.namelist()}


def refused(workspace: Workspace, file: Path) -> None:
    """Asserts that nothing of the file is stored."""
    with pytest.raises(ApprenticeError) as error:
        add(workspace, file)
    assert error.value.why
    assert list(workspace.runs.iterdir()) == []
    assert not list(workspace.root.parent.rglob("escaped"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused(
    kind: str,
    archive: Path,
    here: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(box, "SECONDS", 1.0)
    refused(here, packed(HOSTILE[kind](content(archive)), tmp_path / "x.zip"))


def test_a_report_with_plain_numbers_is_accepted(
    archive: Path, here: Workspace, tmp_path: Path
) -> None:
    assert (
        add(here, packed(with_numbers(content(archive)), tmp_path / "x.zip")).name
        == "Orders"
    )


def test_bombs_links_and_rubbish_are_refused(
    archive: Path, here: Workspace, tmp_path: Path
) -> None:
    files = content(archive)
    refused(
        here,
        packed(
            {**files, "tiny/zeros.txt": bytes(1 << 20)},
            tmp_path / "a.zip",
            zipfile.ZIP_DEFLATED,
        ),
    )
    linked = packed(files, tmp_path / "b.zip")
    with zipfile.ZipFile(linked, "a") as written:
        link = zipfile.ZipInfo("tiny/tiny-adapter/tokenizer.model")
        link.external_attr = 0o120777 << 16
        written.writestr(link, "/etc/passwd")
    refused(here, linked)
    many = {**files, **{f"tiny/{number}": b"" for number in range(1001)}}
    refused(here, packed(many, tmp_path / "c.zip"))
    for name, data in {
        "d": b"",
        "e": b"PK\x03\x04",
        "f": archive.read_bytes()[:-100],
    }.items():
        (tmp_path / f"{name}.zip").write_bytes(data)
        refused(here, tmp_path / f"{name}.zip")
    refused(here, tmp_path / "none.zip")
    locked = bytearray(archive.read_bytes())
    locked[locked.index(b"PK\1\2") + 8] |= 1  # the flag of a password
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(BadInput, match="password"):
        add(here, tmp_path / "locked.zip")


def test_what_an_adapter_of_ours_never_has_is_left_out(
    archive: Path, here: Workspace, tmp_path: Path
) -> None:
    evil = adapter_with(
        content(archive),
        megatron_config={},
        megatron_core="this",
        auto_mapping={"a": "b"},
    )
    found = add(here, packed(evil, tmp_path / "x.zip"))
    config = json.loads(
        (
            here.runs / found.run_id / "result" / "adapter" / "adapter_config.json"
        ).read_text("utf-8")
    )
    assert config.keys() == {
        "peft_type", "task_type", "r", "lora_alpha", "base_model_name_or_path", "target_modules",
    }  # fmt: skip


def test_a_full_disk_leaves_nothing(
    archive: Path, here: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_archive.shutil, "disk_usage", lambda path: SimpleNamespace(free=10 << 20)
    )
    refused(here, archive)
