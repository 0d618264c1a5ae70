"""The recommended next step, chosen from the measurements."""

from backend.evaluation.diagnosis import sentence
from backend.evaluation.verdict import FEWEST
from backend.records.evaluation import BASE, TUNED, EvaluationReport

_GOOD = 0.9  # a score from which on a model is simply used
_SURELY = 0.7  # the least that its interval reaches down to: nine right answers of nine


def with_next_step(report: EvaluationReport, falling: bool | None = None) -> EvaluationReport:
    """The report with its next step, in a sentence and as a code. falling: see `diagnosis.still_falling`."""
    kind, step = _next_step(report, falling)
    return report.model_copy(update={"next": step, "next_kind": kind})


def _next_step(report: EvaluationReport, falling: bool | None) -> tuple[str, str]:
    base, tuned, verdict = report.systems[BASE], report.systems[TUNED], report.verdict
    if report.findings:
        kind = report.findings[0].kind
        return kind, sentence(kind, falling)
    if verdict == "worse":
        return ("worse", "It became worse than the base model: train with a lower learning rate or fewer epochs.")
    if report.against_prompt == "as_good":
        return (
            "prompt_does_it",
            "The base model does at least as well with a prompt or with examples in it, as the scores show: use "
            "that, or train longer and check again.",
        )
    if report.against_facts == "as_good":
        return (
            "facts_do_it",
            "The base model does the same with your facts in its prompt: look them up for each question (retrieval), "
            "and you can change them without training again.",
        )
    if verdict == "no_difference_shown":
        # a few right answers do not show that the base model surely answers nearly all questions correctly
        judged = not report.graded and report.main_measure != "preference"
        if judged and base.score >= _GOOD and base.interval[0] >= _SURELY:
            return "base_does_it", "The base model already answers these: you may not need any training."
        least, count = report.least_provable_gain, report.clusters
        if count < FEWEST or (not report.graded and (least is None or least > 0.5)):
            return (
                "set_more_aside",
                f"{count} examples are too few to prove much: add examples, so that more are set aside.",
            )
        return "train_longer", sentence("train_longer", falling)
    if report.general.keep_general == 0 and report.general.verdict in ("mostly_kept", "lost"):
        return ("keep_general", "It lost other things: choose “Keep the rest” on Train, and train it again.")
    if report.main_measure == "perplexity":
        return "use_it", "Use it: try it, then share it. More texts of this kind make it better still."
    if tuned.score >= _GOOD and not report.graded:
        return "use_it", "Use it: try your own questions, then share it."
    if tuned.fields:
        name, share = min(tuned.fields.items(), key=lambda field: field[1])
        return "add_examples", f"Most mistakes are in “{name}” ({share:.0%} right): add examples that show it."
    return "add_examples", "Look at its worst answers, and add examples like those questions."
