"""What a person types stays, however late an answer comes; what is invalid is reported
where it was typed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE
from tests.browser.held_page import BREAKS_OFF, opening
from tests.browser.steps import (
    coming_back,
    go,
    painted,
    start_training,
    stored,
    take_sample,
    ticked,
    unfold,
)
from ui.web.try_it.talk import LONGEST_QUESTION

pytestmark = pytest.mark.browser

Opens = Callable[..., Any]
AS_RECOMMENDED = """document.querySelector('#set-seed input')?.value === '7'
    && document.querySelector('#set-lora_rank input').value === '32'
    && !document.getElementById('tab-train').textContent.includes('You changed this.')"""


@pytest.fixture
def hold(held: tuple[str, Path]) -> Iterator[Path]:
    yield held[1]
    for file in (held[1], opening(held[1])):
        file.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def with_examples(chromium: Any, held: tuple[str, Path]) -> Iterator[Any]:
    """A page with examples, which the tests pass on in their order."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(held[0])
    take_sample(page)
    yield page
    context.close()


@pytest.fixture(scope="module")
def on_train(with_examples: Any) -> Any:
    """That page on Train, with all settings unfolded."""
    go(with_examples, "train")
    if not with_examples.locator("#set-seed input").is_visible():
        unfold(with_examples)
    return with_examples


@pytest.fixture
def at_the_settings(on_train: Any) -> Any:
    """That page, with the recommended settings."""
    on_train.click("#reset-settings")
    on_train.get_by_text("rank 32, alpha 64").wait_for(state="attached")
    on_train.wait_for_function(AS_RECOMMENDED)
    return on_train


def field(page: Any, setting: str) -> Any:
    return page.locator(f"#set-{setting} input")


def leave(page: Any, setting: str, typed: str) -> None:
    field(page, setting).fill(typed)
    field(page, setting).press("Tab")


def test_numbers_typed_while_train_opens_stay(with_examples: Any, hold: Path) -> None:
    page = with_examples
    hold.touch()
    page.click("#tab-train-button")
    unfold(page)
    rank, alpha, seed = (
        field(page, name) for name in ("lora_rank", "lora_alpha", "seed")
    )
    rank.fill("64")
    hold.unlink()
    page.wait_for_function("document.querySelector('#set-seed input')?.value === '7'")
    assert (rank.input_value(), alpha.input_value()) == ("64", "64"), (
        "the rank was typed, alpha is recommended"
    )
    rank.press("Tab")
    page.get_by_text("rank 64, alpha 64").wait_for(state="attached")
    go(page, "data")
    go(page, "train")
    page.get_by_text("rank 64, alpha 64").wait_for(state="attached")
    assert (rank.input_value(), seed.input_value()) == ("64", "7")


def test_a_number_typed_again_before_the_first_is_taken_stays(
    at_the_settings: Any, hold: Path
) -> None:
    page = at_the_settings
    seed = field(page, "seed")
    leave(page, "seed", "5.5")
    page.locator("#set-seed").get_by_text("can't be 5.5").wait_for()
    hold.touch()
    leave(page, "seed", "5")
    seed.fill("6")
    hold.unlink()
    page.get_by_text("You changed this.").first.wait_for(state="attached")
    assert seed.input_value() == "6"
    seed.press("Tab")
    page.locator("#set-seed:not(.wrong)").wait_for()
    assert seed.input_value() == "6"


def test_an_invalid_value_stays_with_its_reason_until_the_settings_are_reset(
    at_the_settings: Any,
) -> None:
    page = at_the_settings
    rank, seed = field(page, "lora_rank"), field(page, "seed")
    leave(page, "lora_rank", "48")
    page.get_by_text("rank 48, alpha 64").wait_for(state="attached")
    leave(page, "seed", "5.5")
    page.locator("#set-seed").get_by_text("can't be 5.5").wait_for()
    page.locator("#tab-train .reason", has_text="can't be 5.5").first.wait_for()
    page.wait_for_selector("#start-training[disabled]")
    assert (rank.input_value(), seed.input_value()) == ("48", "5.5")
    page.click("#reset-settings")
    page.get_by_text("rank 32, alpha 64").wait_for(state="attached")
    page.wait_for_function("document.querySelector('#set-seed input').value === '7'")
    assert rank.input_value() == "32"
    page.get_by_text("can't be 5.5").first.wait_for(state="detached")
    page.wait_for_selector("#start-training:not([disabled])")


@pytest.mark.parametrize(
    ("second", "rank", "alpha"), [("lora_rank", "48", "64"), ("lora_alpha", "16", "48")]
)
def test_two_quick_edits_both_count(
    at_the_settings: Any, hold: Path, second: str, rank: str, alpha: str
) -> None:
    page = at_the_settings
    hold.touch()
    leave(page, "lora_rank", "16")
    leave(page, second, "48")
    hold.unlink()
    page.get_by_text(f"rank {rank}, alpha {alpha}").wait_for(state="attached")
    assert (
        field(page, "lora_rank").input_value(),
        field(page, "lora_alpha").input_value(),
    ) == (rank, alpha)


def test_a_reset_also_discards_a_number_that_is_being_typed(
    at_the_settings: Any,
) -> None:
    page = at_the_settings
    field(page, "lora_rank").fill("16")
    page.click("#reset-settings")
    page.wait_for_function(
        "document.querySelector('#set-lora_rank input').value === '32'"
    )
    page.get_by_text("rank 32, alpha 64").wait_for(state="attached")
    go(page, "data")
    go(page, "train")
    page.get_by_text("rank 32, alpha 64").wait_for(state="attached")


def test_an_emptied_number_is_filled_with_the_recommended_one(
    at_the_settings: Any,
) -> None:
    page = at_the_settings
    leave(page, "lora_rank", "16")
    page.get_by_text("rank 16, alpha 64").wait_for(state="attached")
    for _ in range(2):
        leave(page, "lora_rank", "")
        page.wait_for_function(
            "document.querySelector('#set-lora_rank input').value === '32'"
        )
        page.get_by_text("rank 32, alpha 64").wait_for(state="attached")


def test_a_field_that_is_only_tabbed_through_does_not_count_as_changed(
    at_the_settings: Any,
) -> None:
    page = at_the_settings
    field(page, "lora_rank").focus()
    field(page, "lora_rank").press("Tab")
    leave(page, "seed", "9")
    page.get_by_text("You changed this.").first.wait_for(state="attached")
    assert page.get_by_text("You changed this.").count() == 1


def test_a_number_being_typed_when_start_is_clicked_is_used_by_the_run(
    at_the_settings: Any,
) -> None:
    """The last one at the settings, which the run takes the place of."""
    page = at_the_settings
    field(page, "lora_rank").fill("16")
    page.click("#start-training")
    page.locator("#tab-train").get_by_text(
        "A model of rank 16", exact=True
    ).first.wait_for()
    page.click("#stop")
    page.locator("#resume").wait_for()


@pytest.fixture(scope="module")
def coming_to_try(on_train: Any) -> str:
    """The script with which another page has the examples, and a run whose model can be
    asked.
    """
    if not on_train.locator("#resume").is_visible():
        start_training(on_train)
        on_train.click("#stop")
    on_train.click("#to-try")
    return coming_back(on_train)


@pytest.fixture
def at_try(open_page: Opens, held: tuple[str, Path], coming_to_try: str) -> Any:
    """A page on Try, with a model to ask."""
    page = open_page(held[0], script=coming_to_try)
    go(page, "try")
    page.wait_for_selector("#ask:not([disabled])")
    return page


def test_asking_clears_only_the_question_that_was_sent(at_try: Any, hold: Path) -> None:
    """What is typed before the first word of the answer comes, and while it is written,
    is the next question.
    """
    page = at_try
    question = page.get_by_label("Your question to both")
    page.locator(".chip").first.click()
    page.wait_for_function(
        "document.querySelector('#question textarea').value.length > 0"
    )
    question.fill("Where is my order?")
    hold.touch()
    page.click("#ask")
    page.wait_for_function("document.querySelector('#question textarea').value === ''")
    question.fill("And the next one")
    page.click("#ask")  # the first one is not answered yet
    hold.unlink()
    page.locator(".turn .asked", has_text="Where is my order?").wait_for()
    hold.touch()
    assert question.input_value() == "And the next one"
    question.fill("And the next one?")
    hold.unlink()
    page.locator(".answer.tuned", has_text='"quantity": 3').wait_for()
    page.wait_for_selector("#ask:not([disabled])")
    assert (question.input_value(), page.locator(".turn").count()) == (
        "And the next one?",
        1,
    )
    page.click("#ask")
    page.locator(".turn .asked", has_text="And the next one?").wait_for()
    page.wait_for_function("document.querySelector('#question textarea').value === ''")


def test_a_question_that_is_not_sent_or_answered_stays_or_is_put_back(
    at_try: Any,
) -> None:
    question, long = (
        at_try.get_by_label("Your question to both"),
        "Is anybody there? " * (LONGEST_QUESTION // 18 + 1),
    )
    question.fill(long)
    question.press("Enter")
    at_try.locator(".toast-body").wait_for()
    assert question.input_value() == long
    go(at_try, "data")  # an error stands until the next thing is done
    at_try.locator(".toast-body").wait_for(state="detached")
    go(at_try, "try")
    question.fill(BREAKS_OFF)
    at_try.click("#ask:not([disabled])")
    at_try.locator(".toast-body").wait_for()
    at_try.wait_for_selector("#talk [aria-busy=false]")
    at_try.wait_for_function(
        "document.querySelector('#question textarea').value !== ''"
    )
    assert (question.input_value(), at_try.locator(".turn").count()) == (
        BREAKS_OFF,
        0,
    ), "the half answer goes"
    at_try.wait_for_selector("#ask:not([disabled])")
    question.fill("Where is my order?")
    at_try.click("#ask-details > button")
    at_try.locator("#tab-try button.label-wrap", has_text="Answer settings").click()
    seed = at_try.locator("#chat-seed input")
    seed.wait_for()
    painted(at_try)
    seed.fill("-5")
    at_try.click("#ask")
    at_try.locator(".toast-body", has_text="can't be -5").wait_for()
    at_try.wait_for_function(
        "document.querySelector('#question textarea').value !== ''"
    )
    assert question.input_value() == "Where is my order?"


def test_an_answer_does_not_stay_under_the_name_of_another_model(
    at_try: Any, hold: Path
) -> None:
    at_try.get_by_label("Your question to both").fill("Where is my order?")
    hold.touch()
    at_try.click("#ask")
    at_try.wait_for_function(
        "document.querySelector('#question textarea').value === ''"
    )
    go(at_try, "runs")
    at_try.locator("[data-do=open][data-value=run-a]").click()
    at_try.locator("#tab-train").get_by_text(
        "Orders to fields", exact=True
    ).first.wait_for()
    hold.unlink()
    go(at_try, "try")
    at_try.wait_for_selector("#ask:not([disabled])")
    at_try.wait_for_selector("#stop-answer", state="hidden")
    at_try.locator("#talk .nothing").wait_for()


@pytest.mark.parametrize(
    "following", ["", pytest.param("And my chair?", marks=pytest.mark.slow)]
)
def test_a_question_unanswered_or_the_next_is_there_after_a_reload(
    at_try: Any, hold: Path, following: str
) -> None:
    question = at_try.get_by_label("Your question to both")
    question.fill("Where is my order?")
    hold.touch()
    at_try.click("#ask")
    at_try.wait_for_function(
        "document.querySelector('#question textarea').value === ''"
    )
    question.fill(following)
    at_try.reload()
    hold.unlink()
    wanted = following or "Where is my order?"
    at_try.wait_for_function(
        f"document.querySelector('#question textarea')?.value === '{wanted}'"
    )
    at_try.wait_for_selector("#ask:not([disabled])")
    at_try.click("#ask")
    at_try.locator(".answer.tuned", has_text='"quantity": 3').wait_for()
    at_try.wait_for_function(
        "JSON.parse(localStorage['apprentice-talk'] ?? '{}').turns?.length === 1"
    )
    at_try.reload()
    at_try.locator(".answer.tuned", has_text='"quantity": 3').wait_for()
    painted(at_try)
    assert question.input_value() == "", "it is answered"


def test_a_quick_click_on_another_tab_is_not_taken_back(
    at_try: Any, hold: Path
) -> None:
    go(at_try, "runs")
    opening(hold).touch()  # no run is opened
    at_try.locator("[data-do=open][data-value=run-a]").click()
    at_try.click("#tab-data-button")
    opening(hold).unlink()
    stored(at_try, "run_id", "run-a")
    ticked(at_try)
    assert at_try.locator("#tab-data-button").get_attribute("aria-selected") == "true"
    go(at_try, "train")
    at_try.locator("#tab-train").get_by_text(
        "Orders to fields", exact=True
    ).first.wait_for()
