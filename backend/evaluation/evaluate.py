"""The evaluation itself: every held-out question answered by each system, scored, compared, and put into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Any

from backend.datasets.checks.normalize import normalize
from backend.datasets.conversation import content
from backend.errors import BadInput
from backend.evaluation import general, measures, signs
from backend.evaluation.diagnosis import GIBBERISH, LONG_ENOUGH, UNUSUAL, Finding, findings
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, choose_measure
from backend.evaluation.models import Answer, Models
from backend.evaluation.next_step import next_step
from backend.evaluation.prompts import Conversation, NearestExamples, accepted, instructions, with_instruction
from backend.evaluation.statistics import detectable_gain, least_provable_gain
from backend.evaluation.verdict import against_prompt, compare, score_interval

SYSTEMS = BASE, PROMPT, FEW_SHOT, TUNED = "base", "prompt", "few_shot", "tuned"
CHOSEN_ON = 8  # training items on which the best instruction is chosen
_LONGEST = 384  # tokens of an answer
_ALIKE = 0.5  # chrF from which on an answer is not called wrong

Progress = Callable[[str, int, int], None]  # phase, done, total; what it raises ends the evaluation


@dataclass(frozen=True)
class System:
    """What one system answered, with the score of the main measure for each item."""

    answers: list[Answer]
    scores: list[float]
    losses: list[float] = field(default_factory=list)
    instruction: str | None = None


@dataclass
class Evaluation:
    """One evaluation on `items`, without those that are too long for the model to read and answer.

    train: items of the training rows, from which the baselines are made. Raises BadInput when there are no items.
    """

    models: Models
    items: Sequence[Item]
    train: Sequence[Item]
    progress: Progress = lambda phase, done, total: None

    def __post_init__(self) -> None:
        if not self.items:
            raise BadInput(
                "There are no examples to evaluate this model on.",
                "None were set aside before training.",
                "Set some aside (validation_fraction), or add a validation file, and train again.",
            )
        pairs = all(item.rejected for item in self.items)
        answers = [item.expected for item in (*self.train, *self.items)]
        self.measure = Measure("preference") if pairs else choose_measure(answers)
        longest = max(self.models.tokens(item.answer) for item in (*self.train, *self.items))
        self.limit = min(_LONGEST, 16 + 2 * longest)
        given = len(self.items)
        self.items = [item for item in self.items if self._can_read(item)]
        self.skipped = given - len(self.items)
        if not self.items:
            raise BadInput(
                "This model can't be evaluated on its examples.",
                f"All {given} that were set aside are longer than it can read ({self.models.context_length} tokens).",
                "Use shorter examples, or a model that reads more.",
            )
        self.clusters = [item.cluster for item in self.items]

    def run(self, *, baselines: bool) -> dict[str, Any]:
        """All that `evaluate --json` prints. baselines: also the base with the best prompt, and with examples."""
        plain = [list(item.messages) for item in self.items]
        systems = {BASE: self._system(BASE, plain, "Asking the base model"), TUNED: None}
        if baselines and self.train and self.measure.name != "preference":
            systems |= {PROMPT: self._best_prompt(), FEW_SHOT: self._few_shot()}
        systems[TUNED] = self._system(TUNED, plain, "Asking your model")
        report = self._report({name: system for name, system in systems.items() if system})
        phase = "Asking both models general questions"
        return {**report, "general": general.check(self.models, lambda *done: self.progress(phase, *done))}

    def _can_read(self, item: Item) -> bool:
        prompt = accepted(list(item.messages), partial(self.models.prompt_ids, tools=item.tools))
        answers = [self.models.tokens(content(one)) for one in (item.expected, item.rejected) if one]
        return len(prompt) + max(answers) < self.models.context_length

    def _system(
        self, pane: str, conversations: Sequence[Conversation], phase: str, instruction: str | None = None
    ) -> System:
        answers = self._ask(pane, self.items, conversations, phase)
        losses = [self.models.loss(pane, item) for item in self.items] if instruction is None else []
        if self.measure.name == "preference":
            return System(answers, self._preferences(pane, losses), losses)
        return System(answers, self._scores(self.items, answers), losses, instruction)

    def _preferences(self, pane: str, losses: Sequence[float]) -> list[float]:
        """1 where the better answer of a pair is the likelier one, per token; losses: of the better answers."""
        worse = [replace(item, expected=item.rejected) for item in self.items if item.rejected]
        return [float(better < self.models.loss(pane, item)) for better, item in zip(losses, worse, strict=True)]

    def _ask(
        self, pane: str, items: Sequence[Item], conversations: Sequence[Conversation], phase: str
    ) -> list[Answer]:
        prompts = [
            accepted(conversation, partial(self.models.prompt_ids, tools=item.tools))
            for item, conversation in zip(items, conversations, strict=True)
        ]
        fits = [number for number, prompt in enumerate(prompts) if len(prompt) < self.models.context_length]
        found = self.models.answer(
            pane, [prompts[n] for n in fits], self.limit, lambda done: self.progress(phase, done, len(items))
        )
        answers = dict(zip(fits, found, strict=True))
        return [answers.get(number, Answer("", False)) for number in range(len(items))]

    def _scores(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[float]:
        return [self.measure.score(item.expected, answer.text) for item, answer in zip(items, answers, strict=True)]

    def _best_prompt(self) -> System:
        """The base with the instruction that does best on training items, which do not judge."""
        some = self.train[:: max(1, len(self.train) // CHOSEN_ON)][:CHOSEN_ON]
        scored: list[tuple[float, str]] = []
        for instruction in instructions(self.train, self.measure):
            answers = self._ask(
                BASE, some, [with_instruction(one, instruction) for one in some], "Trying instructions"
            )
            scored.append((fmean(self._scores(some, answers)), instruction))
        best = max(scored, key=lambda one: one[0])[1]
        conversations = [with_instruction(item, best) for item in self.items]
        return self._system(BASE, conversations, "Asking the base model with the best prompt", best)

    def _few_shot(self) -> System:
        nearest = NearestExamples(self.train)
        room = self.models.context_length - self.limit

        def fits(conversation: Conversation) -> bool:
            try:
                return len(accepted(conversation, partial(self.models.prompt_ids, tools=()))) <= room
            except BadInput:
                return False

        conversations = [nearest.conversation(item, fits) for item in self.items]
        return self._system(BASE, conversations, "Asking the base model with examples", "")

    def _report(self, systems: Mapping[str, System]) -> dict[str, Any]:
        graded, scores = self.measure.graded, {name: system.scores for name, system in systems.items()}
        comparisons = [
            compare(TUNED, other, scores, self.clusters, graded=graded)
            for other in (BASE, PROMPT, FEW_SHOT)
            if other in systems
        ]
        clusters = len(set(self.clusters))
        report: dict[str, Any] = {
            "main_measure": self.measure.name,
            "items": len(self.items),
            "skipped": self.skipped,
            "clusters": clusters,
            "least_provable_gain": None if graded else least_provable_gain(clusters),
            "detectable_gain": None if graded else detectable_gain(clusters),
            "engine": self.models.name,
            "systems": {name: self._summary(system) for name, system in systems.items()},
            "comparisons": [one.to_json() for one in comparisons],
            "verdict": comparisons[0].verdict,
            "against_prompt": against_prompt(comparisons[1:]),
            "findings": [one.to_json() for one in self._findings(systems)],
            "answers": self._answers(systems),
        }
        return report | next_step(report, self.measure)

    def _findings(self, systems: Mapping[str, System]) -> list[Finding]:
        tuned = systems[TUNED]
        right = _ALIKE if self.measure.graded else 1.0
        wrong = [self.measure.name == "preference" or score < right for score in tuned.scores]
        label = self.measure.name == "label"  # a wrong label is always another example's answer
        return findings(
            self.items,
            () if label else self.train,
            [answer.text for answer in tuned.answers],
            [
                answer.ended or self.models.tokens(item.answer) >= self.limit
                for item, answer in zip(self.items, tuned.answers, strict=True)
            ],
            wrong,
            self._strange(tuned, wrong, fmean(systems[BASE].losses)),
        )

    def _strange(self, tuned: System, wrong: Sequence[bool], usual: float) -> list[bool]:
        """Which wrong answers are gibberish to the base model. usual: its mean loss on the expected answers."""
        known = {normalize(item.answer) for item in self.train}

        def strange(item: Item, text: str) -> bool:
            if len(text.split()) < LONG_ENOUGH or normalize(text) in known:
                return False
            loss = self.models.loss(BASE, replace(item, expected={"role": "assistant", "content": text}))
            return loss >= max(GIBBERISH, usual + UNUSUAL)

        return [
            bad and strange(item, answer.text)
            for bad, item, answer in zip(wrong, self.items, tuned.answers, strict=True)
        ]

    def _summary(self, system: System) -> dict[str, Any]:
        texts = [answer.text for answer in system.answers]
        known = {normalize(item.answer) for item in self.train}
        low, high = score_interval(system.scores, self.clusters, graded=self.measure.graded)
        found: dict[str, Any] = {
            "score": fmean(system.scores),
            "interval": [low, high],
            "ended": fmean(answer.ended for answer in system.answers),
            "loops": fmean(map(signs.repeats, texts)),
            "words": fmean(len(text.split()) for text in texts),
            "loss": fmean(system.losses) if system.losses else None,
            "phrases": {
                phrase: signs.share_with(phrase, texts)
                for phrase in signs.own_phrases([item.answer for item in self.train])
            },
        }
        if self.measure.name == "chrf":
            found["copied"] = fmean(normalize(text) in known for text in texts)
        if self.measure.name == "json":
            found["json"] = fmean(map(measures.is_json, texts))
            found["fields"] = self._fields(texts)
        if self.measure.name == "label":
            pairs = [(item.answer, text) for item, text in zip(self.items, texts, strict=True)]
            found["confusion"] = measures.confusion(pairs, self.measure.labels)
        if system.instruction:
            found["instruction"] = system.instruction
        return found

    def _fields(self, texts: Sequence[str]) -> dict[str, float]:
        """How often each field is right."""
        right: dict[str, list[bool]] = {}
        for item, text in zip(self.items, texts, strict=True):
            for name, ok in measures.fields(item.answer, text).items():
                right.setdefault(name, []).append(ok)
        return {name: fmean(found) for name, found in right.items()}

    def _answers(self, systems: Mapping[str, System]) -> list[dict[str, Any]]:
        """Every item with what each system answered, the tuned model's worst first."""
        found = [
            {
                "question": item.question,
                "expected": item.answer,
                **{name: system.answers[number].text for name, system in systems.items()},
                "scores": {name: system.scores[number] for name, system in systems.items()},
                "cluster": item.cluster,
            }
            for number, item in enumerate(self.items)
        ]
        return sorted(found, key=lambda one: one["scores"][TUNED])
