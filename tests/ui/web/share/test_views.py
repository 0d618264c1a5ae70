"""Share's HTML: the sizes of GGUF files, what each lost, where a file can be used, and
how to do without a Space.
"""

import json
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from backend.errors import BadSetting
from backend.records.exports import Check, ExportFile, ExportResult, GgufFile, Program
from backend.records.units import MIB
from backend.runs.conversations import write_conversations
from jobs.records import Progress, State
from tests.ui.conftest import answer
from tests.ui.fake_records import job
from tests.ui.made_up_app import MadeUpApp
from ui.records.models import TokenStatus
from ui.records.share import ExportStatus
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.share import endpoint_card, views
from ui.web.start import download_card

SIZES = (
    GgufFile(kind="F16", bytes=259 * MIB, same_choice=1.0, places=300),
    GgufFile(
        kind="Q8_0", bytes=138 * MIB, same_choice=0.997, places=300, recommended=True
    ),
    GgufFile(
        kind="Q4_K_M", bytes=100 * MIB, same_choice=0.94, places=300, too_narrow=0.78
    ),
)
GUIDE = Program(
    name="Ollama",
    what="Runs.",
    steps=("One.", "Two.", "Three."),
    code="ollama run a",
    source="https://docs.ollama.com",
)
FILE = ExportFile(name="a-Q8_0.gguf", bytes=138 * MIB, sha256="0f" * 32)


def status(**found: Any) -> ExportStatus:
    result = ExportResult(files=(FILE,), **found)
    return ExportStatus(
        job("e", State.COMPLETED, name="gguf:F16,gguf:Q8_0"), Path("/x"), result
    )


def test_exports_show_sizes_programs_and_the_instruction() -> None:
    shown = views.export(status(sizes=SIZES))
    assert shown.count("(recommended)") == 1
    for words in ("138 MB", "99.7% of 300 positions", "94.0%", "78% of the weights"):
        assert words in shown
    shown = views.export(status(programs=(GUIDE,)), "Be <warm>.")
    assert "Ollama" in shown
    assert "<li>Two.</li>" in shown
    assert "ollama run a" in shown
    assert "Be &lt;warm&gt;." in shown
    assert "Where to use it" not in views.export(status())


def test_the_folder_to_give_away_comes_first_and_each_step_is_named(
    app: MadeUpApp, page: Page
) -> None:
    names = ("a-website.zip", "a-how-to-use.txt", "a-page.zip")
    made = status(programs=(GUIDE,))
    files = tuple(
        ExportFile(name=name, bytes=900 - len(name), sha256="0f" * 32) for name in names
    )
    page_job, result = (
        job("e", State.COMPLETED, name="page"),
        made.result.model_copy(update={"files": files}),
    )
    shown = views.export(replace(made, job=page_job, result=result))
    assert re.findall('download="(.*?)"', shown.partition("<details")[0]) == [
        "a-page.zip"
    ]
    assert all(name in shown for name in names)
    for phase, words in (
        ("Merging", "Putting what it learned into the model: 25% of this step."),
        ("Checking", "Checking that it is still the same model."),
        ("Writing the script", "Writing the script."),
    ):
        now = job(
            "e",
            State.RUNNING,
            name="page",
            progress=Progress(phase=phase, done=1, total=4),
        )
        shown = views.export(replace(made, job=now))
        assert words in shown
        assert "aria-valuenow" not in shown, "how far the whole is is not known"
        assert "Cancel" in shown
    export = app.results.start_export("run-a", "adapter")
    answer(
        page,
        page.tabs["share"].exports,
        "click",
        Choice(run_id="run-a"),
        clicked=("cancel", export),
    )
    [line] = [line for line in app.results.exports("run-a") if line.job.id == export]
    assert (line.job.state, "Nothing was made." in views.export(line)) == (
        State.STOPPED,
        True,
    )


def test_types_say_what_fits_and_how_to_get_more() -> None:
    offered = {
        key: words
        for words, key in views.gguf_types(
            {"gguf:Q6_K": (132.0, 132.0)}, {"Q6_K": 0.78}
        )
    }
    assert "132" in offered["gguf:Q6_K"]
    assert "78%" in offered["gguf:Q6_K"]
    assert "%" not in offered["gguf:Q8_0"]
    assert set(offered) == {
        f"gguf:{kind}" for kind in ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")
    }
    assert [key for _, key in views.gguf_types({}, {}, False)] == [
        "gguf:F16",
        "gguf:Q8_0",
    ], "not what can't be made"
    assert "compiler" in views.types_note(False)
    assert "compiler" not in views.types_note(True)


def test_a_failed_check_hides_the_download_behind_a_warning() -> None:
    checks = (
        Check(ok=True, sentence="It loads."),
        Check(ok=False, sentence="It never ends its answers."),
    )
    failed = views.export(status(checks=checks, sizes=SIZES, programs=(GUIDE,)))
    warning, _, hidden = failed.partition("<details")
    assert 'role="alert"' in warning
    assert "It never ends its answers." in warning
    assert "a-Q8_0.gguf" not in warning
    assert "a-Q8_0.gguf" in hidden, "one press away"
    assert (
        "<details"
        not in views.export(status(checks=checks[:1])).partition("a-Q8_0.gguf")[0]
    )


def test_only_a_space_says_how_to_go_on_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/demo")
    card = views.at_home()
    assert "https://huggingface.co/spaces/owner/demo?duplicate=true" in card
    assert "git clone https://huggingface.co/spaces/owner/demo" in card
    monkeypatch.delenv("SPACE_ID")
    assert not views.at_home()


def test_addresses_keys_and_tokens_are_shown_only_where_they_belong() -> None:
    shown = endpoint_card.web_form("http://127.0.0.1:8080/v1", "orders", "k-123")
    page = b64decode(shown.partition("base64,")[2].partition('"')[0]).decode()
    assert "http://127.0.0.1:8080/v1/chat/completions" in page
    assert '"k-123"' in page
    assert "download=" in shown
    assert (
        endpoint_card.web_form("http://127.0.0.1:8080/v1", "orders", "").count("<a ")
        == 0
    )
    asked = download_card.token(TokenStatus("", "keyring"), "Write")
    assert 'type="password"' in asked
    assert "value=" not in asked
    kept = download_card.token(TokenStatus("keyring", "keyring"), "Write")
    assert "password" not in kept.replace("where passwords are kept", "")
    assert 'data-do="forget-token"' in kept
    assert "<form" not in download_card.token(
        TokenStatus("", "", "Not on a shared server."), "Write"
    )


def test_a_typed_token_is_saved_as_the_command_line_saves_it(
    page: Page, app: MadeUpApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    monkeypatch.setattr(app.downloads, "save_token", saved.append)
    card, typed = page.tabs["share"].hub, json.dumps({"token": "hf_abc"})
    shown = answer(
        page, card.token, "click", Choice(run_id="run-a"), clicked=("token", typed)
    )
    assert saved == ["hf_abc"]
    assert "hf_abc" not in str(shown)


def test_the_form_of_the_answers_can_be_changed(app: MadeUpApp, page: Page) -> None:
    learned = [
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": '{"a": 1}'},
        ]
    ]
    write_conversations(app.runs.folder("run-a"), "train", learned)
    choice, card = Choice(run_id="run-a"), page.tabs["share"].endpoint

    def save(text: str) -> str:
        clicked = ("form", json.dumps({"form": text}))
        return str(answer(page, card.form, "click", choice, clicked=clicked)[card.form])

    for typed, reason in (
        ("{", "not a JSON"),
        ("[]", "not a JSON object"),
        ('{"oneOf": []}', "satisfied: oneOf"),
    ):
        with pytest.raises(gr.Error, match=reason):
            save(typed)
    assert "&#34;a&#34;" in card.show(choice, "")[card.form]
    assert "&#34;b&#34;" in save(
        '{"properties": {"b": {}}, "required": ["b"], "additionalProperties": false}'
    )
    assert "b" in (app.endpoints.form("run-a") or {})["properties"]
    assert "&#34;a&#34;" in save("")
    (app.runs.folder("run-a") / "form.json").write_text('{"type": "tüxt"}', "utf-8")
    assert "tüxt" in card.show(choice, "")[card.form]
    with pytest.raises(BadSetting, match=r"run-a/form\.json has “type”"):
        app.endpoints.start("run-a", in_form=True)


def test_the_key_of_an_endpoint_is_known_until_it_is_stopped(app: MadeUpApp) -> None:
    endpoint, key = app.endpoints.start("run-a")
    assert app.endpoints.key(endpoint.job.id) == key
    app.endpoints.stop(endpoint.job.id)
    assert app.endpoints.key(endpoint.job.id) == ""
