"""The script of a run repeats its training on its own: both have the same loss curve."""

import ast
import json
import math
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.datasets.read.load import load
from backend.errors import ExportFailed, NotEnough
from backend.export import job as export_job
from backend.export import script
from backend.export.source import ExportSpec, Source
from backend.files import manifest
from backend.files.json_file import to_json
from backend.models import causal_lm, model_folder
from backend.records.encoded import Encoded
from backend.records.events import EvalEvent, StepEvent, parse
from backend.records.exports import ExportResult
from backend.records.specs import TrainSettings
from backend.records.training import TrainingResult
from backend.runs import about, own_answers, start
from backend.runs.prepare import encode_pairs
from backend.settings import PROJECT_ROOT, SAMPLES, Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import oom
from backend.training import run as train
from tests.backend.tiny_run import (
    FakeWork,
    continue_from,
    make_model,
    make_pairs_run,
    make_run,
    run_of,
)

SCRIPT = script.TEMPLATE
PAIRS = PROJECT_ROOT / "tests" / "data" / "pairs.jsonl"


def write_run(work: FakeWork) -> None:
    """Writes the files that the worker writes."""
    lines = [
        {"time": 0.0, "attempt": 1, "kind": kind, "data": data}
        for kind, data in work.events
    ]
    (work.folder / "events.jsonl").write_bytes(
        b"".join(to_json(line) + b"\n" for line in lines)
    )
    (work.folder / "spec.json").write_text(json.dumps(work.spec), "utf-8")


SPEC = {"run": "toy", "to": "script", "name": "My toy; touch x"}


def exported(workspace: Workspace) -> tuple[ExportResult, Path]:
    (folder := workspace.runs / "export").mkdir(exist_ok=True)
    result = ExportResult.model_validate(
        export_job.run(FakeWork(folder, SPEC, workspace=workspace))
    )
    [archive] = (workspace.exports / "export").iterdir()
    shutil.unpack_archive(archive, archive.parent)
    return result, archive.with_suffix("")


def losses_in(out: Path) -> dict[str, dict[int, float]]:
    lines = [
        json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()
    ]
    kinds = ("loss", "validation_loss", "learning_rate")
    return {
        kind: {line["step"]: line[kind] for line in lines if kind in line}
        for kind in kinds
    }


def trained_by_both(
    workspace: Workspace, work: FakeWork
) -> tuple[Path, dict[str, dict[int, float]]]:
    """Trains the run and its script, checks that their losses agree, and returns the
    script's folder and losses.
    """
    (work.folder / "spec.json").write_text(json.dumps(work.spec), "utf-8")
    _, folder = exported(workspace)
    train(work)
    command = [
        sys.executable,
        str(folder / "train.py"),
        "--model",
        str(work.spec["model"]["path"]),
    ]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ""},
    )
    losses = losses_in(folder / "out")
    losses_of_all = {
        step["step"]: step.get("mean_loss", step["loss"])
        for step in work.events_of("step")
    }
    assert losses["loss"] == pytest.approx(losses_of_all, abs=1e-4)
    evaluated = {event["step"]: event["loss"] for event in work.events_of("eval")}
    assert losses["validation_loss"] == pytest.approx(evaluated, abs=1e-4)
    return folder, losses


def test_the_script_repeats_the_runs_whole_loss_curve(
    workspace: Workspace, tiny_model: Path
) -> None:
    work = make_run(
        workspace.runs / "toy", tiny_model, lora_dropout=0.0, num_train_epochs=2, per_device_train_batch_size=4,
        gradient_accumulation_steps=2, weight_decay=0.1, early_stopping=False, keep_general=0.2,
    )  # fmt: skip
    own_answers.write(
        work.folder, dict.fromkeys(own_answers.prompts("en", 0), "w30 w31 w32")
    )
    folder, losses = trained_by_both(workspace, work)
    assert losses["learning_rate"] == pytest.approx(
        {e["step"]: e["learning_rate"] for e in work.events_of("step")}
    )
    assert (folder / "out" / "adapter_model.safetensors").is_file()
    assert (folder / "out" / "tokenizer.json").is_file()
    source = Source.of(workspace, ExportSpec.of(SPEC))
    for ok in (True, None):
        write_run(work)
        assert script.check_script(source, folder, folder / "trial", folder).ok is ok
        for event in work.events_of("step"):
            event.pop("mean_loss", None)  # as in a run of an earlier version


@pytest.mark.slow
def test_the_bundled_models_script_for_pairs_is_checked_in_bf16(
    workspace: Workspace, bundled_model: Path
) -> None:
    rows = load(PAIRS).rows[:6]
    pairs = [
        row
        for row in encode_pairs(ChatTokenizer.load(bundled_model), rows)
        if isinstance(row, Encoded)
    ]
    work = run_of(
        workspace.runs / "toy", bundled_model, pairs, [], trainer="dpo", max_steps=4, precision="bf16",
        learning_rate=5e-5, warmup_ratio=0.0, lora_dropout=0.0, per_device_train_batch_size=2,
    )  # fmt: skip
    train(work)
    write_run(work)
    result, folder = exported(workspace)
    assert result.same.ok is True
    assert "gradient norm" in result.same.sentence
    other = (folder / "train.py").read_text().replace("\nBETA = 0.1", "\nBETA = 0.15")
    (folder / "train.py").write_text(other)
    source = Source.of(workspace, ExportSpec.of(SPEC))
    assert script.check_script(source, folder, folder / "trial", folder).ok is False
    assert not (folder / "trial.zip").exists(), (
        "three of four steps are no result to import"
    )


@pytest.mark.slow
def test_the_bundled_models_script_passes_its_check(
    workspace: Workspace, bundled_model: Path
) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    lines = (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()[:20]
    rows = [tokenizer.encode(json.loads(line)["messages"]) for line in lines]
    work = run_of(
        workspace.runs / "toy",
        bundled_model,
        rows,
        [],
        max_steps=4,
        precision="auto",
        lora_dropout=0.0,
    )
    train(work)
    write_run(work)
    result, _ = exported(workspace)
    assert result.same.ok is True
    assert "first 3 steps" in result.same.sentence


@pytest.mark.parametrize(
    ("shift", "used", "ok"),
    [
        ({}, "lora", True), ({"loss": 0.2}, "lora", False), ({"loss": 0.2}, "qlora", None), ({}, "dpo", True),
        ({"loss": 0.2}, "dpo", False), ({"grad_norm": 0.2}, "dpo", False),
    ],
)  # fmt: skip
def test_a_script_with_another_loss_or_gradient_is_not_exported(
    workspace: Workspace, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shift: dict[str, float],
    used: str, ok: bool | None,
) -> None:  # fmt: skip
    """A stand-in for the script reports the run's steps, with a shifted second loss or
    first gradient norm.
    """
    work = (make_pairs_run if used == "dpo" else make_run)(
        workspace.runs / "toy", tiny_model
    )
    if used == "qlora":
        oom.save_settings(
            work.folder, TrainSettings(**work.spec["settings"]).changed(method=used)
        )
    work.events = [
        ("step", {"step": step, "loss": 2.0, "grad_norm": 2.0}) for step in (1, 2, 3)
    ]
    write_run(work)
    lines = [dict(data) for _, data in work.events]
    for figure, by in shift.items():
        lines[figure == "loss"][figure] += by
    stand_in = tmp_path / "train.py"
    stand_in.write_text(
        "import pathlib, sys\n# settings\n# end of settings\nout = pathlib.Path(sys.argv[-1])\nout.mkdir()\n"
        f"(out / 'losses.jsonl').write_text({chr(10).join(map(json.dumps, lines))!r})\n"
    )
    monkeypatch.setattr(script, "TEMPLATE", stand_in)
    result, folder = exported(workspace)
    assert ("METHOD" if used != "dpo" else "TRAINER") + f' = "{used}"' in (
        folder / "train.py"
    ).read_text()
    [check] = result.checks
    assert check.ok is ok
    assert ("2.2000 and 2.0000" if ok is False else "first 3 steps") in check.sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3},
            id="lora",
        ),
        pytest.param({"method": "full", "learning_rate": 1e-3}, id="full"),
    ],
)
def test_for_pairs_too_the_script_repeats_the_runs_whole_loss_curve(
    workspace: Workspace, tiny_model: Path, settings: dict[str, Any]
) -> None:
    work = make_pairs_run(
        workspace.runs / "toy", tiny_model, beta=0.3, lora_dropout=0.0, num_train_epochs=2, early_stopping=False,
        **settings,
    )  # fmt: skip
    folder, losses = trained_by_both(workspace, work)
    assert losses["loss"][1] == pytest.approx(
        0.6931, abs=1e-4
    )  # ln 2: neither answer has gained yet
    pair = json.loads((folder / "data" / "train.jsonl").read_text().splitlines()[0])
    assert (
        pair["better"]["text"].partition("<|assistant|>")[0]
        == pair["worse"]["text"].partition("<|assistant|>")[0]
    )
    assert pair["better"]["text"] != pair["worse"]["text"]


def test_its_settings_packages_and_rows_are_readable(
    workspace: Workspace, tiny_model: Path
) -> None:
    work = make_run(workspace.runs / "toy", tiny_model)
    (work.folder / "spec.json").write_text(json.dumps(work.spec), "utf-8")
    about.write(work.folder, "Toy", "for me only")
    result, folder = exported(workspace)
    assert json.loads((folder / "apprentice" / "run.json").read_text())["note"] == ""
    assert [check.ok for check in result.checks] == [None]
    text = (folder / "train.py").read_text()
    assert "\nLORA_RANK = 8\n" in text
    header = text.partition('# ///\n"""')[0]
    assert '#     "torch>=' in header
    assert "gradio" not in text
    row = json.loads((folder / "data" / "train.jsonl").read_text().splitlines()[0])
    ((start, end),) = row["learn"]
    assert row["text"].startswith("<|user|>")
    assert 0 < start < end <= len(row["input_ids"])
    assert [file.name for file in result.files] == ["my-toy-touch-x-script.zip"]
    assert manifest.digest(folder.with_suffix(".zip")) == result.files[0].sha256


@pytest.mark.parametrize(
    ("model_id", "name", "commit"),
    [("owner/name", "owner/name", "b" * 40), ("local/mine-123456", "", "")],
)
def test_it_names_the_base_model_and_its_commit(
    workspace: Workspace,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_id: str,
    name: str,
    commit: str,
) -> None:
    work = make_run(workspace.runs / "toy", tiny_model)
    work.spec["model"] |= {"id": model_id, "revision": commit}
    write_run(work)
    _, folder = exported(workspace)
    text = (folder / "train.py").read_text()
    assert f'\nMODEL = "{name}"' in text
    assert f'\nREVISION = "{commit}"' in text
    requested: dict[str, Any] = {}

    def load(model: str, **options: Any) -> None:
        requested.update(model=model, **options)
        raise InterruptedError

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    names = runpy.run_path(str(folder / "train.py"))
    with pytest.raises(InterruptedError if name else SystemExit):
        names["build"](names["arguments"]().model, "cpu", None)
    assert (requested.get("model", ""), requested.get("revision", "")) == (name, commit)


def test_it_loads_the_language_part_of_a_model_that_also_sees(tmp_path: Path) -> None:
    import torch

    model = make_model(tmp_path / "model", "mistral3")
    names = runpy.run_path(str(SCRIPT))
    names["build"].__globals__.update(
        METHOD="full", RENAMED=causal_lm.key_mapping(model)
    )
    built, expected = (
        names["build"](str(model), "cpu", torch.float32),
        model_folder.load(model, torch.float32),
    )
    assert all(
        torch.equal(weight, built.state_dict()[name])
        for name, weight in expected.state_dict().items()
    )


def test_the_disk_needs_room_for_the_model_that_the_check_of_a_full_run_saves(
    workspace: Workspace, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(make_run(workspace.runs / "toy", tiny_model, method="full"))
    monkeypatch.setattr(model_folder, "weight_bytes", lambda _: 1 << 60)
    with pytest.raises(NotEnough):
        exported(workspace)


@pytest.mark.parametrize("loss", [2.0, math.nan])
def test_it_packs_what_it_has_saved_as_json(tmp_path: Path, loss: float) -> None:
    """Not what was in the folder before; and where the loss is not a number, still
    JSON.
    """
    names, out = runpy.run_path(str(SCRIPT)), tmp_path / "out"
    (out / "folder").mkdir(parents=True)
    (out / "model.safetensors.index.json").write_text("of an earlier result")
    before = names["last_changes"](out)
    (out / "adapter_model.safetensors").write_text("new")
    lines = [
        {"step": 0, "validation_loss": loss},
        {"step": 1, "loss": loss, "grad_norm": loss},
    ]
    (out / "losses.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "apprentice").mkdir()
    (tmp_path / "apprentice" / "run.json").write_text("{}")
    names["pack"](SimpleNamespace(out=out, folder=tmp_path), before, 1, 8, 1.0)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        learned = [
            name for name in archive.namelist() if name.startswith("run/run-adapter/")
        ]
        run, events = (
            archive.read(f"run/apprentice/{name}")
            for name in ("run.json", "events.jsonl")
        )
    assert [name.rpartition("/")[2] for name in learned] == [
        "adapter_model.safetensors",
        "losses.jsonl",
    ]
    assert b"NaN" not in run + events
    found = [logged.event for logged in map(parse, events.splitlines()) if logged]
    assert list(map(type, found)) == [EvalEvent, StepEvent]
    assert TrainingResult.model_validate(json.loads(run)["result"]).train_loss == (
        loss if loss == 2.0 else None
    )


def test_it_uses_each_of_its_settings_and_imports_nothing_from_this_project() -> None:
    settings = {
        name.upper()
        for name, setting in TrainSettings.facts().items()
        if setting.script
    }
    tree = ast.parse(script.template())
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    assert settings <= {node.id for node in names if isinstance(node.ctx, ast.Load)}
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    ours = {
        path.name
        for path in script.PROJECT_ROOT.iterdir()
        if (path / "__init__.py").is_file()
    }
    assert "backend" in ours
    assert not {name.partition(".")[0] for name in imported} & ours


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        pytest.param(make_run, {}, id="lora"),
        pytest.param(make_run, {"method": "full", "learning_rate": 1e-3}, id="full"),
        pytest.param(make_pairs_run, {}, id="pairs"),
    ],
)
def test_the_script_of_a_version_that_continues_another_one_starts_from_its_weights(
    workspace: Workspace,
    tiny_model: Path,
    make: Callable[..., FakeWork],
    settings: dict[str, Any],
) -> None:
    first, work = (
        make(
            workspace.runs / name,
            tiny_model,
            max_steps=6,
            lora_dropout=0.0,
            early_stopping=False,
            **settings,
        )
        for name in ("first", "toy")
    )
    train(first)
    continue_from(first, work)
    folder, _ = trained_by_both(workspace, work)
    [weights] = (folder / "start").iterdir()
    assert weights.suffix == ".safetensors"
    Path(
        start.folder(work.folder), weights.name
    ).unlink()  # as in a model from another computer
    with pytest.raises(ExportFailed):
        exported(workspace)
