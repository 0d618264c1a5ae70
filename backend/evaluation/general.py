"""Forgetting, measured after training with general questions that have short, checkable answers.

Questions lost count against questions gained, as between any two models, and the loss of a general text is compared.
"""

from __future__ import annotations

from collections.abc import Callable

from backend.evaluation.items import Item
from backend.evaluation.models import Models
from backend.records.evaluation import BASE, TUNED, GeneralCheck, PaneLosses
from backend.statistics import SIGNIFICANT, mcnemar_exact
from backend.text.normalize import normalize

LIMIT = 32  # tokens of an answer
_LOST_MUCH = 0.2  # of what the base model knows

# Question, and the words of which one must stand in the answer.
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What is the capital of France?", ("paris",)),
    ("What is the capital of Japan?", ("tokyo",)),
    ("What is the capital of Italy?", ("rome",)),
    ("What is the capital of Egypt?", ("cairo",)),
    ("On which continent is Brazil?", ("south america",)),
    ("Which ocean lies between Europe and North America?", ("atlantic",)),
    ("What is 2 + 2?", ("4", "four")),
    ("What is 10 minus 3?", ("7", "seven")),
    ("What is 5 times 6?", ("30", "thirty")),
    ("How many days does a week have?", ("7", "seven")),
    ("How many months does a year have?", ("12", "twelve")),
    ("How many legs does a spider have?", ("8", "eight")),
    ("Which planet is closest to the sun?", ("mercury",)),
    ("Which planet is known as the red planet?", ("mars",)),
    ("What do bees make?", ("honey",)),
    ("What is frozen water called?", ("ice",)),
    ("What gas do people need to breathe?", ("oxygen",)),
    ("What color do you get from mixing blue and yellow?", ("green",)),
    ("What is the opposite of hot?", ("cold",)),
    ("What is the opposite of big?", ("small", "little")),
    ("Translate the English word “house” into Spanish.", ("casa",)),
    ("Translate the English word “thank you” into French.", ("merci",)),
    ("Who wrote Romeo and Juliet?", ("shakespeare",)),
    ("Which animal is known as man's best friend?", ("dog",)),
    ("What is the largest ocean on Earth?", ("pacific",)),
    ("At what temperature in degrees Celsius does water boil?", ("100", "hundred")),
    ("Which month comes after June?", ("july",)),
    ("What is the plural of “mouse”?", ("mice",)),
    ("Name the season that follows winter.", ("spring",)),
    ("What is the chemical symbol of water?", ("h2o", "h₂o")),
)
TEXT = (
    "The river rises in the hills to the north and runs through three valleys before it reaches the sea. In spring, "
    "when the snow melts, it often floods the meadows, and the farmers move their cattle to higher ground. By the "
    "end of summer it is so shallow that children can wade across it. The old mill at the second bridge was built "
    "two hundred years ago and still grinds flour on market days, although most of the bread in the town now comes "
    "from the bakery beside the station."
)


def items() -> list[Item]:
    """The questions as items of an evaluation."""
    return [
        Item(({"role": "user", "content": question},), {"role": "assistant", "content": words[0]}, number, number)
        for number, (question, words) in enumerate(QUESTIONS)
    ]


def check(models: Models, progress: Callable[[int, int], None]) -> GeneralCheck:
    """Compare the general knowledge of the tuned and the base model. progress: gets done and total."""
    asked = items()
    count = len(asked)

    def right(pane: str, before: int) -> set[int]:
        prompts = [models.prompt_ids(item.messages, ()) for item in asked]
        answers = models.answer(pane, prompts, LIMIT, lambda done: progress(before + done, 2 * count))
        return {number for number, answer in enumerate(answers) if is_right(number, answer.text)}

    base, tuned = right(BASE, 0), right(TUNED, count)
    lost, gained = sorted(base - tuned), tuned - base
    text = Item(({"role": "user", "content": "Describe a river."},), {"role": "assistant", "content": TEXT}, 0, 0)
    significant = mcnemar_exact(len(lost), len(gained)) <= SIGNIFICANT
    return GeneralCheck(
        asked=count,
        base_right=len(base),
        kept=len(base & tuned),
        tuned_right=len(tuned),
        lost=tuple(QUESTIONS[n][0] for n in lost),
        dropped=len(lost) > max(len(gained), _LOST_MUCH * len(base)) and significant,
        loss=PaneLosses(base=models.loss(BASE, text), tuned=models.loss(TUNED, text)),
    )


def is_right(number: int, answer: str) -> bool:
    """Whether the answer to a question contains one of the accepted words."""
    text = f" {' '.join(''.join(c if c.isalnum() else ' ' for c in normalize(answer)).split())} "
    return any(f" {word} " in text for word in QUESTIONS[number][1])
