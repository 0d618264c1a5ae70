"""The whole way in a real browser: sample, plan, training with a stop, a resume and a
reload, talking to both models, and a GGUF file that answers outside the page.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.models import bundled
from backend.settings import Workspace
from jobs.records import State
from jobs.runner import Runner
from tests.app_command import command
from tests.browser.conftest import app_page, until
from tests.browser.steps import unfold
from tests.linked_model import link_gguf
from tests.measured_speed import store_speed

pytestmark = pytest.mark.browser

LONG = 300_000  # milliseconds: a training step takes seconds on a busy computer
STEPS = 20  # so many that Stop comes before the last, also where the page is slow


@pytest.fixture(
    params=[
        "workspace_with_layers",
        pytest.param("workspace_with_model", marks=pytest.mark.slow),
    ]
)
def workspace(request: pytest.FixtureRequest, bundled_gguf: Path | None) -> Workspace:
    """With the bundled model, or its first layers in its place, which take a fraction
    of the time; then no job measures this computer first.
    """
    workspace: Workspace = request.getfixturevalue(request.param)
    if request.param == "workspace_with_layers":
        store_speed(workspace)
    if bundled_gguf and request.param == "workspace_with_model":
        link_gguf(bundled_gguf, bundled.folder(workspace), workspace)
    return workspace


@pytest.fixture
def page_of(workspace: Workspace) -> Iterator[str]:
    with app_page(workspace) as url:
        yield url


def events(runner: Runner) -> str:
    """Those of all trainings, as they are stored."""
    files = (
        runner.folder(job.id) / "events.jsonl" for job in runner.jobs(kind="train")
    )
    return "".join(file.read_text("utf-8") for file in files if file.is_file())


def points(page: Any, kind: str) -> int:
    """How many points the curve `kind` (training or validation) has."""
    return len(
        (page.locator(f"svg.curve .line.{kind}").get_attribute("points") or "").split()
    )


def test_from_a_sample_to_a_file_that_answers_anywhere(
    open_page: Callable[..., Any], page_of: str, workspace: Workspace, tmp_path: Path
) -> None:
    page = open_page(page_of)
    page.set_default_timeout(LONG)
    page.click("#tab-start .begin")
    page.get_by_text("Pull data out of text").click()
    page.click("#to-data")
    page.click("[data-do=sample][data-value=orders]")
    page.wait_for_selector("#tab-data .few")
    assert '"intent"' in page.locator("#tab-data .bubble.assistant").first.inner_text()
    page.click("#to-train:not([disabled])")
    page.wait_for_selector("#start-training:not([disabled])")
    for general, words in (
        ("off", "are answered as if they were this task"),
        ("on", "get an ordinary answer"),
    ):
        page.click(f"[data-do=general][data-value={general}]")
        page.get_by_text(words).wait_for()

    unfold(page)
    page.locator("#set-max_steps input").fill(str(STEPS))
    page.locator("#set-per_device_train_batch_size input").fill("2")  # short steps
    page.locator("#set-max_steps input").press("Enter")
    page.get_by_text(f"{STEPS} steps").first.wait_for(state="attached")
    page.click("#start-training:not([disabled])")

    page.locator("#stop").wait_for()
    runner = Runner(workspace)
    [run] = runner.jobs(kind="train")

    def look_away(condition: Callable[[], object]) -> None:
        """Until this is so of the run: an open page draws each of its news, for half of
        the time of this test.
        """
        until(lambda: runner.job(run.id).state not in (State.QUEUED, State.STARTING))
        page.goto("about:blank")
        until(condition)
        page.goto(page_of)
        page.click("#tab-train-button")

    look_away(lambda: '"dry_run"' in events(runner))
    until(lambda: '"grad_norm"' in events(runner))  # of the first step
    page.wait_for_selector("svg.curve .line.training", state="attached")
    page.click("#stop")
    page.locator("#resume").wait_for()
    page.click("#resume")
    page.locator("#stop").wait_for()

    page.reload()
    page.wait_for_selector("#rail [role=tab]")
    page.click("#tab-train-button")
    page.locator("#stop").wait_for()
    look_away(lambda: runner.job(run.id).state.is_terminal)
    page.locator("#to-try").wait_for()
    assert '"resumed"' in events(runner)
    assert points(page, "training") == STEPS

    page.click("#to-try")
    for evaluation in runner.jobs(
        kind="evaluate"
    ):  # it began by itself, and would slow down the rest
        runner.stop(evaluation.id)
    page.locator("#question").locator("textarea").fill(
        "two lamps from order 5512 came broken, money back please. jo"
    )
    page.click("#ask:not([disabled])")
    for pane in ("base", "tuned"):
        page.wait_for_function(
            f"document.querySelector('#talk .answer.{pane} div')?.innerText.trim().length > 3"
        )
    page.click("#stop-answer")
    page.locator("#ask:not([disabled])").wait_for()
    assert page.locator("#talk .answer").count() == 2
    page.locator(".verified:visible", has_text="Verified").first.wait_for()

    page.reload()
    page.click("#tab-try-button")
    page.wait_for_function(
        "document.querySelectorAll('#talk .answer').length === 2"
    )  # the talk is still there

    page.click("#tab-share-button")
    page.get_by_label("One file for any computer").check()
    page.click("#export:not([disabled])")
    with page.expect_download(timeout=LONG) as download:
        page.get_by_role("link", name=".gguf").click()
    file = tmp_path / "model.gguf"
    download.value.save_as(file)
    answer = command(
        workspace, "chat", run.id, "--gguf", str(file), "--prompt", "two lamps please"
    )
    assert answer["text"].strip()
    assert answer["tokens"] > 0
