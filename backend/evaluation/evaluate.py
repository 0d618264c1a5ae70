"""The evaluation itself: is the tuned model better than its base, and than its base
with good prompts?
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from statistics import fmean

from backend.evaluation import general
from backend.evaluation.asking import Asking, System
from backend.evaluation.diagnosis import (
    GIBBERISH,
    LONG_ENOUGH,
    UNUSUAL,
    findings,
    with_next_step,
)
from backend.evaluation.facts import Facts
from backend.evaluation.items import Item
from backend.evaluation.report import all_answers, describe
from backend.evaluation.verdict import against_prompt, compare
from backend.records.evaluation import (
    BASE,
    FACTS,
    FEW_SHOT,
    PROMPT,
    TUNED,
    EvaluationReport,
    Finding,
)
from backend.text.normalize import normalize

_ALIKE = 0.5  # chrF from which on an answer is not called wrong
_A_FEW = 8  # expected answers, where each token takes a step


def evaluate(
    asking: Asking,
    *,
    baselines: bool,
    facts: Facts | None = None,
    keep_general: float | None = None,
    usual: Sequence[str] = (),
    form: str = "",
) -> tuple[EvaluationReport, System]:
    """The report on the models "base" and "tuned", and what the tuned one answered. The
    report has no settings to train again with and no comparison with a previous
    version.

    baselines: also the base with the best prompt and with examples, which it has anyway
    where answers are known facts: also the base with these in its prompt
    keep_general: the setting of the run, None where it has no effect
    usual: see `general.check`
    form: of the examples' answers, a JSON schema; "" for none
    """
    prefers = asking.measure.name == "preference"
    systems = {BASE: asking.base(), TUNED: asking.tuned()}
    if asking.train and not prefers and (baselines or asking.has_tried_prompts()):
        systems |= {PROMPT: asking.best_prompt(), FEW_SHOT: asking.few_shot()}
    if facts and not prefers:
        systems[FACTS] = asking.facts(facts)
    scores = {name: system.scores for name, system in systems.items()}
    against = {
        other: compare(
            TUNED, other, scores, asking.clusters, graded=asking.measure.graded
        )
        for other in (BASE, PROMPT, FEW_SHOT, FACTS)
        if other in systems
    }
    progress = partial(asking.progress, "Asking both models general questions")
    learned = [item.answer for item in asking.train]
    report = EvaluationReport(
        **vars(describe(asking, systems, against.values())),
        verdict=against[BASE].verdict,
        against_prompt=against_prompt(
            [against[name] for name in (PROMPT, FEW_SHOT) if name in against]
        ),
        against_facts=against_prompt([against[FACTS]] if FACTS in against else []),
        next="",
        findings=tuple(_findings(asking, systems)),
        right_in_form=asking.right_in_form(systems[TUNED], form),
        general=general.check(
            asking.models,
            progress,
            asking.so_far,
            asking.measure,
            learned,
            keep_general,
            usual,
        ),
        answers=all_answers(asking, systems, TUNED),
    )
    return with_next_step(report), systems[TUNED]


def _findings(asking: Asking, systems: Mapping[str, System]) -> list[Finding]:
    tuned = systems[TUNED]
    right = _ALIKE if asking.measure.graded else 1.0
    wrong = [
        asking.measure.name == "preference" or score < right for score in tuned.scores
    ]
    train = (
        () if asking.measure.name == "label" else asking.train
    )  # a wrong label is always another example's answer
    texts = [answer.text for answer in tuned.answers]
    pairs = zip(asking.items, tuned.answers, strict=True)
    ended = [
        answer.ended or asking.models.tokens(item.answer) >= asking.limit
        for item, answer in pairs
    ]
    strange = _strange(asking, tuned, wrong, systems[BASE].losses)
    return findings(asking.items, train, texts, ended, wrong, strange)


def _strange(
    asking: Asking, tuned: System, wrong: Sequence[bool], losses: Sequence[float]
) -> list[bool]:
    """Which wrong answers are gibberish to the base model. losses: its own on the
    expected answers, if known.
    """
    learned = {normalize(item.answer) for item in asking.train}

    @cache
    def usual() -> float:
        return fmean(
            losses or [asking.models.loss(BASE, item) for item in asking.items[:_A_FEW]]
        )

    def strange(item: Item, text: str) -> bool:
        if len(text.split()) < LONG_ENOUGH or normalize(text) in learned:
            return False
        loss = asking.models.loss(
            BASE, replace(item, expected={"role": "assistant", "content": text})
        )
        return loss >= GIBBERISH and loss >= usual() + UNUSUAL

    answered = zip(wrong, asking.items, tuned.answers, strict=True)
    return [
        is_wrong and strange(item, answer.text) for is_wrong, item, answer in answered
    ]
