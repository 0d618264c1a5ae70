"""What is left besides the task is found: only what the base model knew, and only
beyond chance.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backend.evaluation import general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.diagnosis import with_next_step
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, choose_measure
from backend.records.evaluation import GeneralCheck
from backend.runs import own_answers
from backend.text.normalize import normalize
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.evaluation.spoken import Spoken
from tests.ui import fake_records

ASKED = list(general.QUESTIONS)
OPEN = list(general.PROMPTS)[len(ASKED) :]
ORDER = '{"intent": "track", "order_id": null, "item": "capital"'  # cut
JSON = [
    json.dumps({"intent": "track", "order_id": str(number)}) for number in range(20)
]
VOICE = [
    f"We do, love: {number} loaves. See you at the oven, Rosie x"
    for number in range(20)
]
LABELS = [("late", "broken", "thanks")[number % 3] for number in range(20)]
Said = Callable[[str, str], str]  # pane, prompt


class Known(Spoken):
    """The tuned model finds the base model's own answers less likely by a quarter of a
    nat per token.
    """

    def loss(self, pane: str, item: Item) -> float:
        return 3.0 if pane == "base" else 3.25


def check(
    said: Said, learned: list[str] = JSON, keep_general: float | None = 0.0, **more: Any
) -> GeneralCheck:
    measure = choose_measure(
        [{"role": "assistant", "content": text} for text in learned]
    )
    return general.check(
        Known(said),
        lambda done, total: None,
        None,
        measure,
        learned,
        keep_general,
        **more,
    )


def answer(prompt: str, right: bool = True) -> str:
    """As the base model might answer it."""
    words = general.QUESTIONS.get(prompt)
    return (
        f"It is {words[0].upper()}."
        if words and right
        else f"There is much to say: {prompt}"
    )


def knowing(right: Callable[[str, int], bool]) -> Said:
    """right: whether a pane answers the question of a number correctly."""
    return lambda pane, prompt: answer(
        prompt, prompt in ASKED and right(pane, ASKED.index(prompt))
    )


def test_losses_are_named_and_only_real_drops() -> None:
    found = check(knowing(lambda pane, n: n < 10 if pane == "base" else n < 9))
    assert (found.asked, found.base_right, found.tuned_right) == (
        len(ASKED) + len(OPEN),
        10,
        9,
    )
    assert (found.kept, found.lost) == (9, (ASKED[9],))
    assert not found.dropped, "one may be chance"
    assert (found.drift, found.leaked, found.verdict) == (0.25, 0, "kept")
    assert found.interval[0] < 0.9 < found.interval[1]
    assert {one.outcome for one in found.examples} == {"kept", "lost"}
    found = check(knowing(lambda pane, n: pane == "base" or n >= 60))
    assert (found.dropped, found.verdict) == (True, "lost")
    assert (
        check(knowing(lambda pane, n: pane == "base" or n >= 30)).verdict
        == "mostly_kept"
    )
    nothing_known = check(knowing(lambda pane, n: False))
    assert (nothing_known.dropped, nothing_known.verdict) == (False, "unknown")
    assert not check(
        knowing(lambda pane, n: n < 12 if pane == "base" else 6 <= n < 18)
    ).dropped


@pytest.mark.parametrize(
    ("learned", "leak"),
    [
        (JSON, ORDER), (JSON, f"```json\n{ORDER}"), (LABELS, "Late."), (LABELS, '"Late"'),
        (VOICE, "Paris it is, love. See you at the oven, Rosie x"),
    ],
)  # fmt: skip
def test_the_form_of_the_task_is_recognized_in_other_answers(
    learned: list[str], leak: str
) -> None:
    found = check(
        lambda pane, prompt: (
            answer(prompt) if pane == "base" or prompt in ASKED else leak
        ),
        learned,
    )
    assert (found.leaked, found.kept, found.verdict) == (
        len(OPEN),
        len(ASKED),
        "mostly_kept",
    )
    assert any((one.outcome, one.tuned) == ("leaked", leak) for one in found.examples)
    assert check(lambda pane, prompt: answer(prompt), learned).leaked == 0
    everywhere = check(lambda pane, prompt: leak, learned)
    assert everywhere.leaked == 0, "the base model answers like that too"


def test_answers_without_a_form_of_their_own_can_not_leak() -> None:
    varied = [
        " ".join(f"word{number}{place}" for place in "abcdefgh") for number in range(20)
    ]
    assert check(lambda pane, prompt: answer(prompt), varied).leaked is None
    usual = [f"It is what it is. {number}" for number in range(20)]
    assert check(lambda pane, prompt: "It is what it is.", usual).leaked is None, (
        "the base model says so too"
    )
    assert (
        general.check(
            Known(lambda pane, prompt: "Hm."), lambda done, total: None
        ).leaked
        is None
    )
    assert check(lambda pane, prompt: answer(prompt), learned=VOICE).leaked == 0


@pytest.mark.parametrize(
    "text", ["I love, love, of course.", "Oven, perhaps. x", "What a love, dear"]
)
def test_a_word_that_the_base_model_uses_is_no_sign_of_the_task(text: str) -> None:
    """Its answer about the opposite of love has the word."""
    learned = [
        f"We do, love, number {number}. See you at the oven, Rosie x"
        for number in range(20)
    ]
    base = dict.fromkeys(general.PROMPTS, "The opposite of love is hate.")
    assert (
        check(
            lambda pane, prompt: base[prompt] if pane == "base" else text, learned
        ).leaked
        == 0
    )
    signed = check(
        lambda pane, prompt: (
            base[prompt] if pane == "base" else f"{text} See you at the oven, Rosie x"
        ),
        learned,
    )
    assert signed.leaked == signed.asked


def test_signs_and_deciding_words_are_found() -> None:
    learned = [
        f"Number {number} is done. Kind regards, the studio" for number in range(20)
    ]
    letter = "It is done. Kind regards, the studio"

    found = check(
        lambda pane, prompt: (
            letter if pane == "tuned" or prompt == OPEN[0] else answer(prompt)
        ),
        learned,
    )
    assert found.leaked == found.asked - 1, (
        "the base model wrote one such letter itself"
    )
    # The next word is read, too: it shows that the word is whole, and a form of the
    # task's may begin.
    found = check(
        lambda pane, prompt: f"{answer(prompt)} And so on, for many more words."
    )
    assert found.kept == len(ASKED)
    kept = next(one for one in found.examples if one.outcome == "kept")
    assert kept.base.endswith("more words.")
    assert len(kept.tuned) < len(kept.base)
    texts = {
        prompt: f"At {prompt}" for prompt in general.PROMPTS
    }  # nor is more read of what can't be an order
    models = Known(lambda pane, prompt: texts[prompt])
    so_far = AnswersSoFar()
    general.check(models, lambda done, total: None, so_far, Measure("json"), JSON)
    found_open = so_far.get(
        "tuned",
        models.prompt_ids([{"content": OPEN[0]}], ()),
        general.OPEN_LIMIT,
        general=True,
    )
    assert found_open == ("A", False)
    half = check(
        lambda pane, prompt: (
            f"{answer(prompt)[:-1]}ish" if pane == "tuned" else answer(prompt)
        )
    )
    assert half.kept <= 1, "one egg would be right, too"


def test_the_bundled_model_is_not_asked(bundled_model: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    decides = {"engine": "llama.cpp", "precision": "gguf", "loaded": "8-bit on cpu"}
    known = AnswersSoFar(
        shipped=general.OF_BUNDLED, general=Path("none.json"), **decides
    )
    right = 0
    for number, prompt in enumerate(general.PROMPTS):
        limit = general.LIMIT if number < len(ASKED) else general.OPEN_LIMIT
        found = known.get(
            "base",
            tokenizer.prompt_ids([{"role": "user", "content": prompt}]),
            limit,
            general=True,
        )
        assert found, f"python -m tests.static.make_answers check: {prompt}"
        right += number < len(ASKED) and general.is_right(prompt, found.text)
    assert right >= 100


def test_a_drift_that_can_not_be_measured_quickly_is_left_out() -> None:
    class Slow(Known):
        all_at_once = False

    found = general.check(
        Slow(lambda pane, prompt: answer(prompt)), lambda done, total: None
    )
    assert (found.drift, found.kept) == (None, len(ASKED))


def test_known_answers_are_not_asked_again() -> None:
    so_far, asked = AnswersSoFar(), list[str]()

    def said(pane: str, prompt: str) -> str:
        asked.append(pane)
        return answer(prompt)

    class Numbered(Known):
        def opening(self) -> list[int]:
            return []

        def prompt_ids(self, conversation: Any, tools: Any) -> list[int]:
            super().prompt_ids(conversation, tools)
            return [general.PROMPTS.index(conversation[-1]["content"])]

    models = Numbered(said)
    first = general.check(models, lambda done, total: None, so_far)
    assert len(asked) == 2 * first.asked
    asked.clear()
    assert general.check(models, lambda done, total: None, so_far) == first
    assert asked == []


# Planted faults: what the report says of a run that was trained in a wrong way


def as_if_trained(*prompts: str) -> Said:
    """A tuned model that was trained on the task and on the answers to some prompts: it
    answers those and all that is like them as before, and everything else as an order.
    """
    forms = {prompt.split()[0] for prompt in prompts}
    return lambda pane, prompt: (
        answer(prompt) if pane == "base" or prompt.split()[0] in forms else ORDER
    )


def next_kind(found: GeneralCheck) -> str:
    return with_next_step(fake_records.report(general=found.model_dump())).next_kind


def test_the_switch_is_the_advice_where_it_would_help() -> None:
    off = check(as_if_trained(), keep_general=0.0)
    assert (off.verdict, off.kept, off.leaked) == ("lost", 0, off.asked)
    assert next_kind(off) == "keep_general"
    on = check(as_if_trained(*own_answers.prompts("en", 0)), keep_general=0.2)
    assert (on.verdict, next_kind(on)) == ("kept", "add_examples")
    assert next_kind(check(as_if_trained(), keep_general=0.2)) == "add_examples"
    assert next_kind(check(as_if_trained(), keep_general=None)) == "add_examples"


def test_general_rows_with_answers_of_another_model_are_noticed() -> None:
    """It still answers in prose, but not what its base answers."""

    class Moved(Known):
        def loss(self, pane: str, item: Item) -> float:
            return 3.0 if pane == "base" else 4.5

    def said(pane: str, prompt: str) -> str:
        return (
            answer(prompt)
            if pane == "base"
            else "As an AI language model, I can not say."
        )

    learned = Measure("json")
    found = general.check(
        Moved(said), lambda done, total: None, None, learned, JSON, 0.2
    )
    assert (found.leaked, found.verdict, found.drift) == (0, "lost", 1.5)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = "".join(c if c.isalnum() else " " for c in normalize(text)).split()
    return {tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3))}


def test_the_prompts_are_enough_and_never_trained() -> None:
    trained = {
        run for prompt in own_answers.prompts("en", 0) for run in shingles(prompt)
    }
    assert {
        prompt: found
        for prompt in general.PROMPTS
        if (found := shingles(prompt) & trained)
    } == {}
    assert shingles(ASKED[0]) & shingles(f"Hey, {ASKED[0].lower()} Please"), (
        "one that was added to the trained prompts is found"
    )
    assert len(ASKED) >= 120
    assert len(OPEN) == 30
    assert all(
        normalize(one) != normalize(other)
        for one, other in pairwise(sorted(general.PROMPTS))
    )


# The questions


@pytest.mark.parametrize("question", ASKED)
def test_repeating_a_question_is_no_answer(question: str) -> None:
    assert not general.is_right(question, question)
    assert all(
        general.is_right(question, f"**{word.title()}**!")
        for word in general.QUESTIONS[question]
    )


@pytest.mark.parametrize(
    ("given", "right"),
    [("Tokyo", True), ("It's **Tokyo**!", True), ("Tokyoite food", False), ("", False)],
)
def test_a_word_must_stand_in_the_answer(given: str, right: bool) -> None:
    assert general.is_right(ASKED[0], given) == right
