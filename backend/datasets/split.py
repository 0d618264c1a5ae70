"""The split into rows to train on, rows that choose the checkpoint, and rows that judge
the result.

Seeded, by whole conversations, and fair: duplicates stay on one side, so that
memorizing does not pass the check, and the rows that choose are not the rows that
judge. Rows set aside are divided between the two when at least DIVIDED of them are
different; fewer all judge, and then nothing chooses. A validation file stays as it is;
training rows that also appear in it are excluded.

Rows may have a role already, from an earlier version of the model or because a person
corrected their answer: those stay what they were, so that an earlier version's held-out
rows never train a later one. A corrected answer is trained on, and rows that ask the
same judge nothing. The order in which other rows are set aside depends only on their
numbers, and rows that the person adds come last, so that an edit moves few of them. Of
rows made from a text, about the same share is set aside as of the others, so that the
result is judged by both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Literal

from backend.datasets.checks import duplicates
from backend.datasets.checks.near_duplicates import similar_pairs
from backend.errors import BadSetting
from backend.records.rows import Message, Row
from backend.text.conversation import question
from backend.text.normalize import Groups, normalize

FRACTION = 0.1  # of the rows set aside (the guide's number)
AT_LEAST = 24  # rows set aside, but of few rows at most a quarter
DIVIDED = 24  # different rows set aside from which on half choose: 12 that judge can show a gain of one half
FEWEST = 6  # that can judge: with fewer, not even all answers right instead of none is significant

Role = Literal["train", "choosing", "judging"]
ROLES: tuple[Role, ...] = ("train", "choosing", "judging")


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions of rows whose side is decided. A group of rows that stay together takes
    the first of these roles that any of its members has: learned rows can't check
    anything, and rows that chose a checkpoint can't judge it.
    """

    train: frozenset[int] = frozenset()
    choosing: frozenset[int] = frozenset()
    judging: frozenset[int] = frozenset()

    def of(self, group: Iterable[int]) -> Role | None:
        return next(
            (role for role in ROLES if not getattr(self, role).isdisjoint(group)), None
        )


NO_ROLES = Roles()


@dataclass(frozen=True, slots=True)
class Split:
    """Rising positions in the rows, or in the rows followed by those of a validation
    file. validation: evaluated during training; they choose the checkpoint if
    `chooses`. judging: they judge the result; those of `validation` when nothing
    chooses. sentence: the split in plain words. leaked: training rows on no side
    because they also appear in the validation file, each with the first validation row
    like it.
    """

    train: list[int]
    validation: list[int]
    judging: list[int]
    chooses: bool
    sentence: str
    leaked: dict[int, int] = field(default_factory=dict)

    @property
    def set_aside(self) -> int:
        """How many rows are not trained on, apart from the leaked ones."""
        return len({*self.validation, *self.judging})


def split(
    rows: Sequence[Row],
    fraction: float = FRACTION,
    seed: int = 0,
    together: Groups | None = None,
    roles: Roles = NO_ROLES,
) -> Split:
    """Sets rows aside, but never all. Raises BadSetting for another fraction.

    fraction: about which share, 0 to 0.5; 0 for none, else at least AT_LEAST rows, or a
    quarter where that is fewer together: groups of positions that stay on one side,
    computed here when None; one too big stays in training roles: rows set aside before
    stay aside, however many they are
    """
    if not 0 <= fraction <= 0.5:
        raise BadSetting(
            f"The validation share can't be {fraction}.",
            "",
            "Choose one from 0 to 0.5, such as 0.1.",
        )
    groups = _all_groups(
        len(rows), duplicates.find(rows).together if together is None else together
    )
    target = split_sizes(len(rows), fraction)[1] if len(groups) > 1 else 0
    roles = _with_corrected(roles, rows)
    taken = [roles.of(group) for group in groups]
    chosen = [
        group
        for group, role in zip(groups, taken, strict=True)
        if role in ("choosing", "judging")
    ]
    free = [group for group, role in zip(groups, taken, strict=True) if role is None]
    free.sort(
        key=lambda group: blake2b(
            f"{seed} {rows[group[0]].row}".encode(), digest_size=8
        ).digest()
    )
    free, count = _spread(free, rows), sum(map(len, chosen))
    for group in free:
        if count + len(group) <= target:
            chosen.append(group)
            count += len(group)
    if target and not chosen and free:
        chosen = [min(free, key=len)]
    aside = {position for group in chosen for position in group}
    train = [i for i in range(len(rows)) if i not in aside]
    return _divided(
        train,
        chosen,
        {},
        "as you chose" if not fraction else "there are too few",
        roles,
    )


def _spread(groups: Groups, rows: Sequence[Row]) -> Groups:
    """`groups` in the order in which to set them aside: the first n hold about the same
    share of the rows made from a text as of the person's own.
    """
    made = [group for group in groups if rows[group[0]].made]
    own = [group for group in groups if not rows[group[0]].made]
    own.sort(
        key=lambda group: rows[group[0]].origin != "file"
    )  # those of the file are set aside first
    # Two of one kind follow each other (0, 1 -> 1; 2, 3 -> 3), because choosing and
    # judging rows alternate.
    places = [
        ((i | 1) / len(kind), group)
        for kind in (own, made)
        for i, group in enumerate(kind)
    ]
    return [group for _, group in sorted(places, key=lambda place: place[0])]


def _with_corrected(roles: Roles, rows: Sequence[Row]) -> Roles:
    return replace(
        roles,
        train=roles.train.union(
            i for i, row in enumerate(rows) if row.origin == "corrected"
        ),
    )


def split_sizes(rows: int, fraction: float = FRACTION) -> tuple[int, int]:
    """How many of `rows` different rows are trained on, and how many set aside."""
    aside = (
        max(1, min(AT_LEAST, rows // 4), round(fraction * rows))
        if fraction and rows > 1
        else 0
    )
    return rows - aside, aside


def split_with(
    rows: list[Row],
    held: list[Row],
    together: Groups | None = None,
    roles: Roles = NO_ROLES,
) -> Split:
    """Sets all rows of a validation file aside and excludes training rows that repeat
    one.

    held: the rows of the file; positions count through `rows`, then these
    together: as for `split`
    roles: as for `split`; rows of the file that repeat a row with the role "train" are
        excluded
    """
    everything = [*rows, *held]
    groups = duplicates.find(everything).together if together is None else together
    leaked: dict[int, int] = {}
    roles = _with_corrected(roles, rows)
    aside: Groups = []
    for group in _all_groups(len(everything), groups):
        role, own = roles.of(group), [i for i in group if i >= len(rows)]
        if role is None:
            leaked |= (
                dict.fromkeys([i for i in group if i < len(rows)], own[0])
                if own
                else {}
            )
            aside.append(own)
        elif role != "train":
            aside.append(group)
    aside = list(filter(None, aside))
    taken = {*leaked, *(i for group in aside for i in group)}
    train = [i for i in range(len(rows)) if i not in taken]
    return _divided(train, aside, leaked, "the validation file has none", roles)


def _divided(
    train: list[int],
    aside: Groups,
    leaked: dict[int, int],
    none_because: str,
    roles: Roles,
) -> Split:
    """aside: groups of rows that count once each. Those without a role go to the side
    that has fewer of them.
    """
    choose = [group for group in aside if roles.of(group) == "choosing"]
    judge = [group for group in aside if roles.of(group) == "judging"]
    for group in aside:
        if roles.of(group) is None:
            (judge if len(judge) <= len(choose) else choose).append(group)
    judging, choosing = (
        sorted(i for group in side for i in group) for side in (judge, choose)
    )
    chooses = min(len(judge), len(choose)) >= DIVIDED // 2
    if not chooses:
        judging = choosing = sorted([*judging, *choosing])
    sentence = (
        f"{len(train):,} {'example' if len(train) == 1 else 'examples'} for training"
    )
    if not judging:
        sentence += f", none set aside to check the result: {none_because}."
    elif chooses:
        sentence += (
            f", {len(choosing) + len(judging):,} set aside: {len(choosing):,} to pick the best point in training, "
            f"{len(judging):,} to judge the result."
        )
    else:
        sentence += f", {len(judging):,} set aside to judge the result."
        sentence += (
            " These are too few for a reliable check." if len(aside) < FEWEST else ""
        )
    if leaked:
        also = (
            "1 example also appears"
            if len(leaked) == 1
            else f"{len(leaked):,} examples also appear"
        )
        sentence += f" {also} in your validation file, exactly or almost, and will be excluded from training."
    return Split(train, choosing, judging, chooses, sentence, leaked)


def _all_groups(count: int, together: Groups) -> Groups:
    """`together` and every other position as a group of its own, ordered by first
    member.
    """
    grouped = {i for group in together for i in group}
    return sorted([*([i] for i in range(count) if i not in grouped), *together])


def corrected_among(
    conversations: Sequence[Sequence[Message]], corrected: Sequence[str]
) -> set[int]:
    """The positions of the conversations that ask one of the `corrected` questions,
    exactly or almost. corrected: the questions of conversations, each with all turns of
    the person, by lines.
    """
    asked = [question(Row(0, 0, [*map(dict, messages)])) for messages in conversations]
    normalized = {normalize(text) for text in corrected}
    matches = {i for i, text in enumerate(asked) if normalize(text) in normalized}
    pairs = similar_pairs([*corrected, *asked])
    first = len(corrected)
    return matches | {j - first for i, j in pairs if i < first <= j}
