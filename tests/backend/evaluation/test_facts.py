"""Facts in the prompt: passages, their ranking, and the verdict on retrieval instead of
training.
"""

import json
import math
from pathlib import Path

import pytest

from backend.errors import BadInput
from backend.evaluation.asking import Asking
from backend.evaluation.evaluate import evaluate
from backend.evaluation.facts import FILE, Facts, passages, read_facts, write_facts
from backend.evaluation.items import Item, items_from
from backend.evaluation.prompt_trial import trial_report, try_prompts
from backend.records.evaluation import EvaluationReport
from tests.backend.evaluation.spoken import Said, Spoken

BREADS = (
    "rye",
    "spelt",
    "oat",
    "corn",
    "malt",
    "seed",
    "nut",
    "fig",
    "olive",
    "onion",
    "potato",
    "barley",
)
BREADS += (
    "millet",
    "raisin",
    "walnut",
    "sesame",
    "pumpkin",
    "poppy",
    "tomato",
    "butter",
)


def price(bread: str) -> str:
    return f"{len(bread)}.{BREADS.index(bread):02}"


def items_on(breads: tuple[str, ...]) -> list[Item]:
    return items_from(
        [
            [
                {
                    "role": "user",
                    "content": f"{bread} {bread[::-1]} loaf, what is it today?",
                },
                {"role": "assistant", "content": price(bread)},
            ]
            for bread in breads
        ]
    )


HELD_OUT, TRAIN = items_on(BREADS[:14]), items_on(BREADS[14:])
TEXT = "\n\n".join(
    f"Our {bread} bread costs {price(bread)} a loaf." for bread in BREADS
)


def with_facts(pane: str, given: str) -> str:
    """The tuned model knows the prices; the base finds them among the passages that it
    was given.
    """
    bread = (
        next(word for word in given.rpartition("\n")[2].split() if word in BREADS)
        if "loaf, what" in given
        else ""
    )
    if not bread:
        return "Hm."
    known = pane == "tuned" or f"Our {bread} bread costs" in given
    return price(bread) if known else "I do not know."


def report_of(said: Said, facts: str = TEXT) -> EvaluationReport:
    report = evaluate(
        Asking(Spoken(said), HELD_OUT, TRAIN), baselines=False, facts=Facts(facts)
    )[0]
    return EvaluationReport.model_validate(
        json.loads(json.dumps(report.to_json(), allow_nan=False))
    )


class TestPassages:
    def test_paragraphs_are_passages_and_headings_stay_with_them(self) -> None:
        text = "# Prices\n\nRye costs 4.\n\nOat costs 3.\n\nOpening hours:\n\nDaily, 7 to 6."
        assert passages(text) == [
            "# Prices\nRye costs 4.",
            "# Prices\nOat costs 3.",
            "Opening hours:\nDaily, 7 to 6.",
        ]

    def test_long_paragraphs_are_divided_and_nothing_is_lost(self) -> None:
        text = " ".join(
            f"Sentence number {n} says this and that of it." for n in range(60)
        )
        found = passages(text)
        assert len(found) > 5
        assert " ".join(found) == text
        assert max(len(one.split()) for one in found) <= 80

    def test_a_long_list_is_divided_between_its_lines(self) -> None:
        lines = [f"- item {n} costs {n}" for n in range(100)]
        assert "\n".join(passages("\n".join(lines))).split("\n") == lines

    def test_headings_without_a_paragraph_are_not_lost(self) -> None:
        text = "# Closed on Mondays\n\n# Prices\n\nRye costs 4.\n\nWe deliver to:"
        assert passages(text) == [
            "# Closed on Mondays",
            "# Prices\nRye costs 4.",
            "We deliver to:",
        ]


class TestRanking:
    def test_bm25_as_published(self) -> None:
        facts = Facts("cat dog\n\ncat cat mouse bird\n\nfish")
        mean, idf = 7 / 3, math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
        expected = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / mean))
        assert facts._search.best("cat", 1) == [(1, pytest.approx(expected))]

    def test_rare_words_decide(self) -> None:
        assert (
            Facts(TEXT).best("How much is the fig bread?")[0]
            == f"Our fig bread costs {price('fig')} a loaf."
        )

    def test_passages_without_a_shared_word_are_left_out(self) -> None:
        assert Facts(TEXT).best("Wer?") == []

    def test_as_many_as_fit(self) -> None:
        facts, item = Facts(TEXT), HELD_OUT[0]
        whole = facts.conversation(item, lambda conversation: True)
        short = facts.conversation(
            item, lambda conversation: str(conversation).count("costs") <= 1
        )
        assert (str(whole).count("costs"), str(short).count("costs")) == (4, 1)
        assert facts.conversation(item, lambda conversation: False) == list(
            item.messages
        )

    def test_the_instruction_of_the_data_stays(self) -> None:
        item = Item(
            ({"role": "system", "content": "Be brief."}, *HELD_OUT[0].messages),
            HELD_OUT[0].expected,
            0,
            0,
        )
        (system, _) = Facts(TEXT).conversation(item, lambda conversation: True)
        assert str(system["content"]).startswith("Be brief.")
        assert "costs" in str(system["content"])


def test_facts_are_compared_with_training() -> None:
    report = report_of(with_facts, TEXT)
    assert report.systems["facts"].score == 1
    assert ("tuned", "facts") in {(one.a, one.b) for one in report.comparisons}
    assert report.answers[0].texts["facts"]
    assert report.against_prompt == "not_measured"
    report = report_of(with_facts, "We are closed on Mondays.")
    assert report.systems["facts"].score == 0
    assert (report.against_facts, report.next_kind) == ("better", "use_it")

    def knows_half(pane: str, given: str) -> str:
        known = with_facts(pane, given)
        return f"{known}0" if pane == "tuned" and known[-1] in "02468" else known

    report = evaluate(
        Asking(Spoken(knows_half), items_on(BREADS), TRAIN),
        baselines=False,
        facts=Facts(TEXT),
    )[0]
    assert report.systems["facts"].score == 1 > report.systems["tuned"].score > 0
    assert ((report.verdict, report.against_facts), report.next_kind) == (
        ("better", "as_good"),
        "facts_do_it",
    )
    asking = Asking(Spoken(with_facts), items_on(BREADS), TRAIN)
    report = trial_report(asking, try_prompts(asking, Facts(TEXT)))
    assert (report.best, report.next_kind) == ("facts", "prompt_may_do")


def test_facts_are_stored_with_their_job(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
    write_facts(tmp_path, TEXT)
    assert len(read_facts(tmp_path).passages) == len(BREADS)
    (tmp_path / "data" / FILE).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput):
        read_facts(tmp_path)


@pytest.mark.parametrize("text", ["", " \n\n ", "x" * 2_000_001])
def test_facts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        write_facts(tmp_path, text)
