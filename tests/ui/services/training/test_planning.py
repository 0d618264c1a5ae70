"""A plan and the run that it starts, over a real workspace with the bundled model,
without training.
"""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from backend.advice.settings import least_steps
from backend.errors import ApprenticeError, BadInput, UnusableGpu
from backend.hardware import Probe
from backend.records.machine import Gpu, Hardware, MachineProblem
from backend.records.specs import TrainSettings
from backend.runs.conversations import read_conversations
from backend.runs.token_rows import read_rows
from backend.settings import SAMPLES, Workspace
from backend.training import measured as measurements
from backend.training.measured import Measured
from ui.records.runs import Plan
from ui.services.app import App
from ui.services.data.dataset_state import split_summary
from ui.services.selection import Choice
from ui.services.training import training_plan


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


@pytest.fixture
def data_id(app: App) -> str:
    return app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")


def took(memory_mib: float, settings: TrainSettings) -> Measured:
    """A measurement of a run with these settings."""
    return Measured(
        settings=settings, memory_mib=memory_mib, startup=10, seconds_per_step=2, tokens_per_second=400,
        evaluation_seconds=0, sample_seconds=0,
    )  # fmt: skip


def test_share_and_seed_decide_the_validation_rows(app: App, data_id: str) -> None:
    for fraction, rows in ((0.0, 0), (0.1, 24), (0.5, 120)):
        plan = app.planning.plan(
            data_id, "", TrainSettings(validation_fraction=fraction)
        )
        assert (plan.train_rows, plan.set_aside, plan.validation_rows) == (
            240 - rows,
            rows,
            rows // 2,
        )
        assert plan.chooses is (rows > 0)
        assert str(rows // 2 + 40) in plan.proves, "those of the sample, too"
    checked = app.datasets.checked(
        app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    )
    rows = [checked.split_at(0.1, seed).validation for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]


def test_a_persons_own_validation_file_is_used(app: App, data_id: str) -> None:
    app.validation_files.set(data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl")
    own = [
        json.loads(line)
        for line in (SAMPLES / "orders.held_out.jsonl").read_text("utf-8").splitlines()
    ]
    state, plan = (
        app.datasets.selected(Choice(data_id=data_id)),
        app.planning.plan(data_id, "", TrainSettings(seed=5)),
    )
    assert (state.report.validation.source.name, state.report.split.validation) == (
        "mine.jsonl",
        len(own),
    )
    assert (plan.train_rows, plan.set_aside) == (state.report.split.train, len(own))
    assert plan.validation_rows == 20
    assert "6 of the 20" in plan.proves
    run_id = app.planning.start(data_id, "", TrainSettings(seed=5))
    assert app.runs.spec(run_id).data.validation_rows == len(own) // 2
    _, validation = read_rows(app.runner.folder(run_id))
    tokenizer = app.models.tokenizer("")
    own_ids = [tokenizer.encode(row["messages"]).input_ids.tolist() for row in own]
    choosing = [row.input_ids.tolist() for row in validation]
    judging = read_conversations(app.runner.folder(run_id), "held_out")
    assert all(ids in own_ids for ids in choosing)
    assert sorted(
        [*choosing, *(tokenizer.encode(one).input_ids.tolist() for one in judging)]
    ) == sorted(own_ids)
    app.validation_files.clear(data_id)
    assert app.datasets.selected(Choice(data_id=data_id)).validation is None
    assert app.planning.plan(data_id, "", TrainSettings()).set_aside == 24


def test_the_questions_that_a_sample_adds_are_counted(app: App, data_id: str) -> None:
    """The orders sample sets 12 rows aside to judge and adds 40 questions; a person's
    own file replaces these.
    """
    proves = app.planning.plan(data_id, "", TrainSettings()).proves
    assert "40 extra" in proves
    assert "of the 52" in proves
    assert proves in split_summary(app.datasets.selected(Choice(data_id=data_id)))
    app.validation_files.set(data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl")
    assert "extra" not in app.planning.plan(data_id, "", TrainSettings()).proves


def test_a_run_does_what_its_plan_said(app: App, data_id: str) -> None:
    settings = app.advice.settings(Choice("extract", data_id=data_id)).settings.changed(
        max_steps=7
    )
    plan = app.planning.plan(data_id, "", settings)
    spec = app.runs.spec(app.planning.start(data_id, "", settings))
    assert (spec.settings, spec.data.train_rows, spec.data.longest) == (
        settings,
        plan.train_rows,
        plan.longest,
    )
    assert (plan.steps, plan.blocked) == (7, "")


def test_nothing_trains_while_the_graphics_card_that_should_cannot(
    app: App, data_id: str
) -> None:
    problem = MachineProblem(
        what="The card has no driver.", next="Install it.", blocks_training=True
    )
    app.models._probe = app.models.probe().model_copy(update={"problems": (problem,)})
    assert problem.what in app.planning.plan(data_id, "", TrainSettings()).blocked
    with pytest.raises(UnusableGpu, match="no driver"):
        app.planning.start(data_id, "", TrainSettings())
    app.models._probed -= 61
    assert not app.models.probe().blocked, (
        "looked at again after a minute: the driver may work by now"
    )


def test_an_estimate_advises_and_only_weights_that_do_not_fit_prevent_a_training(
    app: App, data_id: str
) -> None:
    def plan_with(free: int) -> Plan:
        machine = Hardware(memory_total_mib=4096, memory_available_mib=free)
        app.models._probe = app.models.probe().model_copy(update={"hardware": machine})
        return app.planning.plan(data_id, "", TrainSettings())

    ample, scarce, hopeless = plan_with(4000), plan_with(1300), plan_with(700)
    assert [plan.blocked != "" for plan in (ample, scarce, hopeless)] == [
        False,
        False,
        True,
    ]
    assert scarce.memory_mib > scarce.available_mib
    assert len(scarce.notes) == len(ample.notes) + 1


@pytest.mark.parametrize(
    ("gpus", "free", "settings", "engine"),
    [
        (1, 15_000, {}, ""), (2, 15_000, {"optim": "adamw_8bit"}, "ddp"), (2, 100, {}, "fsdp2"),
        (2, 100, {"optim": "adamw_8bit"}, "fsdp2"), (2, 100, {"method": "qlora", "optim": "adamw"}, "fsdp_qlora"),
    ],
)  # fmt: skip
def test_with_several_gpus_the_plan_has_the_command_for_all_of_them(
    app: App, data_id: str, gpus: int, free: int, settings: dict[str, Any], engine: str
) -> None:
    gpu = Gpu(
        name="NVIDIA T4",
        memory_total_mib=15_360,
        memory_free_mib=free,
        compute_capability=(7, 5),
    )
    app.models._probe = app.models.probe().model_copy(
        update={"hardware": Hardware(gpus=(gpu,) * gpus), "problems": ()}
    )
    plan = app.planning.plan(data_id, "", TrainSettings(**settings))
    [note] = [
        note for note in plan.notes if "the app trains on one of them" in note
    ] or [""]
    assert note.endswith(f"uv run train.py --engine {engine}") is bool(engine)
    assert ("OPTIM" in note) is (free == 100 and settings.get("optim") == "adamw_8bit")
    assert plan.blocked == "", (
        "a run that several GPUs may hold can be made, and so can its script"
    )


def test_a_plan_shows_measured_and_computed_memory(app: App, data_id: str) -> None:
    settings = app.advice.settings(Choice("extract", data_id=data_id)).settings
    computed = app.planning.plan(data_id, "", settings)
    spec = app.runs.spec(app.planning.start(data_id, "", settings))
    more = round(computed.memory_mib) + 9
    measurements.store(app.workspace, spec, took(more, settings))
    plan = app.planning.plan(data_id, "", settings)
    assert (plan.memory_measured, plan.memory_mib) == (True, more)
    assert plan.memory_computed_mib == computed.memory_mib
    assert plan.seconds[0] < 10 + 2 * plan.steps < plan.seconds[1]
    other = app.planning.plan(data_id, "", settings.changed(lora_rank=64))
    assert not other.memory_measured


def test_a_long_training_is_planned_with_a_way_to_shorten_it(
    app: App, data_id: str
) -> None:
    settings = TrainSettings(num_train_epochs=3, learning_rate=5e-4)
    spec = app.runs.spec(app.planning.start(data_id, "", settings))
    slow = took(900, settings).model_copy(update={"seconds_per_step": 40})
    assert app.planning.plan(data_id, "", settings).shorter is None
    measurements.store(app.workspace, spec, slow)
    way = app.planning.plan(data_id, "", settings).shorter
    assert way
    assert way.epochs < 3
    short = app.planning.plan(
        data_id, "", settings.changed(num_train_epochs=way.epochs)
    )
    assert short.steps >= least_steps(settings.learning_rate)
    assert short.seconds[0] < way.seconds < short.seconds[1]


def test_the_larger_of_measured_and_computed_memory_counts(
    app: App, data_id: str
) -> None:
    computed = app.planning.plan(
        data_id, "", app.advice.settings(Choice("extract", data_id=data_id)).settings
    )
    plan = training_plan.with_measured(computed, took(700, computed.settings))
    assert (plan.memory_measured, plan.memory_measured_mib, plan.memory_mib) == (
        False,
        700,
        computed.memory_mib,
    )


def test_the_longest_validation_row_counts_in_plan_and_measurement(
    app: App, data_id: str
) -> None:
    own = app.workspace.root / "own.jsonl"
    turns = [
        {"role": "user", "content": "and " * 400},
        {"role": "assistant", "content": "so"},
    ]
    own.write_text(json.dumps({"messages": turns}))
    app.validation_files.set(data_id, own, "own.jsonl")
    settings = TrainSettings(max_length=1024)
    plan, run_id = (
        app.planning.plan(data_id, "", settings),
        app.planning.start(data_id, "", settings),
    )
    assert [one.expected for one in app.results.unseen_questions(run_id)] == ["so"], (
        "not the sample's own questions"
    )
    spec = app.runs.spec(run_id)
    assert plan.longest == spec.data.longest > 400
    measurements.store(app.workspace, spec, took(2000, settings))
    assert app.planning.plan(data_id, "", settings).memory_measured_mib == 2000


def test_a_simulated_machine_shows_everything_and_trains_nothing(app: App) -> None:
    gpu = Gpu(
        name="RTX 4090",
        memory_total_mib=24564,
        memory_free_mib=23900,
        compute_capability=(8, 9),
    )
    simulated = App(app.workspace, Hardware(gpus=(gpu,), memory_total_mib=32768))
    found = simulated.advice.recommendation(Choice())
    assert found.model.parameters > 7e9
    assert simulated.models.probe().sentences[0].startswith("RTX 4090")
    data_id = simulated.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    assert (
        "only simulated"
        in simulated.planning.plan(data_id, "", TrainSettings()).blocked
    )
    with pytest.raises(BadInput, match="only simulated"):
        simulated.planning.start(data_id, "", TrainSettings())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_length": 16_384}, "longer than this model"),
        ({"max_steps": 0}, "nothing to do"),
        ({}, "disk space"),
    ],
)
def test_an_impossible_run_is_rejected_and_leaves_nothing(
    app: App,
    data_id: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, int],
    words: str,
) -> None:
    """An answer longer than the model's context, no step to do, and a disk with 65 MiB
    free.
    """
    answer = {"role": "assistant", "content": "one two " * 5000}
    rows = [
        json.dumps({"messages": [{"role": "user", "content": f"Count {i}."}, answer]})
        for i in range(3)
    ]
    too_long = app.dataset_store.add("\n".join(rows))
    if not settings:
        monkeypatch.setattr(
            "shutil.disk_usage", lambda _: SimpleNamespace(free=65 << 20)
        )
    chosen = TrainSettings(**settings, validation_fraction=0)
    with pytest.raises(ApprenticeError, match=words):
        app.planning.start(too_long if settings else data_id, "", chosen)
    assert (app.runner.jobs(), list(app.workspace.runs.iterdir())) == ([], [])


def test_a_full_disk_blocks_the_plan(
    app: App, data_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.planning.plan(data_id, "", TrainSettings()).blocked == ""
    full = app.models.hardware().model_copy(update={"disk_free_mib": 65})
    monkeypatch.setattr(app.models, "probe", lambda: Probe.of(full))
    assert (
        "disk space (computed)"
        in app.planning.plan(data_id, "", TrainSettings()).blocked
    )
