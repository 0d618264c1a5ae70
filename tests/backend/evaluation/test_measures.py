from typing import Any

import pytest

from backend.evaluation import measures
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure, chrf, confusion, fields, is_json
from backend.evaluation.verdict import compare, mean_score
from backend.text.signs import own_phrases, repeats, share_with


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text} for text in texts]


CALL = {
    "role": "assistant", "content": None,
    "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "Rome"}'}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (said('{"a": 1}', '{"a": 2}', "[1]"), "json"),
        (said(*["refund", "Refund.", "order", "order"] * 3), "label"),
        (said("Paris", "Rome", "Oslo", "Bern"), "exact"),
        (
            said(
                "We do, love. See you at the oven, Rosie x",
                "Come by at six and we shall keep you two loaves.",
            ),
            "chrf",
        ),
        ([CALL] * 4, "tool_call"),
        ([], "chrf"),
    ],
)
def test_the_measure_follows_from_the_expected_answers(
    answers: list[dict[str, Any]], name: str
) -> None:
    assert choose_measure(answers).name == name


def test_json_is_compared_as_a_value() -> None:
    measure = measures.Measure("json")
    (expected,) = said('{"id": "7", "n": 3, "gift": true}')
    assert measure.score(expected, '{"n": 3.0, "gift": true, "id": "7"}') == 1
    assert (
        measure.score(expected, '```json\n{"n": 3, "gift": true, "id": "7"}\n```') == 1
    )
    assert measure.score(expected, '{"n": 3, "gift": 1, "id": "7"}') == 0
    assert measure.score(expected, "no JSON at all") == 0
    assert fields(expected["content"], '{"id": "7", "n": 4}') == {
        "id": True,
        "n": False,
        "gift": False,
    }
    assert (is_json("null"), is_json("{")) == (True, False)


def test_answers_are_compared_as_values_or_without_case() -> None:
    assert measures.Measure("json").score(said("broken {")[0], "broken {") == 0
    measure = measures.Measure("tool_call")
    assert (
        measure.score(
            CALL,
            '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>',
        )
        == 1
    )
    assert (
        measure.score(CALL, '{"name": "weather", "arguments": {"city": "Oslo"}}') == 0
    )
    assert measure.score(CALL, "It is sunny in Rome.") == 0
    assert measure.score(said("It is sunny.")[0], "It is warm.") == 1, (
        "none is expected, and none is made"
    )
    assert (
        measures.Measure("chrf").score(
            CALL, '{"name": "weather", "arguments": {"city": "Rome"}}'
        )
        == 1
    )
    assert (
        measures.Measure("label", ("refund",)).score(said("Refund.")[0], " refund") == 1
    )
    assert confusion(
        [("Refund", "refund."), ("Refund", "hello"), ("order", "refund")],
        ("refund", "order"),
    ) == {
        "refund": {"refund": 1, "(none of these)": 1},
        "order": {"refund": 1},
    }
    assert (chrf("the same text", "the same text"), chrf("the same text", "zzz")) == (
        1,
        0,
    )
    assert chrf("we bake at six", "we bake at seven") > chrf(
        "we bake at six", "closed on mondays"
    )


def test_a_loop_is_noticed_and_nothing_else() -> None:
    counted = " ".join(map(str, range(3_000)))
    loops = [
        "I'm sorry, I'm sorry, I'm sorry, I'm sorry,",
        "ha ha ha ha ha ha ha ha",
        "a b c " * 3,
        f"{counted} {'so it goes ' * 3}",
    ]
    others = [
        "",
        "no no no",
        "We do, love. See you at the oven, Rosie x",
        "it is what it is, is it",
        counted,
    ]
    assert [text for text in (*loops, *others) if repeats(text)] == loops


def test_the_persons_own_phrases_are_found() -> None:
    answers = [
        f"We have {what}, love. See you, Rosie x"
        for what in ("buns", "rye", "pies", "tarts")
    ]
    found = own_phrases([*answers, "No idea."])
    assert found[0] == "love. See you, Rosie x"
    assert "x" not in found
    assert share_with("Rosie x", [*answers, "No idea."]) == 0.8
    assert own_phrases(["one thing", "some other words", "and the rest"]) == []


def test_every_answer_of_a_conversation_is_an_item_of_one_cluster() -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Are you open on Sunday mornings in May?"},
        {"role": "assistant", "content": "Yes, from eight."}, {"role": "user", "content": "And on Mondays?"},
        {"role": "assistant", "content": "No."},
    ]  # fmt: skip
    other = [
        {"role": "user", "content": "Do you have rye bread today?"},
        {"role": "assistant", "content": "We do."},
    ]
    items = items_from([chat, other, [*other]])
    assert [(item.row, item.cluster, len(item.messages)) for item in items] == [
        (0, 0, 2), (0, 0, 4), (1, 1, 1), (2, 1, 1),
    ]  # fmt: skip
    assert (items[1].question, items[1].answer) == ("And on Mondays?", "No.")
    assert len(items_from([chat, other], limit=2)) == 2


# Scores of items that are alike

CLUSTERS = [0] * 10 + [1, 2, 3, 4, 5]  # ten near-copies and five others


@pytest.mark.parametrize("graded", [True, False])
@pytest.mark.parametrize("scores", [[1.0] * 10 + [0.0] * 5, [0.0] * 10 + [1.0] * 5])
def test_a_score_lies_within_its_interval(scores: list[float], graded: bool) -> None:
    score, low, high = mean_score(scores, CLUSTERS, graded=graded)
    assert 0 <= low <= score <= high <= 1
    assert high - low >= 0.4, "six clusters say little"


def test_scores_count_each_cluster_once_if_graded() -> None:
    scores = {"tuned": [0.9] * 10 + [0.3] * 5, "base": [0.1] * 15}
    found = {
        name: mean_score(one, CLUSTERS, graded=True)[0] for name, one in scores.items()
    }
    assert found["tuned"] == pytest.approx((0.9 + 5 * 0.3) / 6)
    compared = compare("tuned", "base", scores, CLUSTERS, graded=True)
    assert compared.difference == pytest.approx(found["tuned"] - found["base"])
    assert mean_score([1.0] * 10 + [0.0] * 5, CLUSTERS, graded=False)[
        0
    ] == pytest.approx(10 / 15)
