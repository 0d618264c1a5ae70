from __future__ import annotations

from typing import Any

import pytest

from backend.records.evaluation import EvaluationReport
from tests.ui import fake_records
from tests.ui.fake_records import against_parent
from ui.text import verdicts
from ui.web.try_it import verdict_card


def report(verdict: str, against: str = "not_measured", measure: str = "json", **changes: Any) -> EvaluationReport:
    systems = {"base": {"score": 0.0, "interval": [0.0, 0.14]}, "tuned": {"score": 21 / 24, "interval": [0.69, 0.96]}}
    numbers = {"main_measure": measure, "items": 24, "clusters": 24, "least_provable_gain": 0.25}
    verdicts = {"verdict": verdict, "against_prompt": against}
    return fake_records.report(**{**numbers, **verdicts, "systems": systems, **changes})


def test_right_answers_are_counted() -> None:
    assert "21 of 24 right" in verdicts.sentence(report("better"))
    assert "0 of 24 right" in verdicts.sentence(report("better"))
    assert "69% to 96%" in verdicts.system_line("tuned", report("better"))


def test_likeness_is_a_number_and_no_count() -> None:
    graded = report("better", measure="chrf")
    assert "Similarity 0.88" in verdicts.sentence(graded)
    assert "0.69 to 0.96" in verdicts.system_line("tuned", graded)


def test_wording_that_is_alike_is_not_called_good() -> None:
    """It may say something false, so there is no green light and the person is told to read."""
    graded = report("better", measure="chrf")
    assert "wording" in verdicts.detail(graded)
    assert verdicts.title(graded) != verdicts.title(report("better"))
    assert (verdict_card.tone(graded, "better"), verdict_card.tone(report("better"), "better")) == ("calm", "good")
    version = verdict_card.against_parent(report("better", measure="chrf", **against_parent("better")))
    assert 'class="alert calm"' in version
    assert "Worded more like your answers than version 1" in version
    right = verdict_card.against_parent(report("better", **against_parent("better")))
    assert 'class="alert good"' in right
    assert "Better than version 1" in right


def test_what_so_few_examples_can_prove_is_said_where_nothing_is_shown() -> None:
    assert "25%" in verdicts.sentence(report("no_difference_shown"))
    assert "too few" in verdicts.sentence(report("no_difference_shown", clusters=5, least_provable_gain=None))
    assert "25%" not in verdicts.sentence(report("better"))


@pytest.mark.parametrize("against", ["better", "as_good", "not_shown"])
def test_the_prompt_is_mentioned_once_it_was_measured(against: str) -> None:
    assert "prompt" in verdicts.sentence(report("better", against))
    assert "prompt" not in verdicts.sentence(report("better"))


def test_every_verdict_and_measure_has_words() -> None:
    assert len({verdicts.title(report(one)) for one in ("better", "no_difference_shown", "worse")}) == 3
    assert set(verdicts.MEASURES) == {"preference", "tool_call", "json", "label", "exact", "chrf"}


@pytest.mark.parametrize(
    ("measure", "words"), [("json", "6 of 7 right, version 1 4 of 7"), ("chrf", "Similarity 0.86, ")]
)
def test_the_comparison_of_two_versions_is_a_sentence(measure: str, words: str) -> None:
    found = verdicts.against_parent(report("better", measure=measure, **against_parent("better")))
    assert found is not None
    assert found[1].startswith(words)
