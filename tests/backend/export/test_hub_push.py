"""Uploading a model, with the real client against a stand-in for the hub on this
computer.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from backend.errors import ApprenticeError, BadSetting, MissingPart, RunProblem
from backend.export import hub_push, take_home
from backend.export.hub_push import PushSpec
from backend.files.json_file import write_json
from backend.records.exports import PushResult
from backend.runs.conversations import write_conversations
from backend.settings import PROJECT_ROOT, Workspace, new_id
from jobs.records import Job, State
from tests.backend.export import stand_in_hub
from tests.backend.export.stand_in_hub import LARGE, Hub
from tests.backend.synthetic import make_adapter, make_finished_run
from tests.ui.fake_records import report
from tests.ui.page_client import PageClient, page_in_process
from tests.workers import end_workers
from ui.cli.main import main
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.share import hub_card

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub calls httpx so
SECRET = "hf_secretsecretsecret"
CHATS = [
    [
        {"role": "user", "content": "Where is parcel 4711?"},
        {"role": "assistant", "content": "On its way."},
    ]
]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in, as the hub of this process and of its workers."""
    from huggingface_hub import constants

    with stand_in_hub.running() as server:
        flags = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        for name, value in {
            "HF_ENDPOINT": server.address,
            "HF_TOKEN": SECRET,
            **flags,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    for name, size in {
        "README.md": 10,
        "a.safetensors": LARGE,
        "b.safetensors": LARGE + 1,
    }.items():
        (folder / name).write_bytes(name.encode().ljust(size))
    return folder


def upload(
    folder: Path,
    repo: str = "orders",
    form: hub_push.Form = "adapter",
    *,
    private: bool = True,
) -> str:
    return hub_push.upload(folder, PushSpec(form=form, repo=repo, private=private)).repo


def test_everything_arrives_in_a_private_repository(hub: Hub, folder: Path) -> None:
    assert (upload(folder), hub.repos) == ("ana/orders", {"models/ana/orders": True})
    assert hub.files["models/ana/orders"] == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert hub.tokens <= {f"Bearer {SECRET}", ""}, "the card is checked without one"
    again = hub_push.upload(
        folder, PushSpec(form="adapter", repo="orders", private=False)
    )
    assert again.private is True, (
        "what exists stays as private as it is, and is shown so"
    )
    upload(folder, "ana/talk", "page", private=False)
    assert hub.repos["spaces/ana/talk"] is False


def test_a_broken_upload_goes_on_where_it_was(hub: Hub, folder: Path) -> None:
    hub.stored_before_it_breaks = 1
    with pytest.raises(RunProblem):
        upload(folder)
    assert "models/ana/orders" not in hub.files, "nothing half-made is shown"
    hub.stored_before_it_breaks = 1000
    upload(folder)
    assert len(hub.received) == len(set(hub.received)) == 2, "nothing is sent twice"
    assert len(hub.files["models/ana/orders"]) == 3


@pytest.mark.parametrize(
    ("status", "word"), [(401, "valid"), (403, "write access"), (500, "500")]
)
def test_the_reason_of_a_refusal_is_said(
    hub: Hub, folder: Path, status: int, word: str
) -> None:
    hub.status = status
    with pytest.raises(RunProblem) as error:
        upload(folder)
    assert word in error.value.why
    assert error.value.next


def test_network_and_token_are_named(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunProblem, match="internet") as error:
        upload(folder)
    assert "can't be reached" in error.value.why
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(MissingPart):
        upload(folder)


def test_a_public_repository_takes_nothing_private(hub: Hub, folder: Path) -> None:
    hub.repos["models/ana/orders"] = False
    with pytest.raises(RunProblem, match="public"):
        upload(folder)
    assert not hub.received


@pytest.mark.parametrize(
    "repo",
    ["", "a b", "../x", "a/b/c", "https://x.org/a", "-a", "a--b", "a..b", "x.git", "é"],
)
def test_a_bad_name_is_refused_before_anything_is_sent(repo: str) -> None:
    with pytest.raises(BadSetting):
        hub_push.check_repo(repo)


@pytest.fixture
def run(
    tmp_path: Path, workspace: Workspace, bundled_model: Path
) -> Iterator[tuple[Workspace, str]]:
    """A finished and evaluated run with an exported adapter."""
    folder, export, evaluation = (workspace.runs / new_id() for _ in range(3))
    make_adapter(
        make_finished_run(folder, bundled_model, "HuggingFaceTB/SmolLM2-135M-Instruct"),
        bundled_model,
        rank=1,
    )
    write_conversations(folder, "train", CHATS)
    write_json(folder / "job.json", {"kind": "train", "name": "Orders", "created": 1.0})
    write_json(folder / "status.json", {"state": "completed", "ended": 2.0})
    make_adapter(tmp_path / "adapter", bundled_model, rank=1)
    (tmp_path / "adapter" / "README.md").write_text("the card of the export", "utf-8")
    (workspace.exports / export.name).mkdir(parents=True)
    take_home.pack(
        tmp_path / "adapter",
        workspace.exports / export.name / "orders-adapter.zip",
        "orders-adapter",
    )
    checks = [
        {"ok": True, "sentence": "The same tokens."},
        {"ok": None, "sentence": "Not opened."},
    ]
    found = {
        "job": export,
        "kind": "export",
        "name": "adapter",
        "result": {"checks": checks},
    }
    judged = {
        "job": evaluation,
        "kind": "evaluate",
        "name": "Evaluate",
        "result": report().to_json(),
    }
    for one in (found, judged):
        Path(str(one["job"])).mkdir()
        identity = {
            "kind": one["kind"],
            "name": one["name"],
            "parent": folder.name,
            "created": 3.0,
        }
        write_json(Path(str(one["job"])) / "job.json", identity)
        write_json(Path(str(one["job"])) / "spec.json", {})
        status = {
            "state": "completed",
            "started": 3.0,
            "ended": 4.0,
            "result": one["result"],
        }
        write_json(Path(str(one["job"])) / "status.json", status)
    yield workspace, folder.name
    end_workers(workspace)


def test_the_command_uploads(
    hub: Hub, run: tuple[Workspace, str], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, run_id = run
    options = [
        "push",
        run_id,
        "--repo",
        "orders",
        "--workspace",
        str(workspace.root),
        "--json",
    ]
    assert main(options) == 1
    answer = capsys.readouterr()
    assert "adapter_model.safetensors" in answer.err
    assert json.loads(answer.out)["error"] == "BadInput"
    assert not hub.repos
    assert (main([*options, "--yes"]), json.loads(capsys.readouterr().out)["repo"]) == (
        0,
        "ana/orders",
    )
    sent = hub.files["models/ana/orders"]
    assert {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
        "tokenizer.json",
    } <= sent.keys()
    card = sent["README.md"].decode()
    for fact in (
        "apache-2.0",
        "6 of 8 right",
        "41% to 93%",
        "passed: The same tokens.",
        "no verdict: Not opened.",
    ):
        assert fact in card
    quoted = [message["content"].encode() for chat in CHATS for message in chat]
    assert not [
        name for name, file in sent.items() if any(text in file for text in quoted)
    ], "no example is quoted"
    hub.status = 403
    assert main([*options, "--yes"]) == 1
    [first, second] = App(workspace).hub_pushes.all(run_id)
    assert (first.state, second.state) == (State.FAILED, State.COMPLETED)
    assert not list(workspace.runs.glob("*/data/upload")), (
        "neither what was sent nor what failed takes room"
    )
    assert SECRET not in "".join(
        file.read_text("utf-8", "replace") for file in workspace.runs.glob("*/*.*")
    )


def test_the_page_to_give_becomes_a_static_space(
    hub: Hub, run: tuple[Workspace, str]
) -> None:
    """Its website, which may load the model from where the hub has large files."""
    workspace, run_id = run
    [export] = workspace.exports.iterdir()
    html = (PROJECT_ROOT / "static" / "page_to_give" / "index.html").read_text("utf-8")
    for variant in ("page", "website"):
        with zipfile.ZipFile(export / f"orders-{variant}.zip", "w") as archive:
            archive.writestr(
                f"orders-{variant}/index.html", html if variant == "website" else ""
            )
    job = workspace.runs / export.name
    write_json(
        job / "job.json",
        {"kind": "export", "name": "page", "parent": run_id, "created": 3.0},
    )
    made: dict[str, Any] = {"checks": []}
    write_json(
        job / "status.json",
        {"state": "completed", "started": 3.0, "ended": 4.0, "result": made},
    )
    assert (
        main(
            [
                "push",
                run_id,
                "--repo",
                "orders",
                "--as",
                "page",
                "--yes",
                "--workspace",
                str(workspace.root),
            ]
        )
        == 0
    )
    sent = {
        name: content.decode()
        for name, content in hub.files["spaces/ana/orders"].items()
    }
    assert sent.keys() == {"README.md", "index.html"}
    assert "sdk: static" in sent["README.md"]
    assert sent["index.html"] == html.replace(
        "'self' data:", "'self' https://huggingface.co https://*.hf.co data:"
    )


def test_the_page_lists_the_files_and_needs_consent(
    hub: Hub,
    run: tuple[Workspace, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    workspace, run_id = run
    app = App(workspace)
    sent: list[Any] = []
    monkeypatch.setattr(
        app.runner, "submit", lambda kind, spec, *_, **more: sent.append(spec) or ""
    )

    async def use_the_page() -> None:
        async with page_in_process(app, tmp_path / "exports") as http:
            page = await PageClient.open(http, Choice(run_id=run_id), "share")
            look, send = (
                page.listener("click", elem_id=f"hub-{name}")
                for name in ("look", "send")
            )
            typed = {"hub-form": "adapter", "hub-repo": "orders"}
            listed = str(await page.ask(look, **typed))
            for shown in (
                "adapter_model.safetensors",
                "only you",
                "orders, in your own account",
            ):
                assert shown in listed
            mark = app.hub_pushes.offer(run_id, "adapter", "orders").mark
            assert mark in listed

            async def refused(**more: object) -> None:
                with pytest.raises(RuntimeError):
                    await page.ask(
                        send, **{**typed, "hub-agree": True, "hub-seen": mark, **more}
                    )
                assert not sent

            await refused(**{"hub-agree": False})
            await refused(**{"hub-seen": ""})
            await refused(**{"hub-repo": "another"})
            await refused(**{"hub-public": True})
            [archive] = workspace.exports.glob("*/*-adapter.zip")
            os.utime(archive, (5, 5))  # made again meanwhile
            await refused()
            mark = app.hub_pushes.offer(run_id, "adapter", "orders").mark
            await page.ask(send, **typed, **{"hub-agree": True, "hub-seen": mark})

    anyio.run(use_the_page)
    assert sent == [{"form": "adapter", "repo": "orders", "private": True}]


def test_a_link_leads_only_to_the_hub() -> None:
    made = PushResult(url="javascript:alert(1)", repo="x").model_dump()
    job = Job(
        id="1",
        kind="push",
        name="adapter",
        state=State.COMPLETED,
        attempt=1,
        created=1.0,
        result=made,
    )
    assert "href" not in hub_card.push(job)


def test_it_needs_the_export_first(run: tuple[Workspace, str], hub: Hub) -> None:
    workspace, run_id = run
    pushes = App(workspace).hub_pushes
    assert pushes.forms(run_id) == ["adapter"]
    with pytest.raises(ApprenticeError):
        pushes.start(run_id, "page", "talk", agreed="")
    write_json(
        workspace.runs / run_id / "status.json", {"state": "completed", "ended": 9.0}
    )
    assert App(workspace).hub_pushes.forms(run_id) == [], (
        "the export is of the model before it was trained further"
    )
    [export] = workspace.exports.iterdir()
    status = workspace.runs / export.name / "status.json"
    write_json(
        status,
        {**json.loads(status.read_text("utf-8")), "started": 10.0, "ended": 11.0},
    )
    assert (
        "6 of 8"
        not in App(workspace).hub_pushes.offer(run_id, "adapter", "orders").card
    ), "nor are the scores"


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [([3 << 20], "1 file, 3.0 MB"), ([99 << 20, 1 << 20], "2 files, 100 MB")],
)
def test_it_says_what_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], shown: str
) -> None:
    phases: list[str] = []
    (tmp_path / "data" / "upload").mkdir(parents=True)
    for number, size in enumerate(sizes):
        with (tmp_path / "data" / "upload" / f"{number}.safetensors").open(
            "wb"
        ) as file:
            file.truncate(size)
    context: Any = SimpleNamespace(
        folder=tmp_path, spec={"form": "adapter", "repo": "orders", "private": True}, progress=phases.append,
        should_stop=lambda: False, alive=lambda: None,
    )  # fmt: skip
    monkeypatch.setattr(hub_push, "upload", lambda *_: PushResult(repo="ana/orders"))
    assert (hub_push.run(context), [phase.endswith(shown) for phase in phases]) == (
        {"repo": "ana/orders"},
        [True],
    )
