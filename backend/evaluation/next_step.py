"""The recommended next step, chosen from the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.evaluation.diagnosis import sentence
from backend.evaluation.measures import Measure
from backend.evaluation.verdict import FEWEST

_GOOD = 0.9  # a score from which on a model is simply used
_SURELY = 0.7  # the least that its interval reaches down to: nine right answers of nine


def next_step(report: Mapping[str, Any], measure: Measure) -> dict[str, str]:
    """{"next": a sentence, "next_kind": its code} for a report without them."""
    tuned, verdict = report["systems"]["tuned"], report["verdict"]
    if report["findings"]:
        kind = report["findings"][0]["kind"]
        return _step(kind, sentence(kind))
    if verdict == "worse":
        return _step(
            "worse", "It became worse than the base model: train with a lower learning rate or fewer epochs."
        )
    if report["against_prompt"] == "as_good":
        return _step(
            "prompt_does_it",
            "The base model does at least as well with a prompt or with examples in it, as the scores show: use "
            "that, or train longer and check again.",
        )
    if report.get("against_facts") == "as_good":
        return _step(
            "facts_do_it",
            "The base model does the same with your facts in its prompt: look them up for each question (retrieval), "
            "and you can change them without training again.",
        )
    if verdict == "no_difference_shown" and _is_right_already(report["systems"]["base"], measure):
        return _step("base_does_it", "The base model already answers these: you may not need any training.")
    if verdict == "no_difference_shown":
        return _unproved(report, measure)
    if measure.name == "perplexity":
        return _step("use_it", "Use it: try it, then share it. More texts of this kind make it better still.")
    if tuned["score"] >= _GOOD and not measure.graded:
        return _step("use_it", "Use it: try your own questions, then share it.")
    if "fields" in tuned:
        name, share = min(tuned["fields"].items(), key=lambda field: field[1])
        return _step("add_examples", f"Most mistakes are in “{name}” ({share:.0%} right): add examples that show it.")
    return _step("add_examples", "Look at its worst answers, and add examples like those questions.")


def _is_right_already(base: Mapping[str, Any], measure: Measure) -> bool:
    """Whether the base model surely answers nearly all questions correctly; a few right answers do not show that."""
    judged = not measure.graded and measure.name != "preference"
    return judged and base["score"] >= _GOOD and base["interval"][0] >= _SURELY


def _unproved(report: Mapping[str, Any], measure: Measure) -> dict[str, str]:
    least, count = report["least_provable_gain"], report["clusters"]
    if count < FEWEST or (not measure.graded and (least is None or least > 0.5)):
        return _step("set_more_aside", f"{count} examples are too few to prove much: set more of them aside.")
    return _step("train_longer", "Train longer, or add about as many examples again: so far no gain shows.")


def _step(kind: str, sentence: str) -> dict[str, str]:
    return {"next": sentence, "next_kind": kind}
