"""The way to a model that is not here, as it is drawn and as it is walked; an access token comes into no page."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from markupsafe import escape

from backend.errors import BadInput
from backend.models import catalogue, hub_token
from backend.models.hub_token import TokenSource
from backend.records.specs import Hardware
from backend.settings import SAMPLES, Workspace
from jobs.folder import JobFolder
from jobs.records import Failure, Progress, State
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE
from tests.ui.conftest import in_loop
from tests.ui.fake_records import job
from ui.records import DownloadStatus, TokenStatus
from ui.services.app import App
from ui.services.models import NOT_OWN, SIMULATED
from ui.services.selection import Choice
from ui.web import page as web_page
from ui.web.start import download_card

OPEN = catalogue.find("HuggingFaceTB/SmolLM2-360M-Instruct")
GATED = catalogue.find("meta-llama/Llama-3.2-1B-Instruct")
SECRET = "hf_" + "s3cr3t" * 6
FIELD = 'type="password" name="token" autocomplete="off"'


def drawn(place: TokenSource = "", keeper: TokenSource = "keyring", **more: Any) -> str:
    return download_card.fetching(
        DownloadStatus(GATED, **{"job": None, "has_partial": False, "token": TokenStatus(place, keeper)} | more)
    )


class TestDownload:
    def test_a_model_that_everybody_may_have_has_a_button_and_nothing_else(self) -> None:
        told = download_card.fetching(DownloadStatus(OPEN, None, False, None))
        assert f'data-do="download" data-value="{OPEN.id}"' in told
        assert "Download, 6" in told
        assert "token" not in told

    def test_it_is_watched_and_cancelled(self) -> None:
        progress = Progress(phase="Downloading Llama", done=500, total=2048, seconds_left=65.0)
        told = drawn(job=job("download-1", State.RUNNING, progress=progress))
        assert 'aria-valuenow="24"' in told
        assert "500 MB of 2.0 GB. About 1 min 5 s left." in told
        assert 'data-do="cancel"' in told
        assert "token" not in told

    def test_one_that_failed_says_why(self) -> None:
        failed = job("download-1", State.FAILED, failure=Failure(what="There is no network."))
        assert "There is no network." in drawn(job=failed)

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_goes_on_only_where_something_came(self, begun: bool) -> None:
        told = drawn(job=job("download-1", State.FAILED), has_partial=begun)
        assert ("Go on downloading, 2.3 GB" in told) == begun
        assert (">Download, 2.3 GB<" in told) == (not begun)
        assert (f'data-do="discard" data-value="{GATED.id}"' in told) == begun


class TestAccess:
    def test_three_steps_lead_to_a_model_that_must_be_asked_for(self) -> None:
        told = drawn()
        assert told.count("<li>") == 3
        assert f'<a href="https://huggingface.co/{GATED.id}" target="_blank" rel="noopener noreferrer">' in told
        assert "accept its licence, Llama 3.2 Community." in told
        assert 'href="https://huggingface.co/settings/tokens"' in told
        assert FIELD in told
        assert "kept in the keyring of this computer" in told

    def test_without_a_keyring_it_is_offered_for_as_long_as_the_app_runs(self) -> None:
        told = drawn(keeper="memory")
        assert "This computer has no keyring that can be used" in told
        assert ">Keep until Apprentice ends</button>" in told

    @pytest.mark.parametrize("place", ["keyring", "memory"])
    def test_one_that_is_kept_is_said_and_can_be_forgotten(self, place: TokenSource) -> None:
        told = drawn(place)
        assert escape(download_card.PLACES[place]) in told
        assert 'data-do="forget-token"' in told
        assert FIELD not in told

    @pytest.mark.parametrize(("place", "said"), [("environment", "HF_TOKEN"), ("login", "hf auth login")])
    def test_one_that_comes_from_elsewhere_is_not_forgotten_here(self, place: TokenSource, said: str) -> None:
        told = drawn(place)
        assert said in told
        assert "forget-token" not in told
        assert (FIELD in told) == (place == "login")  # a kept one goes before a login's

    def test_a_hosted_page_asks_for_none(self) -> None:
        told = drawn(token=TokenStatus("", "", NOT_OWN))
        assert NOT_OWN in told
        assert FIELD not in told


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workspace_with_model: Workspace) -> App:
    keyring_in_file.install(monkeypatch, tmp_path)
    return App(workspace_with_model)


def presser(app: App) -> Callable[[str, str], dict[str, str]]:
    """Presses a button, or sends a form, of the model's card on Start while GATED is chosen; gives what is drawn."""
    page = in_loop(lambda: web_page._draw(app)[1])
    tab = page.tabs["start"]
    listener = next(one for one in page.rail.parent.fns.values() if (tab.model._id, "click") in one.targets)
    given = {part: getattr(part, "value", None) for part in page.kept.inputs()}
    given[page.kept.part("model_id")] = [GATED.id]

    def press(do: str, value: str) -> dict[str, str]:
        answer = listener.fn(gr.EventData(None, {"do": do, "value": value}), given)
        assert not set(answer) & set(page.kept.outputs), "the browser keeps something of it"
        return {name: str(answer[getattr(tab, name)]) for name in ("model", "others", "line", "reason")}

    return press


def form(typed: str) -> str:
    """What the browser sends of the form."""
    return json.dumps({"token": typed})


class TestPage:
    @pytest.mark.parametrize("place", ["keyring", "memory"])
    def test_a_token_that_is_kept_stands_in_no_page_and_no_file(
        self,
        app: App,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        tmp_path: Path,
        place: TokenSource,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        if place == "memory":
            keyring_in_file.install(monkeypatch, tmp_path, NONE)
        shown = presser(app)("token", form(SECRET))
        assert (hub_token.find(), hub_token.source()) == (SECRET, place)
        assert escape(download_card.PLACES[place]) in shown["model"]
        choice = Choice(model_id=GATED.id, data_id=app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"))
        page = in_loop(lambda: web_page._draw(app)[1])
        every = {name: repr(tab.show(choice)) + repr(tab.signature(choice)) for name, tab in page.tabs.items()}
        assert "Forget it" in every["train"]
        app.models.download(GATED.id)
        assert SECRET not in repr([shown, every, page.rail.parent.get_config_file()]) + caplog.text
        files = [path for path in app.workspace.root.rglob("*") if path.is_file()]
        assert [path for path in files if SECRET.encode() in path.read_bytes()] == []

    def test_what_is_no_token_is_refused_and_not_repeated(self, app: App) -> None:
        press = presser(app)
        for typed in (form("my password"), form(""), "my password", "[]", '{"token": 7}', ""):
            with pytest.raises(gr.Error, match="not a Hugging Face access token") as refused:
                press("token", typed)
            assert "my password" not in str(refused.value)
        assert hub_token.source() == ""

    def test_it_is_forgotten(self, app: App) -> None:
        press = presser(app)
        press("token", form(SECRET))
        assert FIELD in press("forget-token", "")["model"]
        assert hub_token.find() is None

    @pytest.mark.parametrize(("machine", "said"), [("hosted", NOT_OWN), ("simulated", SIMULATED)])
    def test_a_page_that_is_not_on_ones_own_computer_neither_keeps_nor_deletes_one(
        self, app: App, monkeypatch: pytest.MonkeyPatch, machine: str, said: str
    ) -> None:
        app.models.save_token(SECRET)
        if machine == "hosted":
            monkeypatch.setenv("SPACE_ID", "somebody/something")
            other = App(app.workspace)
        else:
            other = App(app.workspace, Hardware(memory_total_mib=8000, memory_available_mib=6000))
        with pytest.raises(BadInput, match="saved or deleted"):
            other.models.save_token("hf_another")
        with pytest.raises(BadInput, match="saved or deleted"):
            other.models.delete_token()
        assert hub_token.find() == SECRET
        assert other.models.download_status(GATED.id).token == TokenStatus("", "", said)
        assert 'data-do="download"' not in download_card.fetching(other.models.download_status(GATED.id))
        with pytest.raises(BadInput):
            other.models.download(GATED.id)

    def test_a_page_that_is_open_to_the_network_asks_for_none(self, app: App) -> None:
        app = App(app.workspace, open_to_network=True)
        told = download_card.fetching(app.models.download_status(GATED.id))
        assert "models --token" in told
        assert FIELD not in told
        with pytest.raises(BadInput, match="saved or deleted"):
            app.models.save_token(SECRET)

    def test_what_failed_for_want_of_one_is_no_longer_told_once_it_is_kept(self, app: App) -> None:
        folder = JobFolder(app.workspace.run_folder(app.models.download(GATED.id)))
        refused = Failure(what="Llama 3.2 1B is not given to everybody.")
        folder.write_status(folder.status().ended_as(State.FAILED, failure=refused))
        assert refused.what in download_card.fetching(app.models.download_status(GATED.id))
        app.models.save_token(SECRET)
        assert refused.what not in download_card.fetching(app.models.download_status(GATED.id))

    def test_a_download_goes_on_only_where_something_came(self, app: App) -> None:
        def failed() -> None:
            folder = JobFolder(app.workspace.run_folder(app.models.download(GATED.id)))
            ended = folder.status().ended_as(State.FAILED, failure=Failure(what="There is no network."))
            folder.write_status(ended)

        failed()
        assert ">Download, 2.3 GB<" in download_card.fetching(app.models.download_status(GATED.id))
        part = app.workspace.models / ".meta-llama--Llama-3.2-1B-Instruct.part"
        part.mkdir()
        (part / "config.json.part").touch()
        assert ">Download, 2.3 GB<" in download_card.fetching(app.models.download_status(GATED.id))
        (part / "config.json.part").write_text("{")
        assert "Go on downloading" in download_card.fetching(app.models.download_status(GATED.id))
        failed()  # a later try that fetched nothing does not hide what came before
        assert "Go on downloading" in download_card.fetching(app.models.download_status(GATED.id))
