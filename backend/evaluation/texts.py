"""Plain texts: does the tuned model predict texts that it has not seen better than its
base?

Measured by perplexity: e to the mean nats per token, lower is better. Each text counts
once, whatever its length, and near-copies together, so that the mean is over clusters
of texts. Long texts are read in the windows of the training, where each token counts in
the first window that has it, unless it begins that window.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from backend.errors import BadInput
from backend.evaluation import general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.diagnosis import with_next_step
from backend.evaluation.items import clusters
from backend.evaluation.models import Models, Progress
from backend.evaluation.verdict import compare, mean_score
from backend.records.evaluation import (
    BASE,
    TUNED,
    EvaluationReport,
    ReportedAnswer,
    SystemScore,
)
from backend.records.lengths import spans
from backend.records.rows import Row

_OPENING = 48  # tokens of a text that both models continue, at most half of it
_CONTINUATION = 64  # tokens
_MOST = 700.0  # nats: e to more is too large for a number


class TextEvaluation:
    """An evaluation of "base" and "tuned" on plain texts. Raises BadInput when no text
    has two tokens. models: the two models. texts: those that neither has learned from.
    size: tokens of a window. overlap: tokens that a window shares with the one before.
    progress: called with phase, done and total; what it raises ends the evaluation.
    so_far: answers to general questions that need not be asked again. keep_general: the
    setting of the run.
    """

    def __init__(
        self,
        models: Models,
        texts: Sequence[str],
        size: int,
        overlap: int,
        progress: Progress = lambda phase, done, total: None,
        so_far: AnswersSoFar | None = None,
        keep_general: float | None = None,
    ) -> None:
        self._models, self._progress, self._so_far, self._keep_general = (
            models,
            progress,
            so_far,
            keep_general,
        )
        self._size = max(2, min(size, models.context_length))
        self._overlap = min(overlap, self._size // 2)
        encoded = [models.text_ids(text) for text in texts]
        long_enough = [number for number, ids in enumerate(encoded) if len(ids) > 1]
        if not long_enough:
            raise BadInput(
                "There are no texts to evaluate this model on.",
                "None were set aside before training, or they are empty.",
                "Set some aside (validation_fraction), or add a validation file, and train again.",
            )
        self._texts = [encoded[number] for number in long_enough]
        self._skipped = len(texts) - len(long_enough)
        self._clusters = clusters(
            [
                Row(number, number, text=texts[at])
                for number, at in enumerate(long_enough, 1)
            ]
        )

    def run(self) -> EvaluationReport:
        """The report; texts are never compared with a previous version."""
        losses = {BASE: self._losses(BASE, "Reading with the base model")}
        losses[TUNED] = self._losses(TUNED, "Reading with your model")
        continued = {pane: self._continue(pane) for pane in (BASE, TUNED)}
        gains = {
            pane: [-loss for loss in losses[pane]] for pane in losses
        }  # of which more is better
        comparison = compare(
            TUNED, BASE, gains, self._clusters, graded=True, largest=math.inf
        )
        progress = partial(self._progress, "Asking both models general questions")
        report = EvaluationReport(
            main_measure="perplexity",
            items=len(self._texts),
            skipped=self._skipped,
            clusters=len(set(self._clusters)),
            least_provable_gain=None,
            detectable_gain=None,
            engine=self._models.name,
            systems={pane: self._score(losses[pane]) for pane in losses},
            comparisons=(comparison,),
            verdict=comparison.verdict,
            against_prompt="not_measured",
            next="",
            findings=(),
            general=general.check(
                self._models, progress, self._so_far, keep_general=self._keep_general
            ),
            against_parent="not_measured",
            parent=None,
            answers=self._answers(losses, continued),
        )
        return with_next_step(report)

    def _losses(self, pane: str, phase: str) -> list[float]:
        """The mean nats per token of each text."""
        losses = []
        for number, ids in enumerate(self._texts):
            self._progress(phase, number, len(self._texts))
            read, predicted, total = 0, 0, 0.0
            for start, end in spans(len(ids), self._size, self._overlap):
                first = max(
                    read, start + 1
                )  # nothing precedes the first token of a window
                if first < end:
                    total += self._models.nats(pane, ids[start:end], first - start)
                    predicted += end - first
                read = end
            losses.append(total / predicted)
        return losses

    def _continue(self, pane: str) -> list[str]:
        prompts = [ids[: _opening(ids)] for ids in self._texts]
        phase = "Continuing the texts"
        room = min(_CONTINUATION, self._models.context_length - _OPENING)
        answers = self._models.answer(
            pane,
            prompts,
            room,
            lambda done: self._progress(phase, done, len(self._texts)),
        )
        return [answer.text for answer in answers]

    def _score(self, losses: Sequence[float]) -> SystemScore:
        mean, low, high = mean_score(losses, self._clusters, graded=True)
        return SystemScore(
            score=_perplexity(mean),
            interval=(_perplexity(low), _perplexity(high)),
            loss=mean,
        )

    def _answers(
        self,
        losses: Mapping[str, Sequence[float]],
        continued: Mapping[str, Sequence[str]],
    ) -> tuple[ReportedAnswer, ...]:
        """Every text with its perplexity for both models and how they continue it, the
        worst first.
        """
        decode = self._models.decode
        answers = [
            ReportedAnswer(
                question=decode(ids[: _opening(ids)]),
                expected=decode(ids[_opening(ids) :][:_CONTINUATION]),
                texts={pane: texts[number] for pane, texts in continued.items()},
                scores={pane: _perplexity(of[number]) for pane, of in losses.items()},
                losses={pane: of[number] for pane, of in losses.items()},
                cluster=self._clusters[number],
            )
            for number, ids in enumerate(self._texts)
        ]
        return tuple(sorted(answers, key=lambda answer: -answer.scores[TUNED]))


def _opening(ids: Sequence[int]) -> int:
    """Where the continuation of a text begins."""
    return min(_OPENING, len(ids) // 2)


def _perplexity(nats: float) -> float:
    return math.exp(nats) if nats <= _MOST else math.inf  # also for NaN
