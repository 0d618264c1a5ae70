"""Asking an evaluation's questions: each system answers every held-out item, and its
answers are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from statistics import fmean

from backend.chat.engine import Enough, looping
from backend.errors import BadInput, ChatFailed
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.facts import Facts
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure, choose_measure, may_follow
from backend.evaluation.models import Answer, Models, Progress
from backend.evaluation.prompts import (
    Conversation,
    NearestExamples,
    accepted,
    instructions,
    with_instruction,
)
from backend.records.evaluation import BASE, TUNED
from backend.text.conversation import said

CHOSEN_ON = 8  # training items on which the best instruction is chosen
_LONGEST = 384  # tokens of an answer
_BEGUN = (
    32  # tokens of a base model's answer, after which it is clear that it is no JSON
)

Conversations = Sequence[Conversation]


@dataclass(frozen=True)
class System:
    """The answers of one system, with each item's score on the main measure. losses: of
    the expected answers, where the measure needs them or the engine computes them in
    one pass.
    """

    answers: list[Answer]
    scores: list[float]
    losses: list[float] = field(default_factory=list)
    instruction: str | None = None


@dataclass
class Asking:
    """The questions of one evaluation: `items`, without those that are too long for the
    model to read and answer. train: items of the training rows, from which prompts are
    made. so_far: answers that need not be asked again. skipped: how many items were too
    long. Raises BadInput when there are no items.
    """

    models: Models
    items: Sequence[Item]
    train: Sequence[Item]
    progress: Progress = lambda phase, done, total: None
    so_far: AnswersSoFar = field(default_factory=AnswersSoFar)

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
        written = [
            self.models.text_ids(item.answer) for item in (*self.train, *self.items)
        ]
        self.limit = min(_LONGEST, 16 + 2 * max(map(len, written)))
        repetitive = any(
            looping(0, ids[:end]) for ids in written for end in range(len(ids) + 1)
        )
        self._enough: Enough = (
            (lambda number, ids: False) if repetitive else looping
        )  # a right one is never cut
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

    def base(self) -> System:
        """The base model as it is."""
        return self._system(
            BASE, [list(item.messages) for item in self.items], "Asking the base model"
        )

    def tuned(self) -> System:
        """The trained model."""
        return self._system(
            TUNED, [list(item.messages) for item in self.items], "Asking your model"
        )

    def right_in_form(self, tuned: System, form: str) -> int | None:
        """How many answers of the trained model are right when they are held to `form`,
        a JSON schema: those that are right without it, and more. None where it can't be
        measured in one pass.
        """
        if self.measure.name != "json" or self.models.all_at_once or not form:
            return None
        wrong = [
            item
            for item, score in zip(self.items, tuned.scores, strict=True)
            if score < 1
        ]
        prompts = [[*self.prompt(item), *self.models.opening()] for item in wrong]
        phase = "Asking your model in the form of your answers"
        try:
            answers = self.models.answer(
                TUNED,
                prompts,
                self.limit,
                lambda done: self.progress(phase, done, len(wrong)),
                form=form,
            )
        except ChatFailed:  # the engine refuses this form; all else of the check holds
            return None
        return len(self.items) - sum(
            score < 1 for score in self._scores(wrong, answers)
        )

    def best_prompt(self) -> System:
        """The base with the instruction that does best on training items, which do not
        judge.
        """
        some = self.train[:: max(1, len(self.train) // CHOSEN_ON)][:CHOSEN_ON]
        scored: list[tuple[float, str]] = []
        for instruction in instructions(self.train, self.measure):
            conversations = [with_instruction(item, instruction) for item in some]
            answers = self._ask(BASE, some, conversations, "Trying instructions")
            scored.append((fmean(self._scores(some, answers)), instruction))
        best = max(scored, key=lambda pair: pair[0])[1]
        conversations = [with_instruction(item, best) for item in self.items]
        return self._system(
            BASE, conversations, "Asking the base model with the best prompt", best
        )

    def few_shot(self) -> System:
        """The base with as many of the nearest training examples in its prompt as fit."""
        return self._system(
            BASE, self._with_examples, "Asking the base model with examples", ""
        )

    def has_tried_prompts(self) -> bool:
        """Whether the answers of `few_shot` are known, as after a trial of prompts on
        the same examples.
        """
        prompts = map(self.prompt, self.items, self._with_examples)
        return all(
            self.so_far.get(BASE, prompt, self._limit(BASE)) for prompt in prompts
        )

    @cached_property
    def _with_examples(self) -> Conversations:
        nearest = NearestExamples(self.train)
        return [nearest.conversation(item, self._fits) for item in self.items]

    def facts(self, facts: Facts) -> System:
        """The base with the passages in its prompt that match each question best."""
        conversations = [facts.conversation(item, self._fits) for item in self.items]
        return self._system(
            BASE, conversations, "Asking the base model with your facts", ""
        )

    def _fits(self, conversation: Conversation) -> bool:
        """Whether the model can read the conversation and still answer."""
        try:
            prompt = accepted(conversation, partial(self.models.prompt_ids, tools=()))
        except BadInput:
            return False
        return len(prompt) <= self.models.context_length - self.limit

    def prompt(self, item: Item, conversation: Conversation | None = None) -> list[int]:
        """The token ids of a question, or of `conversation` with its tools, in the form
        that the model's template accepts. Raises BadInput for neither.
        """
        return accepted(
            conversation or list(item.messages),
            partial(self.models.prompt_ids, tools=item.tools),
        )

    def _can_read(self, item: Item) -> bool:
        prompt = self.prompt(item)
        answers = [
            self.models.tokens(said(answer))
            for answer in (item.expected, item.rejected)
            if answer
        ]
        return len(prompt) + max(answers) < self.models.context_length

    def _system(
        self,
        pane: str,
        conversations: Conversations,
        phase: str,
        instruction: str | None = None,
    ) -> System:
        answers = self._ask(pane, self.items, conversations, phase)
        preference = self.measure.name == "preference"
        measured = instruction is None and (preference or self.models.all_at_once)
        losses = (
            [self.models.loss(pane, item) for item in self.items] if measured else []
        )
        if preference:
            worse = [
                replace(item, expected=item.rejected)
                for item in self.items
                if item.rejected
            ]
            pairs = zip(
                losses, worse, strict=True
            )  # won where the better answer is the likelier one, per token
            return System(
                answers,
                [
                    float(better < self.models.loss(pane, item))
                    for better, item in pairs
                ],
                losses,
            )
        return System(answers, self._scores(self.items, answers), losses, instruction)

    def _ask(
        self, pane: str, items: Sequence[Item], conversations: Conversations, phase: str
    ) -> list[Answer]:
        prompts = list(map(self.prompt, items, conversations))
        asked = [
            number
            for number, prompt in enumerate(prompts)
            if len(prompt) < self.models.context_length
        ]
        answers: dict[int, Answer] = {}

        def answered(done: int) -> None:
            self.progress(phase, len(prompts) - len(asked) + done, len(prompts))

        for limit in dict.fromkeys((self._limit(pane), self.limit)):
            some = [prompts[number] for number in asked]
            answers |= zip(
                asked,
                self.so_far.ask(self.models, pane, some, limit, answered, self._enough),
                strict=True,
            )
            asked = [
                n
                for n in asked
                if not answers[n].ended
                and may_follow(items[n].expected, answers[n].text)
            ]
        return [
            answers.get(number, Answer("", False)) for number in range(len(prompts))
        ]

    def _limit(self, pane: str) -> int:
        """The tokens that an answer may have at first; more where `limit` allows it,
        and it may yet be right.
        """
        return (
            min(self.limit, _BEGUN)
            if pane == BASE and self.measure.name == "json"
            else self.limit
        )

    def _scores(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[float]:
        return [
            self.score(item, answer.text)
            for item, answer in zip(items, answers, strict=True)
        ]

    def score(self, item: Item, answer: str) -> float:
        """The main measure's score of an answer. Tool calls may also stand in it
        exactly as the model's chat template writes them, which not every template does
        in JSON.
        """
        if (
            item.expected.get("tool_calls")
            and answer.split() == self.models.written(item).split()
        ):
            return 1.0
        return self.measure.score(item.expected, answer)
