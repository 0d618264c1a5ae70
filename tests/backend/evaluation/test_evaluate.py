"""The whole evaluation over models that answer as a test says, with the faults that it
must not be taken in by.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from backend.errors import BadInput
from backend.evaluation.asking import Asking
from backend.evaluation.evaluate import evaluate
from backend.evaluation.items import Item, items_from, pairs_from
from backend.evaluation.models import Answer
from backend.records.evaluation import EvaluationReport
from tests.backend.evaluation.spoken import Said, Spoken
from ui.text import verdicts

CITIES = (
    "Rome",
    "Oslo",
    "Bern",
    "Paris",
    "Madrid",
    "Vienna",
    "Lima",
    "Quito",
    "Cairo",
    "Tunis",
    "Accra",
    "Dakar",
)
CITIES += ("Delhi", "Seoul", "Hanoi", "Tokyo")
PLANTS = ("fern", "moss", "oak", "elm", "ivy", "reed", "palm", "pine", "rose", "lily")


def chats(words: Sequence[str], start: int) -> list[list[dict[str, Any]]]:
    return [
        [
            {
                "role": "user",
                "content": f"Parcel {start + i}{word.lower()} to {word}, {i + 2} pieces, by {word[::-1]} post",
            },
            {
                "role": "assistant",
                "content": json.dumps({"city": word, "pieces": i + 2}),
            },
        ]
        for i, word in enumerate(words)
    ]


HELD_OUT, TRAIN = items_from(chats(CITIES, 10)), items_from(chats(PLANTS, 50))
EXPECTED = {item.question: item.answer for item in (*HELD_OUT, *TRAIN)}


def last(given: str) -> str:
    return given.rpartition("\n")[2]


def knows(pane: str, given: str) -> str:
    return (
        EXPECTED.get(last(given), "Hm.") if pane == "tuned" else "How can I help you?"
    )


def report_of(
    said: Said, items: Sequence[Item] = HELD_OUT, baselines: bool = True
) -> EvaluationReport:
    report = evaluate(Asking(Spoken(said), items, TRAIN), baselines=baselines)[0]
    return EvaluationReport.model_validate(
        json.loads(json.dumps(report.to_json(), allow_nan=False))
    )


def test_a_right_answer_that_repeats_itself_is_not_cut() -> None:
    zeros = f"The measured values are {'0, ' * 40}and 7."

    def answered(expected: str) -> str:
        items = [
            replace(item, expected={"role": "assistant", "content": expected})
            for item in HELD_OUT
        ]
        report = evaluate(
            Asking(Spoken(lambda pane, given: zeros), items, items), baselines=False
        )[0]
        return report.answers[0].texts["tuned"]

    assert answered(zeros) == zeros
    assert answered("The measured values are 1, 5, 2, 4, 3, 9 and 7.") != zeros


def test_a_model_that_has_learned_the_task_is_better() -> None:
    report = report_of(knows)
    assert report.main_measure == "json"
    assert report.items == report.clusters == 16
    assert (report.least_provable_gain, report.systems["tuned"].score) == (6 / 16, 1)
    assert report.systems["tuned"].fields == {"city": 1, "pieces": 1}
    assert (report.systems["tuned"].copied, report.systems["base"].score) == (0, 0)
    assert (report.verdict, report.against_prompt, report.next_kind) == (
        "better",
        "better",
        "use_it",
    )
    assert {(one.a, one.b) for one in report.comparisons} == {
        ("tuned", "base"), ("tuned", "prompt"), ("tuned", "few_shot"),
    }  # fmt: skip
    assert all(
        one.p is not None and one.p < 0.05 and one.interval[0] > 0
        for one in report.comparisons
    )


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            lambda pane, given: "How can I help you?", id="the adapter is not applied"
        ),
        pytest.param(
            lambda pane, given: EXPECTED.get(last(given), "Hm."),
            id="the adapter is left on in the base",
        ),
        pytest.param(
            lambda pane, given: given,
            id="no generation prompt: it repeats what it read",
        ),
        pytest.param(
            lambda pane, given: (
                '{"city": "Rome", "pieces": 2}' if pane == "tuned" else ""
            ),
            id="one answer to all",
        ),
        pytest.param(
            lambda pane, given: "I'm sorry, " * 9 if pane == "tuned" else "Hello.",
            id="it loops",
        ),
    ],
)
def test_a_planted_fault_is_never_called_better(fault: Said) -> None:
    assert report_of(fault).verdict == "no_difference_shown"


def test_loops_gibberish_and_losses_are_named() -> None:
    report = report_of(
        lambda pane, given: "I'm sorry, " * 9 if pane == "tuned" else "Hello."
    )
    assert (report.systems["tuned"].loops, report.next_kind) == (1, "loops")
    report = report_of(
        lambda pane, given: (
            f"zrk {len(given)} vr qqt lon ple" if pane == "tuned" else "Hello."
        ),
        baselines=False,
    )
    assert (report.next_kind, report.findings[0].share) == ("gibberish", 1)
    report = report_of(
        lambda pane, given: (
            knows("tuned", given)
            if pane == "base"
            else f"No {last(given).split()[1]} here."
        )
    )
    assert ((report.verdict, report.next_kind), report.findings) == (
        ("worse", "worse"),
        (),
    )


def test_a_base_model_is_asked_for_more_only_where_its_answer_may_be_json() -> None:
    asked: list[tuple[int, int]] = []

    class Cut(Spoken):
        def answer(
            self, pane: str, prompts: Any, limit: int, *more: Any
        ) -> list[Answer]:
            asked.append((limit, len(prompts)))
            found = super().answer(pane, prompts, limit, *more)
            return [Answer(one.text[:limit], len(one.text) <= limit) for one in found]

    def said(pane: str, given: str) -> str:
        return ("" if "Rome" in given else "You say: ") + EXPECTED[last(given)].replace(
            " ", " " * 9
        )

    asking = Asking(
        Cut(said), HELD_OUT, TRAIN, lambda *report: asked.append((0, 0))
    )  # which can stop the work
    assert (sum(asking.base().scores), asked) == (
        1,
        [(32, len(HELD_OUT)), (0, 0), (asking.limit, 1), (0, 0)],
    )


def test_prompts_and_base_models_that_do_as_well() -> None:
    def follows(pane: str, given: str) -> str:
        return (
            EXPECTED.get(last(given), "Hm.")
            if pane == "tuned" or "JSON" in given or "{" in given
            else "Hello."
        )

    many = items_from(
        chats([f"{a}{b.lower()}" for a in CITIES for b in PLANTS[:3]], 100)
    )
    EXPECTED.update({item.question: item.answer for item in many})
    report = report_of(follows, many)
    assert (report.verdict, report.against_prompt) == ("better", "as_good")
    assert report.next_kind == "prompt_does_it"
    assert "JSON" in report.systems["prompt"].instruction
    report = report_of(
        lambda pane, given: EXPECTED.get(last(given), "Hm."), baselines=False
    )
    assert (report.verdict, report.next_kind) == ("no_difference_shown", "base_does_it")
    report = report_of(
        lambda pane, given: EXPECTED.get(last(given), "Hm."),
        HELD_OUT[:5],
        baselines=False,
    )
    assert (report.systems["base"].score, report.next_kind) == (1, "set_more_aside")


def test_copies_few_items_and_none_prove_nothing() -> None:
    report = report_of(knows, HELD_OUT[:5], baselines=False)
    assert report.systems["tuned"].score == 1
    assert (report.verdict, report.least_provable_gain) == ("no_difference_shown", None)
    assert (report.against_prompt, report.next_kind) == (
        "not_measured",
        "set_more_aside",
    )
    copied = items_from([*chats(CITIES[:4], 10), *(chats(CITIES[:1], 10) * 12)])
    report = report_of(knows, copied)
    assert (report.items, report.clusters, report.verdict) == (
        16,
        4,
        "no_difference_shown",
    )
    report = report_of(knows, HELD_OUT[:1], baselines=False)
    assert (report.verdict, report.next_kind) == (
        "no_difference_shown",
        "set_more_aside",
    )
    with pytest.raises(BadInput):
        Asking(Spoken(knows), [], TRAIN)


def test_the_worst_answers_come_first_and_it_can_be_stopped() -> None:
    answers = report_of(
        lambda pane, given: knows(pane, given) if "Tunis" not in given else "no idea"
    ).answers
    assert "Tunis" in answers[0].question
    assert answers[0].scores == {"base": 0, "tuned": 0, "prompt": 0, "few_shot": 0}
    assert set(answers[0].texts) == {"base", "prompt", "few_shot", "tuned"}

    class Stop(Exception):
        pass

    def stop(phase: str, done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        evaluate(Asking(Spoken(knows), HELD_OUT, TRAIN, stop), baselines=True)


def pairs() -> list[Item]:
    better = chats(CITIES, 10)
    worse = [
        [question, {"role": "assistant", "content": f"rude {n}"}]
        for n, (question, _) in enumerate(better)
    ]
    return pairs_from(better, worse)


class Preferring(Spoken):
    """The tuned model finds the worse answers less likely, the base more likely."""

    def loss(self, pane: str, item: Item) -> float:
        rude = item.answer.startswith("rude")
        return 2.0 + (rude if pane == "tuned" else -rude)


def test_pairs_are_judged_by_their_likelier_last_answer() -> None:
    report = evaluate(Asking(Preferring(knows), pairs(), TRAIN), baselines=True)[0]
    assert (report.main_measure, report.items) == ("preference", len(CITIES))
    assert [report.systems[name].score for name in ("base", "tuned")] == [0, 1]
    assert (report.verdict, report.against_prompt) == ("better", "not_measured")
    assert set(report.systems) == {"base", "tuned"}
    turns = [
        {"role": role, "content": f"{role} {n}"}
        for n in (1, 2)
        for role in ("user", "assistant")
    ]
    (item,) = pairs_from(
        [turns], [[*turns[:-1], {"role": "assistant", "content": "worse"}]]
    )
    assert (item.answer, item.rejected) == (
        "assistant 2",
        {"role": "assistant", "content": "worse"},
    )


def labels(count: int, first: int) -> list[Item]:
    return items_from(
        [
            [
                {
                    "role": "user",
                    "content": f"Note {first + n}{PLANTS[n % 10]} from {CITIES[n % 16]}, box {n * 7}",
                },
                {"role": "assistant", "content": ("late", "broken", "thanks")[n % 3]},
            ]
            for n in range(count)
        ]
    )


def test_wrong_labels_are_not_called_memorized() -> None:
    held_out, train = labels(12, 100), labels(30, 500)
    report = evaluate(
        Asking(Spoken(lambda pane, given: "late"), held_out, train), baselines=False
    )[0]
    assert report.main_measure == "label"
    assert "memorized" not in [one.kind for one in report.findings]


def test_items_that_are_too_long_to_read_are_left_out_of_the_scores() -> None:
    class Short(Spoken):
        context_length = 200

        def tokens(self, text: str) -> int:
            return 500 if "Rome" in text else 20

    report = evaluate(Asking(Short(knows), HELD_OUT, TRAIN), baselines=False)[0]
    assert (report.items, report.skipped) == (len(HELD_OUT) - 1, 1)
    assert report.systems["tuned"].score == 1
    Short.context_length = 10
    with pytest.raises(BadInput):
        Asking(Short(knows), HELD_OUT, TRAIN)


def test_items_offer_the_tools_of_their_conversations() -> None:
    tools = [{"type": "function", "function": {"name": "find"}}]
    one, two = items_from(chats(CITIES[:2], 10), tools=[tools, None])
    assert (one.tools, two.tools) == (tuple(tools), ())


def test_a_tool_call_is_right_as_json_and_as_the_chat_template_writes_it() -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
    asked = {"role": "user", "content": "Is it warm in Rome?"}
    (item,) = items_from(
        [[asked, {"role": "assistant", "content": "", "tool_calls": [call]}]]
    )

    class Written(Spoken):
        def written(self, item: Item) -> str:
            return "<function=weather> <parameter=city>Rome"

    asking = Asking(Written(lambda pane, given: ""), [item], [item])
    assert asking.measure.name == "tool_call"
    assert asking.limit > len(item.answer), "an answer has room for the call"
    answers = (
        item.answer,
        "<function=weather>\n<parameter=city>Rome",
        "<function=weather>Oslo",
        "",
    )
    assert [asking.score(item, answer) for answer in answers] == [1, 1, 0, 0]


def test_what_holding_answers_to_their_form_changes_is_counted() -> None:
    """Only those are asked again that are wrong without it. Held to it, the model
    leaves out a comma.
    """
    asked = list[str]()

    def said(pane: str, given: str) -> str:
        asked.append(pane)
        expected = EXPECTED.get(last(given), "{}")
        comma = "," if len(expected) % 2 and pane != "tuned{}" else ""
        return (
            "no" if "Rome" in expected and not len(expected) % 2 else expected + comma
        )

    models = Spoken(said)
    models.all_at_once = False
    report = evaluate(Asking(models, HELD_OUT, TRAIN), baselines=False, form="{}")[0]
    wrong = sum(answer.scores["tuned"] < 1 for answer in report.answers)
    assert asked.count("tuned{}") == wrong
    broken = sum(len(EXPECTED[item.question]) % 2 for item in HELD_OUT)
    assert (
        report.right_in_form == len(HELD_OUT) - wrong + broken > len(HELD_OUT) - wrong
    )
    assert f"{report.right_in_form} of {len(HELD_OUT)} are right" in verdicts.caveats(
        report
    )
    assert (
        evaluate(Asking(Spoken(said), HELD_OUT, TRAIN), baselines=False, form="{}")[
            0
        ].right_in_form
        is None
    )
