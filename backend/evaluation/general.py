"""What is left of a base model's general knowledge after training, on the prompts of
static/general/check.json.

None of them is ever trained (static/general/prompts.json has others). Most are
questions that the bundled model answers correctly in every engine and precision, with
0.2 nats or more between the two likeliest tokens up to the word that decides; twenty
are for larger models, and thirty have no right answer. Three measures:

    kept     of the questions that the base model answers correctly, those that the tuned one does too
    leaked   of all prompts, those that the tuned model answers in the form of its task, and the base model does not
    drift    nats a token by which the base model's own answers became less likely
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean

from backend.chat.engine import Each, Enough, looping
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.items import Item
from backend.evaluation.measures import Measure
from backend.evaluation.models import Answer, Models
from backend.files.json_file import read_json
from backend.records.evaluation import (
    BASE,
    TUNED,
    GeneralAnswer,
    GeneralCheck,
    GeneralOutcome,
)
from backend.settings import PROJECT_ROOT
from backend.statistics import SIGNIFICANT, mcnemar_exact
from backend.text import signs
from backend.text.normalize import normalize

FILE = PROJECT_ROOT / "static" / "general" / "check.json"
OF_BUNDLED = FILE.with_name(
    "check_answers.json"
)  # as `AnswersSoFar` stores them; by tests/static/make_answers.py
_CHECK = read_json(FILE)
QUESTIONS: Mapping[str, Sequence[str]] = _CHECK[
    "questions"
]  # each with words of which one must stand in the answer
PROMPTS = [*QUESTIONS, *_CHECK["open"]]  # the questions first
LIMIT = 24  # tokens of an answer to a question
OPEN_LIMIT = 48  # of one to the other prompts, so that a sign-off is seen
_LOST_MUCH = 0.2  # of what the base model knows
_SHOWN = 3  # examples of each outcome
_RARER = 10  # times
# What an answer in the form of the task begins with. It is perhaps cut; a call may also
# be written with tags.
_OPENINGS = {"json": ("{", "[", "```json"), "tool_call": ("{", "[", "```json", "<")}


def check(
    models: Models,
    progress: Callable[[int, int], None],
    so_far: AnswersSoFar | None = None,
    measure: Measure | None = None,
    learned: Sequence[str] = (),
    keep_general: float | None = None,
    usual: Sequence[str] = (),
) -> GeneralCheck:
    """Compare the general knowledge of the tuned and the base model.

    progress: gets done and total
    measure: of the task, None for one without questions
    learned: the answers of the training examples
    keep_general: the setting of the run, None where it has no effect
    usual: more of what the base model answers to other things"""
    asked, count, so_far = PROMPTS, len(QUESTIONS), so_far or AnswersSoFar()
    total, labels = 2 * len(asked), set(map(normalize, learned))
    answers = {BASE: ask(models, BASE, so_far, lambda done: progress(done, total))}
    in_form = _form(
        measure, learned, [*(answer.text for answer in answers[BASE]), *usual]
    )
    graded = (
        measure is not None and measure.graded
    )  # a phrase of the task's may still follow

    def enough(number: int, written: Sequence[int]) -> bool:
        """Whether a question is answered; the token after the word shows that the word
        is complete.
        """
        if looping(number, written):
            return True
        before, text = models.decode(written[:-1]), models.decode(written)
        right = is_right(asked[number], before) and is_right(asked[number], text)
        return right and not graded and not (in_form and in_form(text))

    def settled(number: int, written: Sequence[int]) -> bool:
        """Whether another prompt is answered: whatever follows, it is not in the form
        of the task.
        """
        return looping(number, written) or not _may_begin(
            models.decode(written), measure, labels
        )

    answers[TUNED] = ask(
        models,
        TUNED,
        so_far,
        lambda done: progress(total // 2 + done, total),
        enough,
        settled,
    )
    texts = {pane: [answer.text for answer in given] for pane, given in answers.items()}
    right = {
        pane: {n for n in range(count) if is_right(asked[n], given[n])}
        for pane, given in texts.items()
    }
    lost, gained = sorted(right[BASE] - right[TUNED]), right[TUNED] - right[BASE]
    leaked = [
        n
        for n, text in enumerate(texts[TUNED])
        if in_form and in_form(text) and not in_form(texts[BASE][n])
    ]
    kept = sorted((right[BASE] & right[TUNED]).difference(leaked))
    shown: dict[GeneralOutcome, list[int]] = {
        "leaked": leaked[-_SHOWN:],  # the last ones are no questions
        "lost": [n for n in lost if n not in leaked][:_SHOWN],
        "kept": kept[:_SHOWN],
    }
    return GeneralCheck(
        asked=len(asked),
        base_right=len(right[BASE]),
        kept=len(right[BASE] & right[TUNED]),
        tuned_right=len(right[TUNED]),
        lost=tuple(asked[n] for n in lost),
        dropped=len(lost) > max(len(gained), _LOST_MUCH * len(right[BASE]))
        and mcnemar_exact(len(lost), len(gained)) <= SIGNIFICANT,
        leaked=len(leaked) if in_form else None,
        drift=_drift(models, asked, answers[BASE]),
        keep_general=keep_general,
        examples=tuple(
            GeneralAnswer(
                question=asked[n],
                base=texts[BASE][n],
                tuned=texts[TUNED][n],
                outcome=outcome,
            )
            for outcome, numbers in shown.items()
            for n in numbers
        ),
    )


def ask(
    models: Models,
    pane: str,
    so_far: AnswersSoFar,
    progress: Each,
    enough: Enough = looping,
    settled: Enough = looping,
) -> list[Answer]:
    """The answers of the model in `pane` to all prompts: to questions until `enough`,
    to the others until `settled`.
    """
    count, opening = (
        len(QUESTIONS),
        models.opening(),
    )  # it begins at once, also where it would think aloud first
    ids = [
        [*models.prompt_ids([{"role": "user", "content": prompt}], ()), *opening]
        for prompt in PROMPTS
    ]
    short = so_far.ask(models, pane, ids[:count], LIMIT, progress, enough, general=True)
    rest = so_far.ask(
        models,
        pane,
        ids[count:],
        OPEN_LIMIT,
        lambda done: progress(count + done),
        settled,
        general=True,
    )
    return short + rest


def is_right(question: str, answer: str) -> bool:
    """Whether the answer to a question contains one of the accepted words."""
    return any(_words(word) in _words(answer) for word in QUESTIONS[question])


def _words(text: str) -> str:
    return f" {' '.join(''.join(c if c.isalnum() else ' ' for c in normalize(text)).split())} "


def _form(
    measure: Measure | None, learned: Sequence[str], base: Collection[str]
) -> Callable[[str], bool] | None:
    """Whether an answer has the form of those in `learned`; None where they have none
    of their own. base: answers of the base model to other things. A word that it uses
    there is no sign, nor is a phrase that is not far rarer there than in the examples.
    """
    if measure is None:
        return None
    if openings := _OPENINGS.get(measure.name):
        return lambda text: text.lstrip().startswith(openings)
    if measure.name in ("label", "exact"):
        labels = set(map(normalize, learned))
        return lambda text: normalize(text) in labels
    usual = [_words(text) for text in base]

    def is_own(phrase: str) -> bool:
        wanted = _words(phrase)
        share = fmean(wanted in text for text in usual)
        return (
            not share
            if len(wanted.split()) == 1
            else share * _RARER <= signs.share_with(phrase, learned)
        )

    phrases = list(filter(is_own, signs.own_phrases(learned)))
    return (
        (lambda text: any(signs.share_with(phrase, [text]) for phrase in phrases))
        if phrases
        else None
    )


def _may_begin(text: str, measure: Measure | None, labels: Collection[str]) -> bool:
    """Whether an answer that begins with `text` may yet have the form of `labels`,
    normalized, as `_form` sees it.
    """
    if measure is None or measure.name not in (*_OPENINGS, "label", "exact"):
        return True
    text = text.rstrip("\ufffd")  # a part of a character
    begun = (
        text.lstrip() if measure.name in _OPENINGS else normalize(f"{text}a")[:-1]
    )  # more follows its last mark
    return any(
        begun.startswith(form) or form.startswith(begun)
        for form in _OPENINGS.get(measure.name, labels)
    )


def _drift(
    models: Models, asked: Sequence[str], base: Sequence[Answer]
) -> float | None:
    """None where the engine takes a step for each probability, or the base model ended
    no answer.
    """
    items = [
        Item(
            ({"role": "user", "content": prompt},),
            {"role": "assistant", "content": answer.text},
            number,
            number,
        )
        for number, (prompt, answer) in enumerate(zip(asked, base, strict=True))
        if answer.ended and answer.text
    ]
    if not models.all_at_once or not items:
        return None
    return fmean(models.loss(TUNED, item) - models.loss(BASE, item) for item in items)
