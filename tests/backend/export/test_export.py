"""Exports: what is made, that it is checked to be the same model, and that nothing
unchecked is ever offered.
"""

import hashlib
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from backend.chat.client import Chat
from backend.errors import (
    BadSetting,
    MissingPart,
    NotEnough,
    RunProblem,
    Stopped,
    WorkspaceProblem,
)
from backend.export import checks as export_checks
from backend.export import gguf_files, merge
from backend.export import job as export_job
from backend.export.source import ExportSpec, Source
from backend.files.json_file import to_json
from backend.gguf.facts import Facts
from backend.gguf.requirement import has_llama_cpp
from backend.models import bundled, local
from backend.records.encoded import IGNORED
from backend.records.exports import ExportResult, GgufFile, LossCheck, TaskScore
from backend.runs import token_rows
from backend.runs.conversations import write_conversations
from backend.runs.token_rows import TokenRow
from backend.settings import Workspace, new_id
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import oom
from tests.backend.export import ollama
from tests.backend.synthetic import make_adapter, make_finished_run
from tests.backend.tiny_run import FakeWork
from ui.services.results import exports


class Work(FakeWork):
    def __init__(self, workspace: Workspace, spec: dict[str, Any]) -> None:
        super().__init__(workspace.runs / new_id(), spec, workspace=workspace)
        self.folder.mkdir()

    def progress(
        self, phase: str, done: int = 0, total: int = 0, *more: Any, **named: Any
    ) -> None:
        assert 0 <= done <= total
        super().progress(phase, done, total, *more, **named)

    @property
    def published(self) -> Path:
        return self.workspace.exports / self.folder.name


NewExport = Callable[..., Work]


def exported(work: Work) -> ExportResult:
    """Makes the export, and unpacks it; what its job returned, as it is read back from
    the disk.
    """
    result = ExportResult.model_validate(json.loads(to_json(export_job.run(work))))
    assert sorted(path.name for path in work.published.glob("*")) == [
        file.name for file in result.files
    ], "all files"
    for archive in work.published.glob("*.zip"):
        shutil.unpack_archive(archive, work.published)
    return result


@pytest.fixture
def new_export(workspace_with_layers: Workspace, shallow_adapter: Path) -> NewExport:
    """new_export(to, name=…): the export of a finished run of the bundled model, with
    its first layers, not started.
    """
    run = workspace_with_layers.runs / new_id()
    result = make_finished_run(
        run, bundled.folder(workspace_with_layers), bundled.MODEL_ID
    )
    shutil.copytree(shallow_adapter, result)
    return lambda to, **more: Work(
        workspace_with_layers, {"run": run.name, "to": to, **more}
    )


@pytest.fixture
def shallow_export(
    workspace: Workspace, shallow_model: Path, monkeypatch: pytest.MonkeyPatch
) -> NewExport:
    """The same of the bundled model's first layers, for GGUF files, which are asked for
    short answers.
    """
    monkeypatch.setattr(export_checks, "ANSWER_TOKENS", 8)

    def make(to: str, strength: float = 0.05, **more: str) -> Work:
        run = workspace.runs / new_id()
        make_adapter(
            make_finished_run(run, shallow_model, "tests/shallow"),
            shallow_model,
            strength,
        )
        return Work(workspace, {"run": run.name, "to": to, "name": "Shallow", **more})

    return make


@pytest.fixture
def tiny_export(workspace: Workspace, tiny_model: Path) -> NewExport:
    """The same with the tiny random model. adapter=False: no result. settings: of the
    run.
    """

    def make(
        to: str, adapter: bool = True, strength: float = 0.05, **settings: object
    ) -> Work:
        run = workspace.runs / new_id()
        result = make_finished_run(run, tiny_model, "tests/tiny", **settings)
        if adapter:
            make_adapter(result, tiny_model, strength)
        return Work(workspace, {"run": run.name, "to": to, "name": "Tiny"})

    return make


def tensors(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as opened:
        return {name: str(opened.get_slice(name).get_dtype()) for name in opened.keys()}  # noqa: SIM118


def test_gguf_files_are_made_from_one_conversion_and_checked(
    shallow_export: NewExport,
    shallow_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    converted = []
    convert = gguf_files.gguf.convert
    monkeypatch.setattr(
        gguf_files.gguf,
        "convert",
        lambda *given, **more: (converted.append(given), convert(*given, **more)),
    )
    work = shallow_export("gguf:Q8_0,gguf:Q4_K_M", name="Shop: Bestellungen/../2")
    prompt = [{"role": "user", "content": "Where is order 4711?"}]
    asked = [*prompt, {"role": "assistant", "content": "Zzz"}]
    write_conversations(
        work.workspace.run_folder(work.spec["run"]), "held_out", [asked]
    )
    result = exported(work)
    assert len(converted) == 1
    name = "shop-bestellungen-2"
    made = [
        f"{name}-{kind}.{form}"
        for kind in ("Q4_K_M", "Q8_0")
        for form in ("Modelfile", "gguf")
    ]
    assert [file.name for file in result.files] == [
        f"{name}-CHECKS.json",
        *made,
        f"{name}-how-to-use.txt",
    ]
    written = json.loads((work.published / f"{name}-CHECKS.json").read_text("utf-8"))
    assert (
        written["smoke"]["Q8_0"]["same_choice"]
        > written["smoke"]["Q4_K_M"]["same_choice"]
    )
    assert "text" not in written["smoke"]["Q8_0"], (
        "an answer to an example is nothing for others"
    )
    assert written["parity"]["conversations"] >= 8
    assert written["template"]["ok"] is True
    large, small = result.sizes
    assert (large.kind, small.kind) == ("Q8_0", "Q4_K_M")
    assert large.same_choice > max(0.9, small.same_choice)
    assert large.places == small.places > 0
    assert (large.too_narrow, small.too_narrow > 0.5) == (0.0, True), (
        "rows of 576 don't fit K types"
    )
    assert large.task == small.task == TaskScore(measure="exact", score=0.0, items=1)
    assert sum(size.recommended for size in result.sizes) == 1
    learned = work.workspace.run_folder(work.spec["run"]) / "result" / "adapter"
    announced = exports.sizes(shallow_model, learned)
    for size in result.sizes:
        assert size.bytes / 2**20 == pytest.approx(
            announced[f"gguf:{size.kind}"][0], rel=0.05
        )
    [q8] = [file for file in result.files if file.name.endswith("Q8_0.gguf")]
    file = work.published / q8.name
    assert (
        hashlib.sha256(file.read_bytes()).hexdigest(),
        Facts(file).value("general.name"),
    ) == (q8.sha256, name)
    assert result.parity.ok
    assert result.parity.first_difference is None
    assert result.merge.lost < 0.05
    smoke = result.smoke["Q8_0"]
    assert smoke.loads is smoke.agrees is (smoke.tokens_per_second > 0) is True
    assert all(check.ok and check.sentence for check in result.checks)
    assert not (work.folder / "work").exists()
    chat = Chat(Workspace.open(tmp_path / "elsewhere"))
    chat.open(gguf=file)
    try:
        chunks = list(chat.ask(prompt, max_new_tokens=export_checks.ANSWER_TOKENS))
    finally:
        chat.close()
    assert "".join(chunk.text for chunk in chunks) == smoke.text


def test_a_merged_model_contains_the_adapter(
    new_export: NewExport, shallow_model: Path, shallow_adapter: Path
) -> None:
    work = new_export("merged", name="Orders")
    result = exported(work)
    folder = work.published / "orders-merged"
    assert tensors(folder / "model.safetensors") == tensors(
        shallow_model / "model.safetensors"
    )
    assert result.merge.dtype == "bfloat16"
    assert result.merge.lost < 0.1
    least, most = exports.sizes(shallow_model, shallow_adapter)["merged"]
    assert result.files[0].bytes / 2**20 == pytest.approx(least, rel=0.02)
    weights = (shallow_model / "model.safetensors").stat().st_size / 2**20
    assert most - least == pytest.approx(weights, rel=0.02), (
        "in float32, where bfloat16 would lose too much"
    )
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (shallow_model / name).read_bytes()
    before, tokenizer = (
        json.loads((at / "tokenizer_config.json").read_text())
        for at in (shallow_model, folder)
    )
    assert tokenizer == {**before, "model_input_names": ["input_ids", "attention_mask"]}
    generation = json.loads((folder / "generation_config.json").read_text("utf-8"))
    assert [generation["eos_token_id"]] == list(ChatTokenizer.load(folder).stop_ids)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert (
        config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 100_000.0
    )  # older programs look there
    with zipfile.ZipFile(work.published / "orders-merged.zip") as archive:
        assert {"orders-merged/model.safetensors", "orders-merged/README.md"} <= set(
            archive.namelist()
        )


def test_an_adapter_is_packed_with_all_it_needs(
    new_export: NewExport, shallow_model: Path, shallow_adapter: Path
) -> None:
    work = new_export("adapter", name="../../Ördérs | <b>")
    result = exported(work)
    assert [file.name for file in result.files] == ["orders-b-adapter.zip"]
    announced = exports.sizes(shallow_model, shallow_adapter)["adapter"][1]
    assert result.files[0].bytes / 2**20 == pytest.approx(announced, rel=0.1)
    folder = work.published / "orders-b-adapter"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "chat_template.jinja",
    }
    card = (folder / "README.md").read_text("utf-8")
    assert "| answers (SFT) |" in card
    assert f'base_model: "{bundled.MODEL_ID}"' in card
    assert "PeftModel" in card
    assert str(work.workspace.root) not in card + (
        folder / "adapter_config.json"
    ).read_text("utf-8")
    assert result.parity.ok


def test_the_card_shows_the_settings_as_used_not_as_planned(
    tiny_export: NewExport,
) -> None:
    work = tiny_export("adapter")
    folder = work.workspace.run_folder(work.spec["run"])
    oom.save_settings(folder, local.read_run(folder).settings.changed(method="qlora"))
    exported(work)
    assert "| Method | qlora, rank" in (
        work.published / "tiny-adapter" / "README.md"
    ).read_text("utf-8")


def test_a_new_end_token_is_saved(tiny_export: NewExport, tiny_model: Path) -> None:
    work = tiny_export("merged")
    exported(work)
    folder = work.published / "tiny-merged"
    known = json.loads((tiny_model / "generation_config.json").read_text("utf-8"))[
        "eos_token_id"
    ]
    named = json.loads((folder / "generation_config.json").read_text("utf-8"))[
        "eos_token_id"
    ]
    turn = ChatTokenizer.load(folder).stop_ids
    assert known not in turn  # what makes this a test
    assert set(named) == {known, *turn}


def test_an_adapter_too_weak_for_bf16_is_merged_in_float32(
    shallow_export: NewExport,
) -> None:
    work = shallow_export("merged", strength=1e-4)
    merged = exported(work).merge
    assert (merged.ok, merged.dtype) == (True, "float32")
    assert set(
        tensors(work.published / "shallow-merged" / "model.safetensors").values()
    ) == {"F32"}


def test_a_fully_trained_model_is_exported(
    tiny_export: NewExport, tiny_model: Path
) -> None:
    work = tiny_export("merged", adapter=False, method="full")
    learned = work.workspace.runs / work.spec["run"] / "result" / "model"
    shutil.copytree(tiny_model, learned)
    weights = {
        name: value * 1.25
        for name, value in load_file(learned / "model.safetensors").items()
    }
    save_file(weights, learned / "model.safetensors", {"format": "pt"})
    result = exported(work)
    assert result.parity.ok
    assert result.merge.lost == 0.0
    saved = load_file(work.published / "tiny-merged" / "model.safetensors")
    assert all((saved[name] == value).all() for name, value in weights.items())
    again = Work(work.workspace, {**work.spec, "to": "adapter"})
    with pytest.raises(BadSetting, match="no adapter"):
        export_job.run(again)


def test_after_qlora_the_loss_is_measured_as_trained_and_as_merged(
    tiny_export: NewExport,
) -> None:
    pytest.importorskip("bitsandbytes")
    work = tiny_export("merged", method="qlora")
    work.spec["base"] = "trained"  # queued by an older version
    result = exported(work)
    written = json.loads(
        (work.published / "tiny-merged" / "CHECKS.json").read_text("utf-8")
    )
    assert result.loss == LossCheck.model_validate(written["loss"])
    assert result.loss.places > 0
    assert (
        f"{result.loss.trained:.3f} as trained (4-bit base), and {result.loss.merged:.3f}"
        in result.loss.sentence
    )
    assert 0 < abs(result.loss.merged - result.loss.trained) < 0.1


def test_the_checks_reach_the_answer_after_a_long_prompt(
    tiny_export: NewExport,
) -> None:
    work = tiny_export("merged", adapter=False)
    ids = np.arange(2000, dtype=np.int32)
    labels = np.where(ids < 1990, IGNORED, ids)
    token_rows.write_rows(
        work.workspace.run_folder(work.spec["run"]), [TokenRow(ids, labels, 10)], []
    )
    [row] = Source.of(work.workspace, ExportSpec.of(work.spec)).rows
    assert len(row["input_ids"]) == len(row["labels"]) == 512
    assert row["input_ids"][0] == 0, "many models need their first token"
    assert [label for label in row["labels"] if label != IGNORED] == list(
        range(1990, 2000)
    )


# Nothing unproved is offered


def assert_nothing_offered(work: Work) -> None:
    assert not work.published.exists()
    assert not (work.folder / "work").exists()


def assert_failed(work: Work, name: str, sentence: str) -> None:
    """The files are there, and the failed check with its numbers beside them."""
    result = exported(work)
    assert result.files
    assert sentence in " ".join(
        check.sentence for check in result.checks if check.ok is False
    )
    [written] = work.published.rglob("*CHECKS.json")
    found = json.loads(written.read_text("utf-8"))[name]
    assert (
        next(iter(found.values()))["ok"] is False
        if name == "smoke"
        else found["ok"] is False
    )


def test_different_tokens_in_the_model_fail(
    tiny_export: NewExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = export_checks.through_transformers

    def with_one_more(folder: Path) -> export_checks.Prompt:
        prompt_ids = honest(folder)
        return lambda chat, tools: [
            *prompt_ids(chat, tools)[:3],
            7,
            *prompt_ids(chat, tools)[3:],
        ]

    monkeypatch.setattr(export_checks, "through_transformers", with_one_more)
    assert_failed(tiny_export("adapter"), "parity", "transformers reads")


def test_a_merge_without_the_adapter_fails_its_check(
    tiny_export: NewExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge.Adapter, "merged_into", lambda *given: {})
    assert_failed(
        tiny_export("merged"), "merge", "keep 0.0% of what the training changed"
    )


def test_a_file_that_answers_differently_or_not_at_all_fails_its_check(
    shallow_export: NewExport, shallow_f16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.gguf import convert as gguf

    monkeypatch.setattr(
        gguf, "convert", lambda model, out, *_: shutil.copyfile(shallow_f16, out)
    )
    assert_failed(
        shallow_export("gguf:F16"), "smoke", "does not match the trained model"
    )
    damaged = shallow_f16.read_bytes()[: 10 << 20]
    monkeypatch.setattr(
        gguf, "convert", lambda model, out, *_: out.write_bytes(damaged)
    )
    assert_failed(shallow_export("gguf:F16"), "smoke", "can't be opened")


@pytest.mark.parametrize("phase", ["Checking", "Merging"])
def test_a_stop_leaves_nothing_behind(tiny_export: NewExport, phase: str) -> None:
    work = tiny_export("merged")
    work.stop_in = phase
    with pytest.raises(Stopped):
        export_job.run(work)
    assert_nothing_offered(work)


def test_a_full_disk_is_reported_before_the_export(
    tiny_export: NewExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tiny_export("merged")
    usage = shutil.disk_usage(work.folder)._replace(free=5 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NotEnough, match=r"\b5\.0 MB is free"):
        export_job.run(work)
    assert_nothing_offered(work)


@pytest.mark.slow
@pytest.mark.skipif(not has_llama_cpp(), reason="there is no build for some systems")
def test_without_llama_cpp_python_two_types_are_made_and_checked_and_the_others_are_not(
    shallow_export: NewExport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n\nsys.modules['llama_cpp'] = None\n", "utf-8"
    )
    paths = filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(paths)
    )  # of the processes that this one starts
    with pytest.raises(MissingPart, match="compile"):
        export_job.run(shallow_export("gguf:Q4_K_M"))
    work = shallow_export("gguf:Q8_0")
    carry_instruction(work)
    result = exported(work)
    _, modelfile, gguf, _ = (file.name for file in result.files)
    found = dict(ollama.parse((work.published / modelfile).read_text("utf-8")))
    assert (found["FROM"], found["SYSTEM"]) == (f"./{gguf}", "Be warm.")
    assert result.smoke["Q8_0"].ok is True
    assert result.smoke["Q8_0"].same_choice >= 0.9
    assert (work.published / gguf).read_bytes()[:4] == b"GGUF"


def carry_instruction(work: Work) -> None:
    """The examples of the run start with an instruction."""
    turns = (("system", "Be warm."), ("user", "Hello?"), ("assistant", "Hello, love."))
    chat = [{"role": role, "content": content} for role, content in turns]
    write_conversations(work.workspace.run_folder(work.spec["run"]), "train", [chat])


def test_the_instruction_of_the_examples_goes_with_adapter_and_script(
    tiny_export: NewExport,
) -> None:
    for to, name in (("adapter", "README.md"), ("script", "instruction.txt")):
        work = tiny_export(to)
        carry_instruction(work)
        exported(work)
        assert "Be warm." in (work.published / f"tiny-{to}" / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("memory", "best"), [(8000, "Q6_K"), (2200, "Q6_K"), (1500, "Q4_K_M"), (100, "")]
)
def test_the_smallest_file_that_chooses_the_same_words_is_recommended(
    memory: int, best: str
) -> None:
    found = [
        GgufFile(kind=kind, bytes=size, same_choice=same)
        for kind, size, same in (
            ("F16", 2000, 1.0), ("Q8_0", 1100, 0.999), ("Q6_K", 900, 0.985), ("Q5_K_M", 700, 0.94),
            ("Q4_K_M", 600, 0.95),
        )
    ]  # fmt: skip
    assert gguf_files.recommended(found, memory) == best
    assert gguf_files.recommended([GgufFile(kind="F16", bytes=2000)], memory) == ""


def test_only_a_known_export_of_a_training_run_is_made(tiny_export: NewExport) -> None:
    work = tiny_export("adapter")
    formats = (
        "",
        "gguf",
        "gguf:Q9",
        "gguf:../x",
        "hub",
        "adapter:F16",
        "gguf:Q8_0,gguf:Q9",
    )
    paths = ("../../etc", "..", "/etc", "a/b", "")
    for changes, error, words in (
        *(({"to": to}, BadSetting, "gguf:Q8_0") for to in formats), ({"trust_remote_code": True}, BadSetting, None),
        ({"to": "adapter,gguf:Q8_0"}, BadSetting, "not made together"),
        *(({"run": run}, WorkspaceProblem, None) for run in paths), ({"run": work.folder.name}, RunProblem, None),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            export_job.run(Work(work.workspace, {**work.spec, **changes}))
    with pytest.raises(MissingPart, match="result of this run is missing"):
        export_job.run(tiny_export("merged", adapter=False))
