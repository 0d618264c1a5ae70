"""The page as it is served, without a browser."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import gradio as gr
import orjson
import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from backend.errors import RunProblem
from backend.settings import PROJECT_ROOT
from jobs.records import State
from tests.ui.conftest import answer, in_loop, tabs
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import ROWS, add_run, respec
from ui.services.selection import Choice
from ui.text.memory import PARTS
from ui.web import errors as web_errors
from ui.web import page as web_page
from ui.web import pulse
from ui.web.launch import STATIC, launch_arguments
from ui.web.page import Page, finished_steps
from ui.web.train import plan_view

OURS = "http://127.0.0.1:7860"


def repeated(choice: object, tab: object) -> str:
    return f"{tab} {choice}"


@pytest.fixture(scope="module")
def blocks(
    made_up: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[gr.Blocks]:
    app = MadeUpApp(made_up, tmp_path_factory.mktemp("page") / "workspace")
    yield in_loop(lambda: web_page.build(app).blocks)
    app.close()


@pytest.fixture(scope="module")
def client(
    blocks: gr.Blocks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    arguments = launch_arguments(tmp_path_factory.mktemp("exports"), repeated)
    blocks.allowed_paths, blocks.blocked_paths, blocks.favicon_path = (
        arguments["allowed_paths"], [], arguments["favicon_path"],
    )  # fmt: skip
    blocks.max_file_size, blocks.enable_monitoring = 1000, False
    app = in_loop(lambda: App.create_app(blocks, app_kwargs=arguments["app_kwargs"]))
    with TestClient(app, base_url=OURS) as client:  # one event loop for all requests
        yield client


def test_listeners_are_private_and_inputs_have_labels(blocks: gr.Blocks) -> None:
    listeners = blocks.get_config_file()["dependencies"]
    assert listeners
    assert {one["api_visibility"] for one in listeners} == {"private"}
    assert not blocks.get_api_info()["named_endpoints"]
    # A browser has six of them to one address, for all its pages.
    assert blocks.get_config_file()["connect_heartbeat"] is False
    kinds = {
        "textbox",
        "number",
        "dropdown",
        "checkbox",
        "radio",
        "slider",
        "file",
        "dataframe",
    }
    inputs = [
        part for part in blocks.get_config_file()["components"] if part["type"] in kinds
    ]
    assert len(inputs) > 25
    for part in inputs:
        assert part["props"].get("label"), part


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
def test_the_server_has_no_api_documentation(client: TestClient, path: str) -> None:
    assert "swagger" not in client.get(path).text.lower()


def test_the_guard_covers_every_route(client: TestClient, blocks: gr.Blocks) -> None:
    paths = set(client.app.openapi()["paths"]) | {
        route.path for route in client.app.routes if hasattr(route, "path")
    }  # type: ignore[attr-defined]
    assert len(paths) > 40
    for path in paths:
        filled = path.replace("{", "").replace("}", "").replace(":path", "")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            evil = client.request(
                method, filled, headers={"origin": "http://evil.example"}
            )
            assert evil.status_code == 403, (method, filled)
            rebound = client.request(method, filled, headers={"host": "evil.example"})
            assert rebound.status_code == 400, (method, filled)


def test_files_and_other_origins_get_nothing(client: TestClient) -> None:
    """Gradio answers OPTIONS before any middleware of ours; what counts is that it
    permits nothing.
    """
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert (
        "access-control-allow-origin"
        not in client.options("/gradio_api/queue/join", headers=headers).headers
    )
    for path in (__file__, str(PROJECT_ROOT / "app.py"), "/etc/passwd"):
        assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_a_broken_download_is_resumed(client: TestClient, blocks: gr.Blocks) -> None:
    file = Path(blocks.allowed_paths[0]) / "model.gguf"
    file.write_bytes(bytes(range(256)))
    url = f"/gradio_api/file={file}"
    whole = client.get(url)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    for wanted, first, last in (("100-", 100, 255), ("10-19", 10, 19)):
        rest = client.get(url, headers={"range": f"bytes={wanted}"})
        assert (rest.status_code, rest.content) == (206, bytes(range(first, last + 1)))
        assert rest.headers["content-range"] == f"bytes {first}-{last}/256"
    headers = {"range": "bytes=100-", "if-range": '"another file"'}
    assert client.get(url, headers=headers).content == whole.content, (
        "the file was made again meanwhile"
    )


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b'{"choice": 7, "tab": "data"}', 200),
        (b"[" * 10_000, 400),
        (b"7", 400),
        (b'{"choice": 7}', 400),
        (b'"\xff"', 400),
        (b" " * 20_000, 413),
    ],
)
def test_the_open_tab_s_signature_is_told_in_one_request(
    client: TestClient, question: bytes, status: int
) -> None:
    answer = client.post(pulse.PATH, content=question, headers={"origin": OURS})
    assert answer.status_code == status
    assert status != 200 or answer.json() == "data 7"


def test_with_a_password_the_signature_is_for_who_gave_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.app, "auth", {"owner": "secret"})
    question = {"json": {"choice": {}, "tab": "data"}, "headers": {"origin": OURS}}
    assert client.post(pulse.PATH, **question).status_code == 401
    monkeypatch.setitem(client.app.tokens, "token", "owner")  # type: ignore[attr-defined]
    client.cookies.set(f"access-token-unsecure-{client.app.cookie_id}", "token")  # type: ignore[attr-defined]
    assert client.post(pulse.PATH, **question).status_code == 200
    client.cookies.clear()


def test_launching_turns_off_telemetry_and_sharing() -> None:
    arguments = launch_arguments(Path("/exports"), repeated)
    off = (
        "share",
        "enable_monitoring",
        "run_history",
        "mcp_server",
        "show_error",
        "pwa",
        "ssr_mode",
    )
    assert [arguments[name] for name in off] == [False] * len(off)
    assert arguments["strict_cors"] is True
    assert (arguments["allowed_paths"], arguments["footer_links"]) == (["/exports"], [])


def test_an_idle_page_rarely_looks_for_events(blocks: gr.Blocks) -> None:
    assert (
        blocks._queue.sleep_when_free >= 0.01
    )  # seconds; each look takes the processor from whatever trains


def test_only_system_fonts_are_used(blocks: gr.Blocks) -> None:
    look = launch_arguments(Path("/exports"), repeated)["theme"]
    assert not look._stylesheets
    assert "http" not in look._get_theme_css().replace("http://www.w3.org/2000/svg", "")
    assert "http" not in (STATIC / "style.css").read_text("utf-8")


def test_the_page_opens_without_the_training_libraries(tmp_path: Path) -> None:
    code = (
        "import sys; from ui.services.app import App; from ui.web.page import build; from backend.settings import *\n"
        f"build(app := App(Workspace.open(Path({str(tmp_path)!r}))))\napp.models.probe()\n"
        "heavy = ('torch', 'transformers', 'trl', 'peft', 'datasets', 'llama_cpp', 'xllamacpp')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


CHOICES = {
    "nothing chosen": Choice(), "data chosen": Choice(task="voice", data_id=DATA),
    "a run done": Choice(data_id=DATA, run_id="run-a"), "a run going": Choice(data_id=DATA, run_id="run-b"),
    "a run cut off": Choice(data_id=DATA, run_id="run-c"),
}  # fmt: skip


@pytest.mark.parametrize("situation", CHOICES)
def test_every_tab_can_be_shown_at_any_time(app: MadeUpApp, situation: str) -> None:
    for name, tab in tabs(app).items():
        shown = tab.show(CHOICES[situation])
        assert set(shown) <= set(tab.outputs), name
        hash(tab.signature(CHOICES[situation]))


@pytest.mark.parametrize("situation", CHOICES)
def test_a_disabled_button_says_why(app: MadeUpApp, situation: str) -> None:
    made = tabs(app)
    parts = {**made, "train": made["train"].planning}
    reasons = {
        "start": "reason",
        "data": "reason",
        "train": "why_not",
        "try": "why_not",
        "share": "why_not",
    }
    buttons = {
        "start": "forward",
        "data": "forward",
        "train": "start",
        "try": "forward",
        "share": "make",
    }
    for name, field in reasons.items():
        shown = made[name].show(CHOICES[situation])
        button, reason = (
            shown.get(getattr(parts[name], buttons[name])),
            shown.get(getattr(parts[name], field)),
        )
        if button is not None and button.get("visible", True):
            assert bool(reason) != button["interactive"], name


def test_ticks_and_the_learning_rate_are_shown(app: MadeUpApp) -> None:
    assert 'data-done=""' in finished_steps(app, Choice())
    assert 'data-done="start data train"' in finished_steps(app, CHOICES["a run done"])
    assert "Done: Start, Data." in finished_steps(app, CHOICES["a run going"])
    tab = tabs(app)["train"]
    drawn = tab.show(CHOICES["a run going"])[tab.running.learning]
    assert "learning rate, 0.0002" in drawn
    assert "e-0" not in drawn


class TestExampleNumber:
    """The number above the preview: what the browser sends is the number as typed, None
    for letters or nothing.
    """

    def answer(
        self, page: Page, typed: object, part: str = "row", event: str = "blur"
    ) -> dict[Any, Any]:
        """The answer to an event of a part of the preview while example 3 is shown and
        this is typed.
        """
        preview = page.tabs["data"].preview
        typing = {preview.row: preview.row.preprocess(typed)}
        return answer(
            page, getattr(preview, part), event, Choice(data_id=DATA, row=3), typing
        )

    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            (0, "There is no example 0. Type a whole number from 1 to 60."), (-3, "There is no example -3. "),
            (ROWS + 1, "There is no example 61. "), (2.5, "There is no example 2.5. "),
            (1e9, "There is no example 1,000,000,000. "), (None, "Type a whole number from 1 to 60."),
            ("seven", "Type a whole number from 1 to 60."), ([3], "Type a whole number from 1 to 60."),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        ("part", "event"), [("row", "blur"), ("row", "submit"), ("on", "click")]
    )
    def test_a_number_without_an_example_is_reported_and_put_back(
        self, page: Page, typed: object, expected: str, part: str, event: str
    ) -> None:
        preview = page.tabs["data"].preview
        answer = self.answer(page, typed, part, event)
        assert answer[preview.row] == 3
        assert set(answer) == {preview.row, preview.refused}, "all else stays"
        assert expected in answer[preview.refused]

    def test_the_example_of_a_number_is_shown_and_an_error_disappears(
        self, page: Page
    ) -> None:
        preview = page.tabs["data"].preview
        answer = self.answer(page, 12)
        assert page.state.changed(answer) == {"row": 12}
        assert self.answer(page, 3) == {preview.refused: ""}, "it is shown already"

    def test_next_shows_the_next_example_or_the_typed_one(self, page: Page) -> None:
        for part, beside in (("on", 4), ("back", 2)):
            assert page.state.changed(self.answer(page, 3, part, "click")) == {
                "row": beside
            }
            assert page.state.changed(self.answer(page, 12, part, "click")) == {
                "row": 12
            }


def test_a_deleted_run_is_reported(app: MadeUpApp) -> None:
    with pytest.raises(RunProblem, match="no run with the id"):
        tabs(app)["train"].show(Choice(run_id="gone"))


class TestTimer:
    """What happens once a second."""

    @pytest.mark.parametrize("name", ["nope", "", None])
    def test_an_unknown_tab_has_no_signature(
        self, page: Page, name: str | None
    ) -> None:
        tick = next(
            one.fn
            for one in page.blocks.fns.values()
            if one.outputs == [page.signature] and one.targets
        )
        assert tick(page.state.inputs(Choice(), open_tab=name)) == ""

    def test_each_choice_has_a_signature_of_its_own(self, page: Page) -> None:
        old, new = Choice(task="voice"), Choice(task="voice", facts_change=True)
        assert page.signature_of("start", old) != page.signature_of("start", new)
        assert page.signature_of("start", new) == page.signature_of("start", new)
        advice = page.tabs["start"].advice
        assert page.show("start", page.state.inputs(old))[advice] == ""
        assert (
            "looking them up works better"
            in page.show("start", page.state.inputs(new))[advice]
        )

    def test_an_opened_tab_says_what_the_next_tick_would(self, page: Page) -> None:
        opened = page.open("data", page.state.inputs(Choice()))
        assert opened[page.signature] == f"shown:{page.signature_of('data', Choice())}"

    def test_a_run_that_moves_on_changes_the_signature(
        self, app: MadeUpApp, page: Page
    ) -> None:
        before = page.signature_of("train", CHOICES["a run going"])
        app.end("run-b", State.STOPPED)
        assert page.signature_of("train", CHOICES["a run going"]) != before
        shown = page.show("train", page.state.inputs(CHOICES["a run going"]))
        assert "Training was stopped." in shown[page.tabs["train"].line]
        assert 'data-done="start data train"' in shown[page.finished]

    def test_what_happens_while_a_tab_is_read_is_in_the_answer(
        self, app: MadeUpApp, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tab = page.tabs["train"]
        slow = Mock(
            side_effect=lambda choice: (
                type(tab).show(tab, choice),
                app.end("run-b", State.STOPPED),
            )[0]
        )
        monkeypatch.setattr(tab, "show", slow)
        shown = page.show_latest("train", page.state.inputs(CHOICES["a run going"]))
        assert "Training was stopped." in shown[tab.line]

    def test_a_run_deleted_elsewhere_is_no_longer_chosen(
        self, app: MadeUpApp, page: Page
    ) -> None:
        before = page.signature_of("train", CHOICES["a run going"])
        app.end("run-b", State.STOPPED)
        app.delete_run("run-b")
        assert page.signature_of("train", CHOICES["a run going"]) != before
        shown = page.show("train", page.state.inputs(CHOICES["a run going"]))
        assert page.state.changed(shown) == {"run_id": ""}
        assert plan_view.PLAN in shown[page.tabs["train"].planning.plan]

    def test_an_error_is_shown_once_and_without_its_details(
        self, app: MadeUpApp, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            app.runs, "curve", Mock(side_effect=OSError("/secret/place"))
        )
        choice = CHOICES["a run going"]
        assert page.signature_of("train", choice) == page.signature_of("train", choice)
        assert "secret" not in page.signature_of("train", choice)
        shown = page.show("train", page.state.inputs(choice))
        assert set(shown) == {page.tabs["train"].line}
        assert 'role="alert"' in shown[page.tabs["train"].line]
        assert "secret" not in shown[page.tabs["train"].line]


def written(tab: Any, answer: dict[Any, Any]) -> dict[str, Any]:
    """What an answer has written into the settings' inputs, but for those in which a
    person types meanwhile.
    """
    return {
        name: field["update"]["value"]
        for name, field in answer[tab.form.answer]["fields"].items()
    }


def labelled(page: Page, label: str) -> Any:
    return next(
        part
        for part in page.blocks.blocks.values()
        if getattr(part, "value", None) == label
    )


class TestTrain:
    """A number that can't be taken, and settings that can't be read."""

    def leave(self, page: Page, setting: str, value: Any) -> dict[Any, Any]:
        """The page's answer after the browser has stored the value of a field that was
        left.
        """
        field, fns = page.tabs["train"].form.fields[setting], page.blocks.fns
        left = next(at for at, one in fns.items() if (field._id, "blur") in one.targets)
        judge = next(one for one in fns.values() if one.trigger_after == left)
        updates: dict[Any, Any] = judge.fn(
            page.state.inputs(Choice(data_id=DATA, settings={setting: value}))
        )
        return updates

    def test_an_invalid_value_is_reported_at_its_field_and_blocks_training(
        self, page: Page
    ) -> None:
        tab = page.tabs["train"]
        judged = self.leave(page, "learning_rate", 5.0)
        assert written(tab, judged)["learning_rate"] == 5.0, "what was typed is kept"
        reply = judged[tab.form.answer]["fields"]["learning_rate"]["update"]["info"]
        assert "Learning rate can't be 5." in reply
        assert "from 0.00000001 to 0.1" in reply
        assert "0.0005." in reply, "the recommended one"
        assert not judged[tab.planning.start]["interactive"]
        assert "Learning rate can't be 5." in judged[tab.planning.why_not]
        wrong = Choice(data_id=DATA, settings={"learning_rate": 5.0})
        assert "can't be 5" in tab.show(wrong)[tab.planning.why_not], (
            "also after a reload"
        )
        assert written(tab, tab.form.restore(wrong))["learning_rate"] == 5.0
        with pytest.raises(gr.Error, match="can"):
            answer(page, tab.planning.start, "click", wrong)

    @pytest.mark.parametrize(("typed", "named"), [(8.5, "8.5"), (10**20, "1e+20")])
    def test_a_fraction_or_more_than_64_bits_is_named_not_rounded(
        self, page: Page, typed: float, named: str
    ) -> None:
        reply = self.leave(page, "seed", typed)[page.tabs["train"].form.answer]
        assert f"can't be {named}." in reply["fields"]["seed"]["update"]["info"]
        assert orjson.loads(orjson.dumps(reply))["changed"] == {"seed": typed}

    def test_a_corrected_value_counts_and_its_help_is_back(self, page: Page) -> None:
        tab = page.tabs["train"]
        answer = self.leave(page, "learning_rate", 0.01)
        reply = answer[tab.form.answer]["fields"]["learning_rate"]["update"]
        assert (reply["value"], reply["elem_classes"]) == (0.01, [])
        assert "can't be" not in answer[tab.planning.why_not]
        assert "You changed this." in answer[tab.planning.plan]

    def test_another_trainer_has_its_own_settings_and_survives_a_reset(
        self, page: Page
    ) -> None:
        tab = page.tabs["train"]
        choice = Choice(
            data_id=DATA, settings={"trainer": "dpo", "learning_rate": 0.01}
        )
        reset = answer(
            page, labelled(page, "Back to the recommended settings"), "click", choice
        )
        assert (page.state.changed(reset), written(tab, reset)["trainer"]) == (
            {"settings": {"trainer": "dpo"}},
            "dpo",
        )
        assert reset[tab.planning.goal]["visible"]

    def test_runs_that_go_first_are_named(self, app: MadeUpApp, page: Page) -> None:
        tab = page.tabs["train"]
        assert (
            "is trained first; this one begins after it."
            in tab.show(Choice(data_id=DATA))[tab.line]
        )
        assert "first" not in tab.show(Choice())[tab.line], "there is no this one yet"
        respec(
            app.workspace,
            "run-b",
            descent={"first": "run-a", "parent": "run-a", "version": 2},
        )
        shown = tab.show(Choice(data_id=DATA))
        assert "Orders to fields, version 2 is trained first" in shown[tab.line]
        working = page.show("train", page.state.inputs(Choice(data_id=DATA)))[
            page.working
        ]
        assert "<strong>Orders to fields, version 2</strong>" in working
        before = tab.signature(Choice(data_id=DATA))
        add_run(app.workspace, "run-d", State.QUEUED)
        assert "2 other runs go first" in tab.show(Choice(data_id=DATA))[tab.line]
        assert tab.signature(Choice(data_id=DATA)) != before, "the page looks again"
        for run_id in ("run-b", "run-d"):
            app.end(run_id, State.STOPPED)
        assert "You can close the page" in tab.show(Choice(data_id=DATA))[tab.line]

    def test_a_name_is_for_one_run_and_has_a_default(
        self, app: MadeUpApp, page: Page
    ) -> None:
        app.fix()
        tab = page.tabs["train"]
        assert (
            tab.show(Choice(data_id=DATA))[tab.planning.called]["placeholder"]
            == "Orders"
        )
        begun = answer(
            page,
            tab.planning.start,
            "click",
            Choice(data_id=DATA),
            {tab.planning.called: " Mine "},
        )
        assert "<strong>Mine</strong>" in begun[tab.line]
        assert begun[tab.planning.called] == ""

    def test_an_unexpected_error_replaces_the_plan(
        self, app: MadeUpApp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            app.planning, "plan", Mock(side_effect=OSError("/secret/place"))
        )
        tab = tabs(app)["train"]
        shown = tab.show(Choice(data_id=DATA))
        assert web_errors.OURS.what in shown[tab.planning.plan]
        assert "secret" not in shown[tab.planning.plan]

    def test_the_memory_is_shown_part_by_part_with_its_sources(
        self, page: Page
    ) -> None:
        tab = page.tabs["train"]
        reply = tab.show(Choice(data_id=DATA))[tab.planning.plan]
        assert PARTS["adapter"][0] in reply
        assert "Hu et al." in reply
