"""The parts of a report that every kind of evaluation has: how much was asked, each system's scores, every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from backend.evaluation import measures, signs
from backend.evaluation.asking import Asking, System
from backend.evaluation.items import Item
from backend.evaluation.verdict import mean_score
from backend.statistics import detectable_gain, least_provable_gain
from backend.text.normalize import normalize


def describe(asking: Asking, systems: Mapping[str, System]) -> dict[str, Any]:
    """How the systems were measured, and a summary of each."""
    graded, clusters = asking.measure.graded, len(set(asking.clusters))
    return {
        "main_measure": asking.measure.name,
        "items": len(asking.items),
        "skipped": asking.skipped,
        "clusters": clusters,
        "least_provable_gain": None if graded else least_provable_gain(clusters),
        "detectable_gain": None if graded else detectable_gain(clusters),
        "engine": asking.models.name,
        "systems": {name: _summary(asking, system) for name, system in systems.items()},
    }


def _summary(asking: Asking, system: System) -> dict[str, Any]:
    texts = [answer.text for answer in system.answers]
    known = {normalize(item.answer) for item in asking.train}
    mean, low, high = mean_score(system.scores, asking.clusters, graded=asking.measure.graded)
    found: dict[str, Any] = {
        "score": mean,
        "interval": [low, high],
        "ended": fmean(answer.ended for answer in system.answers),
        "loops": fmean(map(signs.repeats, texts)),
        "words": fmean(len(text.split()) for text in texts),
        "loss": fmean(system.losses) if system.losses else None,
        "phrases": {
            phrase: signs.share_with(phrase, texts)
            for phrase in signs.own_phrases([item.answer for item in asking.train])
        },
    }
    if asking.measure.name != "label":  # a label is always an answer of the training rows
        found["copied"] = fmean(normalize(text) in known for text in texts)
    if asking.measure.name == "json":
        found["json"] = fmean(map(measures.is_json, texts))
        found["fields"] = _fields(asking.items, texts)
    if asking.measure.name == "label":
        pairs = [(item.answer, text) for item, text in zip(asking.items, texts, strict=True)]
        found["confusion"] = measures.confusion(pairs, asking.measure.labels)
    if system.instruction:
        found["instruction"] = system.instruction
    return found


def _fields(items: Sequence[Item], texts: Sequence[str]) -> dict[str, float]:
    """How often each field is right."""
    right: dict[str, list[bool]] = {}
    for item, text in zip(items, texts, strict=True):
        for name, ok in measures.fields(item.answer, text).items():
            right.setdefault(name, []).append(ok)
    return {name: fmean(found) for name, found in right.items()}


def all_answers(asking: Asking, systems: Mapping[str, System], judged: str) -> list[dict[str, Any]]:
    """Every item with the answer of each system, the worst of the system `judged` first."""
    found = [
        {
            "question": item.question,
            "expected": item.answer,
            **{name: system.answers[number].text for name, system in systems.items()},
            "scores": {name: system.scores[number] for name, system in systems.items()},
            "cluster": item.cluster,
        }
        for number, item in enumerate(asking.items)
    ]
    return sorted(found, key=lambda one: one["scores"][judged])
