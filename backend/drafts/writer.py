"""Questions drafted by a chat model on this computer, and what has to be true of them
before a person sees one.

The model never writes an answer: it names the sentence of the person that is one. A
    grammar holds it to the form.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from backend.chat.client import Chat
from backend.datasets.documents.passages import Passage, sentences
from backend.drafts.draft import MODEL, Draft
from backend.errors import ChatFailed
from backend.text.normalize import normalize, words_of

Ask = Callable[
    [str, str, int], str
]  # the prompt, the grammar and the most tokens; the answer
WAYS = (
    "a full question",
    "a short one, as people type it in a hurry",
    "the same in quite other words",
)
NO_USE = 8  # passages without a usable draft, after which a model is too weak
_FEWEST_WORDS, _LONGEST = 3, 120  # of a question; characters
_STEM = 5  # letters by which a word is known again
_COPY = 0.8  # share of a question's words that stand in the answer
_ALIKE = 0.75  # of two questions' words
_MOST_SENTENCES = 9  # that a model chooses from, so that each number is one digit
_QUESTION = f'q ::= [^\\n?!.0-9 #*-] [^\\n?!.]{{7,{_LONGEST}}} "?"'


def asking(chat: Chat, stopped: Callable[[], bool] = lambda: False) -> Ask:
    """Asks the open model of a chat process. stopped: whether to break off an answer."""

    def ask(prompt: str, grammar: str, most: int) -> str:
        pieces = []
        for chunk in chat.ask(
            [{"role": "user", "content": prompt}], grammar=grammar, max_new_tokens=most
        ):
            pieces.append(chunk.text)
            if stopped():
                break
        return "".join(pieces)

    return ask


def about(
    ask: Ask, passage: Passage, model: str, others: Sequence[str] = ()
) -> list[Draft]:
    """Drafts about one passage: a sentence of it, asked for in three ways. Raises
    ChatFailed.

    model: the name of the one that `ask` asks
    others: questions that there are already
    """
    choices = sentences(passage.text)[:_MOST_SENTENCES]
    asked = (
        f"From “{passage.heading}”:\n{_numbered(choices)}\n\nChoose the sentence that answers what a customer would "
        f"most likely ask. Write its number, then three questions that this sentence answers: {'; '.join(WAYS)}."
    )
    form = f'root ::= [1-{len(choices)}] "\\n" q "\\n" q "\\n" q\n{_QUESTION}'
    chosen, *questions = ask(asked, form, 160).split("\n")
    answer, good = _named(chosen, choices), list[Draft]()
    for number, question in enumerate(map(str.strip, questions[: len(WAYS)]), 1):
        seen = [*others, *(draft.question for draft in good)]
        related = answer and _stems(question) & _stems(
            f"{passage.heading} {passage.text}"
        )
        if (
            related
            and is_question(question, answer, seen)
            and _found(ask, choices, question) == answer
        ):
            name, way = _id(passage.number, question), f"{MODEL} {number}"
            good.append(Draft(name, way, passage.number, question, answer, model))
    return good


def _found(ask: Ask, choices: Sequence[str], question: str) -> str:
    """The sentence in which the model finds the answer, "" for none. They are listed
    the other way round: a weak model names the same number whatever it is asked.
    """
    turned = choices[::-1]
    asked = f"{_numbered(turned)}\n\nWhich sentence answers this question: {question}\nWrite its number, or 0 if none does."
    return _named(ask(asked, f"root ::= [0-{len(choices)}]", 2), turned)


def _numbered(choices: Sequence[str]) -> str:
    return "\n".join(
        f"{number}. {sentence}" for number, sentence in enumerate(choices, 1)
    )


def _named(number: str, choices: Sequence[str]) -> str:
    return dict(zip(map(str, range(1, len(choices) + 1)), choices, strict=True)).get(
        number.strip(), ""
    )


def is_question(question: str, answer: str, others: Sequence[str]) -> bool:
    """Whether it is a question in words of its own, unlike the answer and all others."""
    words = set(words_of(question))
    if (
        len(words) < _FEWEST_WORDS
        or len(question) > _LONGEST
        or not question.endswith(("?", "？"))
    ):
        return False
    if len(words.intersection(words_of(answer))) > _COPY * len(words):
        return False
    return all(
        len(words & other) < _ALIKE * len(words | other)
        for other in map(set, map(words_of, others))
    )


def _stems(text: str) -> set[str]:
    """The beginnings of the longer words."""
    return {
        word[:_STEM]
        for word in words_of(text)
        if len(word) >= _STEM or not word.isascii()
    }


def more(ask: Ask, topic: str, examples: Sequence[str], model: str) -> list[Draft]:
    """More questions about a topic, or like the examples, for the person to answer.
    Raises ChatFailed.
    """
    listed = "".join(f"- {question}\n" for question in examples[-8:])
    asked = f"The topic: {topic}\n" * bool(
        topic
    ) + f"Questions that people ask:\n{listed}\n" * bool(listed)
    asked += "Write five more questions that other people would ask here, each about something else."
    good: list[Draft] = []
    for line in map(
        str.strip,
        ask(asked, f'root ::= q ("\\n" q){{4}}\n{_QUESTION}', 260).split("\n"),
    ):
        if is_question(line, topic, [*examples, *(draft.question for draft in good)]):
            good.append(Draft(_id(0, line), MODEL, 0, line, "", model))
    return good


def _id(passage: int, question: str) -> str:
    return f"{passage} {MODEL} {blake2b(normalize(question).encode(), digest_size=6).hexdigest()}"


def draft_all(
    ask: Ask,
    passages: Sequence[Passage],
    model: str,
    stopped: Callable[[], bool] = lambda: False,
    others: Sequence[str] = (),
) -> Iterator[tuple[Passage, list[Draft]]]:
    """Each passage with the drafts about it, as they come. Raises ChatFailed where a
    model writes nothing of use.
    """
    seen = [*others]
    for done, passage in enumerate(passages, 1):
        if stopped():
            return
        drafts = about(ask, passage, model, seen[-60:])
        seen += (draft.question for draft in drafts)
        yield passage, drafts
        if done == NO_USE and len(seen) == len(others):
            raise no_use(model)


def no_use(model: str) -> ChatFailed:
    return ChatFailed(
        f"The questions of {model} are of no use here.",
        "None passed the checks: a question in words of its own, whose answer it finds in your text again.",
        "Choose a larger model, or go on without one.",
    )


def with_model(
    ready: Iterable[list[Draft]],
    chat: Chat,
    model: Path,
    name: str,
    passages: Sequence[Passage],
) -> Iterator[list[Draft]]:
    """The drafts that are ready, then those of a chat model about one passage after
    another; `chat` is closed.
    """
    yield from ready
    try:
        chat.open(model)
        yield from (drafts for _, drafts in draft_all(asking(chat), passages, name))
    finally:
        chat.close()
