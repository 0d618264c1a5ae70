"""The card for a model that is not on this computer; an access token never gets into a
page or a file.
"""

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
from backend.records.machine import Hardware
from backend.settings import SAMPLES, Workspace
from jobs.folder import JobFolder
from jobs.records import Failure, Progress, State
from tests.backend import keyring_in_file
from tests.backend.keyring_in_file import NONE
from tests.ui.conftest import answer, page_of
from tests.ui.fake_records import job
from tests.ui.made_up_app import NeverCompared
from ui.records.models import DownloadStatus, TokenStatus
from ui.services.app import App
from ui.services.machine.downloads import NOT_OWN
from ui.services.machine.models import SIMULATED
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.start import download_card

OPEN = catalogue.find("HuggingFaceTB/SmolLM2-360M-Instruct")
GATED = catalogue.find("meta-llama/Llama-3.2-1B-Instruct")
SECRET = "hf_" + "s3cr3t" * 6
FIELD = 'type="password" name="token" autocomplete="off"'


def card(place: TokenSource = "", keeper: TokenSource = "keyring", **more: Any) -> str:
    known = {"job": None, "has_partial": False, "token": TokenStatus(place, keeper)}
    return download_card.fetching(DownloadStatus(GATED, **known | more))


class TestDownload:
    def test_an_open_model_has_a_button_and_nothing_else(self) -> None:
        html = download_card.fetching(DownloadStatus(OPEN, None, False, None))
        assert f'data-do="download" data-value="{OPEN.id}"' in html
        assert "695 MB" in html
        assert "token" not in html

    def test_a_running_download_shows_progress_and_can_be_cancelled(self) -> None:
        progress = Progress(
            phase="Downloading Llama", done=500, total=2048, seconds_left=65.0
        )
        html = card(job=job("download-1", State.RUNNING, progress=progress))
        assert 'aria-valuenow="24"' in html
        assert all(amount in html for amount in ("500 MB", "2.0 GB", "1 min 5 s"))
        assert 'data-do="cancel"' in html
        assert "token" not in html


class TestAccess:
    def test_a_gated_model_takes_two_steps(self) -> None:
        html = card()
        assert html.count("<li>") == 2
        assert (
            f'<a href="https://huggingface.co/{GATED.id}" target="_blank" rel="noopener noreferrer">'
            in html
        )
        assert "Llama 3.2 Community" in html
        assert 'href="https://huggingface.co/settings/tokens"' in html
        assert FIELD in html
        assert escape(download_card.KEEPERS["keyring"][1]) in html

    def test_without_a_keyring_the_token_can_be_kept_in_memory(self) -> None:
        html = card(keeper="memory")
        assert all(escape(words) in html for words in download_card.KEEPERS["memory"])

    @pytest.mark.parametrize(
        ("place", "word"), [("environment", "HF_TOKEN"), ("login", "hf auth login")]
    )
    def test_a_token_from_elsewhere_cannot_be_deleted_here(
        self, place: TokenSource, word: str
    ) -> None:
        html = card(place)
        assert word in html
        assert "forget-token" not in html
        assert (FIELD in html) == (
            place == "login"
        )  # a saved one is used before a login's

    def test_a_hosted_page_asks_for_no_token(self) -> None:
        html = card(token=TokenStatus("", "", NOT_OWN))
        assert escape(NOT_OWN) in html
        assert FIELD not in html


@pytest.fixture
def app(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workspace_with_model: Workspace
) -> App:
    keyring_in_file.install(monkeypatch, tmp_path)
    app = App(workspace_with_model)
    app.advice.recommended = NeverCompared()
    return app


def clicker(app: App) -> Callable[[str, str], dict[str, str]]:
    """Clicks a button or sends a form of the model card on Start while GATED is chosen;
    returns the HTML.
    """
    page = page_of(app)
    tab = page.tabs["start"]

    def click(do: str, value: str) -> dict[str, str]:
        updates = answer(
            page, tab.model, "click", Choice(model_id=GATED.id), clicked=(do, value)
        )
        assert not page.state.changed(updates), "the browser stores something of it"
        return {
            name: str(updates[getattr(tab, name)])
            for name in ("model", "others", "line", "reason")
        }

    return click


def form(typed: str) -> str:
    """What the browser sends of the form."""
    return json.dumps({"token": typed})


class TestPage:
    def test_any_model_of_the_hub_is_looked_up_shown_chosen_and_removed(
        self, app: App
    ) -> None:
        page, name = page_of(app), "someone/Their-Model"

        def click(do: str, value: str) -> dict[str, str]:
            tab = page.tabs["start"]
            updates = answer(
                page, tab.another, "click", Choice(begun=True), clicked=(do, value)
            )
            return {
                card: str(updates[getattr(tab, card)])
                for card in ("another", "model", "here")
            }

        with pytest.raises(gr.Error, match="not the name of a model"):
            click("look-up", json.dumps({"name": "../up"}))
        with pytest.raises(gr.Error, match="in the list of models already"):
            click(
                "look-up",
                json.dumps({"name": f"https://huggingface.co/{OPEN.id.lower()}"}),
            )
        assert (
            "Waiting for its turn"
            in click("look-up", json.dumps({"name": name}))["another"]
        )
        app.runner.stop(app.downloads.start(name))
        facts = {
            "id": name,
            "download_mib": None,
            "languages": (),
            "commercial_use": None,
        }
        unknown = OPEN.architecture.model_copy(update={"linear_layers": ()})
        found = OPEN.model_copy(update={**facts, "architecture": unknown})
        (app.workspace.models / f".someone--Their-Model{catalogue.SAID}").write_text(
            found.model_dump_json()
        )
        shown = click("model", name)
        assert "unknown size to download, license: Apache-2.0" in shown["another"]
        assert "it may fit this computer" in shown["here"]
        for words in ("read what it allows", f'data-do="download" data-value="{name}"'):
            assert words in shown["model"]
        assert app.validated(Choice(model_id=name)).model_id == name
        assert name not in click("discard", name)["another"]
        assert app.validated(Choice(model_id=name)).model_id == ""

    @pytest.mark.parametrize(
        "place", ["keyring", pytest.param("memory", marks=pytest.mark.slow)]
    )
    def test_a_saved_token_is_in_no_page_and_no_file(
        self, app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path,
        place: TokenSource,
    ) -> None:  # fmt: skip
        caplog.set_level(logging.DEBUG)
        if place == "memory":
            keyring_in_file.install(monkeypatch, tmp_path, NONE)
        shown = clicker(app)("token", form(SECRET))
        assert (hub_token.find(), hub_token.source()) == (SECRET, place)
        assert escape(fmt.PLACES[place]) in shown["model"]
        assert FIELD not in shown["model"]
        choice = Choice(
            model_id=GATED.id,
            data_id=app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"),
        )
        page = page_of(app)
        every = {
            name: repr(tab.show(choice)) + repr(tab.signature(choice))
            for name, tab in page.tabs.items()
        }
        assert 'data-do="forget-token"' in every["train"]
        app.downloads.start(GATED.id)
        assert (
            SECRET
            not in repr([shown, every, page.blocks.get_config_file()]) + caplog.text
        )
        files = [path for path in app.workspace.root.rglob("*") if path.is_file()]
        assert [path for path in files if SECRET.encode() in path.read_bytes()] == []

    def test_an_invalid_token_is_rejected_and_not_repeated(self, app: App) -> None:
        click = clicker(app)
        for typed in (
            form("my password"),
            form(""),
            "my password",
            "[]",
            '{"token": 7}',
            "",
        ):
            with pytest.raises(
                gr.Error, match="not a Hugging Face access token"
            ) as refused:
                click("token", typed)
            assert "my password" not in str(refused.value)
        assert hub_token.source() == ""

    def test_a_token_can_be_deleted(self, app: App) -> None:
        click = clicker(app)
        click("token", form(SECRET))
        assert FIELD in click("forget-token", "")["model"]
        assert hub_token.find() is None

    @pytest.mark.parametrize(
        ("machine", "why_not"), [("hosted", NOT_OWN), ("simulated", SIMULATED)]
    )
    def test_a_hosted_or_simulated_page_neither_saves_nor_deletes_a_token(
        self, app: App, monkeypatch: pytest.MonkeyPatch, machine: str, why_not: str
    ) -> None:
        app.downloads.save_token(SECRET)
        if machine == "hosted":
            monkeypatch.setenv("SPACE_ID", "somebody/something")
            other = App(app.workspace)
        else:
            other = App(
                app.workspace,
                Hardware(memory_total_mib=8000, memory_available_mib=6000),
            )
        with pytest.raises(BadInput, match="saved or deleted"):
            other.downloads.save_token("hf_another")
        with pytest.raises(BadInput, match="saved or deleted"):
            other.downloads.delete_token()
        assert (hub_token.find(), other.downloads.status(GATED.id).token) == (
            SECRET,
            TokenStatus("", "", why_not),
        )
        assert 'data-do="download"' not in download_card.fetching(
            other.downloads.status(GATED.id)
        )
        with pytest.raises(BadInput):
            other.downloads.start(GATED.id)

    def test_a_page_open_to_the_network_asks_for_no_token(self, app: App) -> None:
        app = App(app.workspace, open_to_network=True)
        html = download_card.fetching(app.downloads.status(GATED.id))
        assert "models --token" in html
        assert FIELD not in html
        with pytest.raises(BadInput, match="saved or deleted"):
            app.downloads.save_token(SECRET)

    def test_a_failure_for_lack_of_a_token_goes_once_it_is_saved(
        self, app: App
    ) -> None:
        folder = JobFolder(app.workspace.run_folder(app.downloads.start(GATED.id)))
        refused = Failure(what="Llama 3.2 1B is not given to everybody.")
        folder.write_status(folder.status().ended_as(State.FAILED, failure=refused))
        assert refused.what in download_card.fetching(app.downloads.status(GATED.id))
        app.downloads.save_token(SECRET)
        assert refused.what not in download_card.fetching(
            app.downloads.status(GATED.id)
        )

    def test_resuming_needs_files_that_arrived(self, app: App) -> None:
        def failed() -> None:
            folder = JobFolder(app.workspace.run_folder(app.downloads.start(GATED.id)))
            ended = folder.status().ended_as(
                State.FAILED, failure=Failure(what="There is no network.")
            )
            folder.write_status(ended)

        failed()
        assert f">{download_card.label(GATED)}<" in download_card.fetching(
            app.downloads.status(GATED.id)
        )
        part = app.workspace.models / ".meta-llama--Llama-3.2-1B-Instruct.part"
        part.mkdir()
        (part / "model.safetensors.part").touch()
        assert f">{download_card.label(GATED)}<" in (
            html := download_card.fetching(app.downloads.status(GATED.id))
        )
        assert "discard" not in html
        (part / "model.safetensors.part").write_text("{")
        assert f">{download_card.label(GATED)}<" not in download_card.fetching(
            app.downloads.status(GATED.id)
        )
        failed()  # a later attempt that downloaded nothing does not hide the earlier files
        assert f'data-do="discard" data-value="{GATED.id}"' in download_card.fetching(
            app.downloads.status(GATED.id)
        )
