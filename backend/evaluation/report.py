"""The parts of a report that every kind of evaluation has: how much was asked, each
system's scores, every answer.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean

from backend.evaluation import measures, voice
from backend.evaluation.asking import Asking, System
from backend.evaluation.verdict import mean_score
from backend.records.evaluation import Comparison, Measured, ReportedAnswer, SystemScore
from backend.statistics import detectable_gain, least_provable_gain
from backend.text import signs
from backend.text.normalize import normalize

REPORT = "evaluation.json"  # in the job's folder


def describe(
    asking: Asking, systems: Mapping[str, System], comparisons: Iterable[Comparison]
) -> Measured:
    """How the systems were measured, and a summary of each."""
    graded, clusters = asking.measure.graded, len(set(asking.clusters))
    return Measured(
        main_measure=asking.measure.name,
        items=len(asking.items),
        skipped=asking.skipped,
        clusters=clusters,
        least_provable_gain=None if graded else least_provable_gain(clusters),
        detectable_gain=None if graded else detectable_gain(clusters),
        engine=asking.models.name,
        systems={name: _score(asking, system) for name, system in systems.items()},
        comparisons=tuple(comparisons),
    )


def _score(asking: Asking, system: System) -> SystemScore:
    texts = [answer.text for answer in system.answers]
    learned = {normalize(item.answer) for item in asking.train}
    mean, low, high = mean_score(
        system.scores, asking.clusters, graded=asking.measure.graded
    )
    more: dict[str, object] = {}
    if (
        asking.measure.name != "label"
    ):  # a label is always an answer of the training rows
        more["copied"] = fmean(normalize(text) in learned for text in texts)
    if asking.measure.name == "json":
        more["parsed"] = fmean(map(measures.is_json, texts))
        right: dict[str, list[bool]] = {}
        for item, text in zip(asking.items, texts, strict=True):
            for name, ok in measures.fields(item.answer, text).items():
                right.setdefault(name, []).append(ok)
        more["fields"] = {name: fmean(answers) for name, answers in right.items()}
    if asking.measure.name == "label":
        pairs = [
            (item.answer, text) for item, text in zip(asking.items, texts, strict=True)
        ]
        more["confusion"] = measures.confusion(pairs, asking.measure.labels)
    if asking.measure.name == "chrf":
        more["voice"] = voice.count([item.answer for item in asking.train], texts)
    if system.instruction:
        more["instruction"] = system.instruction
    phrases = signs.own_phrases([item.answer for item in asking.train])
    score = SystemScore(
        score=mean,
        interval=(low, high),
        ended=fmean(answer.ended for answer in system.answers),
        loops=fmean(map(signs.repeats, texts)),
        words=fmean(len(text.split()) for text in texts),
        loss=fmean(system.losses) if system.losses else None,
        phrases={phrase: signs.share_with(phrase, texts) for phrase in phrases},
    )
    return score.model_copy(update=more)


def all_answers(
    asking: Asking, systems: Mapping[str, System], judged: str
) -> tuple[ReportedAnswer, ...]:
    """Every item with the answer of each system, the worst of the system `judged`
    first.
    """
    answers = [
        ReportedAnswer(
            question=item.question,
            expected=item.answer,
            texts={
                name: system.answers[number].text for name, system in systems.items()
            },
            scores={name: system.scores[number] for name, system in systems.items()},
            cluster=item.cluster,
        )
        for number, item in enumerate(asking.items)
    ]
    return tuple(sorted(answers, key=lambda answer: answer.scores[judged]))
