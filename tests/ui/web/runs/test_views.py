"""My models: the versions of one model together, with their scores, and what a blind
test showed.
"""

import re
from dataclasses import replace
from typing import Any

from backend.evaluation.blind_test import BlindTest, Outcome, new_test
from backend.records.specs import Descent
from jobs.records import State
from tests.ui.conftest import text_of
from tests.ui.fake_records import INFO, against_parent, curve, job, report
from ui.records.runs import RunSummary
from ui.text import losses, verdicts
from ui.web.runs.views import damaged, lines_of_descent, listing

EVIL = "<img src=x onerror=alert(1)>"


def versions(
    continues: bool = True, parent: str = "run-a", **changes: Any
) -> list[RunSummary]:
    """run-b is version 2 of run-a; run-c is another model."""
    second = Descent(
        first="run-a", parent=parent, version=2, weights="0" * 64 if continues else ""
    )
    runs = (
        ("run-c", State.INTERRUPTED, None),
        ("run-b", State.RUNNING, second),
        ("run-a", State.COMPLETED, None),
    )
    return [
        RunSummary(
            replace(INFO, id=run_id, descent=descent), state, 0.0, found, **changes
        )
        for run_id, state, descent in runs
        for found in [losses.compute(job(run_id, state), curve(74))]
    ]


def test_versions_are_listed_together_with_their_scores() -> None:
    runs = versions()
    runs.sort(key=lambda run: run.info.id != "run-c")  # another model between them
    order = [[run.info.id for run in line] for line in lines_of_descent(runs)]
    assert ["run-b", "run-a"] in [sorted(line, reverse=True) for line in order]
    shown = text_of(listing(runs, "", 0.0, evaluations={"run-a": report()}))
    assert shown.index("Continues v1.") < shown.index("6 of 8 right"), (
        "each version has its own score"
    )
    assert verdicts.general_title(report()) in shown, "both halves of the verdict"


def test_versions_are_named_numbered_and_compared() -> None:
    runs = versions()
    same = [
        replace(run, info=replace(run.info, name="Orders"))
        for run in runs
        if run.info.id != "run-c"
    ]
    html = listing(same, "run-b", 0.0)
    assert 'aria-label="Open Orders, version 1"' in html
    assert 'aria-label="Open Orders, version 2"' in html
    assert 'aria-label="Compare Orders, version 1 with Orders, version 2"' in html
    runs = [run for run in versions() if run.info.id == "run-c"]
    assert "v1" not in text_of(listing(runs, "", 0.0))
    assert "from the base model" in text_of(listing(versions(continues=False), "", 0.0))
    assert "deleted" in text_of(listing(versions(parent="run-x"), "", 0.0))
    found = {"run-b": report(**against_parent("worse"))}
    assert "Worse than version 1." in text_of(
        listing(versions(), "", 0.0, evaluations=found)
    )


def voted(vote: str) -> Outcome:
    test: BlindTest = new_test(report().answers, ("tuned", "base"), 1)
    while not test.has_ended:
        pair = test.pairs[len(test.votes)]
        wins = "right" if pair.swapped else "left"
        test = test.voted(len(test.votes) + 1, "same" if vote == "same" else wins)  # type: ignore[arg-type]
    assert isinstance(test.state, Outcome)
    return test.state


def test_the_verdict_of_a_blind_test_is_shown() -> None:
    won, same = voted("tuned"), voted("same")
    assert (won.better, same.better) == (0, None)
    shown = text_of(listing(versions(), "", 0.0, votes={"run-a": won}))
    assert "your model is better, by your choices (8 to 0)" in shown
    assert "no difference" in text_of(
        listing(versions(), "", 0.0, votes={"run-a": same})
    )
    assert won.to_json() == {
        "systems": ("tuned", "base"), "other": "", "wins": (8, 0), "same": 0, "e_value": won.e_value,
        "better": "tuned",
    }  # fmt: skip


def test_names_are_escaped_and_damaged_runs_only_deleted() -> None:
    runs = [
        replace(run, info=replace(run.info, name=EVIL)) for run in versions(note=EVIL)
    ]
    assert "<img" not in listing(runs, "run-a", 0.0, "run-b")
    shown = listing(versions(), "", 0.0)
    again = set(re.findall(r'data-do="train-again" data-value="([^"]*)"', shown))
    done = {run.info.id for run in versions() if run.state is State.COMPLETED}
    assert again == done == {"run-a"}
    shown = damaged(["20261126-120000-abcdefgh"])
    assert re.findall(r'data-do="([^"]*)" data-value="([^"]*)"', shown) == [
        ("delete", "20261126-120000-abcdefgh")
    ]
    assert "20261126-120000-abcdefgh" in text_of(shown)
    assert damaged([]) == ""
