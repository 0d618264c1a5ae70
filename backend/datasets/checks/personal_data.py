"""Personal data and secrets: email addresses, phone, card and account numbers, keys.

Strict on purpose: a pattern that matches every order number is soon ignored. Card and
account numbers must pass their checksums (Luhn, ISO/IEC 7812; ISO 13616, modulo 97),
and a card number also the groups of its brand or a word such as "card" near it, since
one number in ten passes by chance. A phone number has a country code, or a word such as
"call" before it, or the groups in which such numbers are written; and words of a person
are near.
"""

import re
from collections.abc import Callable

from backend.datasets.checks.patterns import (
    AT,
    NUMBER,
    WORD_LISTS,
    WORDED,
    TextFault,
    any_of,
    pattern,
)

# Lengths and first digits of Visa, Mastercard, American Express, Discover, JCB, Diners
# and UnionPay (ISO/IEC 7812).
_ISSUED, _GROUPED = pattern("card_issued"), pattern("card_grouped")
_CARD_WORDS, _PERSON = any_of(WORD_LISTS["card"]), any_of(WORD_LISTS["person"])
# Mailboxes of an office, or of an example (RFC 2606); those of a name; those that
# anybody can have.
_OFFICE, _MAILBOX, _FREE = map(pattern, ("office", "mailbox", "free_mail"))
_BEFORE, _AFTER = 60, 12  # characters
# Before a number, up to a few words: words of a telephone number, and of other numbers;
# each with and without edges.
_WORDS = {
    kind: rf"(?:\b(?:{'|'.join(words)})\b|{'|'.join(unspaced)})"
    for kind, (words, unspaced) in WORD_LISTS["before_numbers"].items()
}
_LABELS = re.compile(rf"{_WORDS['phone']}\D{{0,20}}$", re.IGNORECASE)
_OTHER_NUMBERS = re.compile(
    rf"{_WORDS['other']}\W{{0,4}}"
    r"(?:is|ist|number|no|nr|nummer|num[ée]ro|número|est|es|id|号码?|番号)?\W{0,4}$",
    re.IGNORECASE,
)
_DATE, _SUM, _HAN = map(pattern, ("date", "sum", "han"))
_MILLIONS = [3, 3, 3]  # 512 345 678 could be any number


def _card(match: re.Match[str]) -> str | None:
    digits = re.sub(r"\D", "", match.group())
    doubled = [
        int(d) * 2 for d in digits[-2::-2]
    ]  # by Luhn, the last digit is the check digit of the others
    total = sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)
    if not (
        13 <= len(digits) <= 19
        and len(set(digits)) > 1
        and total % 10 == 0
        and _ISSUED.fullmatch(digits)
    ):
        return None
    near = match.string[max(0, match.start() - 60) : match.end() + 60]
    return (
        "[card number]"
        if _GROUPED.fullmatch(match.group()) or _CARD_WORDS.search(near)
        else None
    )


def _iban(match: re.Match[str]) -> str | None:
    plain = match.group().replace(" ", "").upper()
    as_number = int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4]))
    return (
        "[account number]" if 15 <= len(plain) <= 34 and as_number % 97 == 1 else None
    )


def is_of_person(match: re.Match[str]) -> bool:
    """Whether the words around a match speak of a person: most numbers and addresses in
    answers are an office's.
    """
    return (
        _PERSON.search(
            match.string[max(0, match.start() - _BEFORE) : match.end() + _AFTER]
        )
        is not None
    )


def _is_phone_number(match: re.Match[str]) -> bool:
    number = match.group()
    before = match.string[max(0, match.start() - 40) : match.start()]
    digits = sum(map(str.isdigit, number))
    if not 7 <= digits <= 15 or number.count("(") != number.count(")"):
        return False
    if number.startswith(("+", "00")) and digits >= 9:
        return True
    if (
        _DATE.fullmatch(number)
        or _SUM.match(match.string, match.end())
        or before.rstrip()[-1:] in {*"=+*/×"}
    ):
        return False
    if _LABELS.search(before) or _OTHER_NUMBERS.search(before):
        return _LABELS.search(before) is not None
    groups = list(map(len, re.findall(r"\d+", number)))
    if len(groups) == 1 and not number.startswith("0"):
        return digits == 11 and _HAN.search(match.string) is not None
    return number.startswith(("0", "(")) or (
        len(groups) > 2 and max(groups) > 2 and groups != _MILLIONS
    )


def _email(match: re.Match[str]) -> str | None:
    named = _MAILBOX.match(match.group()) and not _OFFICE.search(match.group())
    return (
        "[email]"
        if named and (is_of_person(match) or _FREE.search(match.group()))
        else None
    )


_REPEATED = "A model can repeat what it has learned to anyone."
_REPLACED: dict[str, tuple[str, int, Callable[[re.Match[str]], str | None]]] = {
    "personal_email": (f"an email address. {_REPEATED}", AT, _email),
    "secret_key": (
        "a key or password. Anyone who talks to the model could get it. Make a new key "
        "and switch this one off, too.",
        WORDED["secret_key"],
        lambda match: "[key]",
    ),
    "secret_password": (
        "a password. A model can repeat it to anybody.",
        WORDED["secret_password"],
        lambda match: f"{match[match.lastindex or 0]}[password]",
    ),
    "personal_address": (
        "the address of a house. A model can repeat it to anybody; if it is your own, "
        "keep it.",
        WORDED["personal_address"],
        lambda match: "[address]" if is_of_person(match) else None,
    ),
    "personal_card": (f"a card number. {_REPEATED}", NUMBER, _card),
    "personal_iban": (f"a bank account number. {_REPEATED}", NUMBER, _iban),
    "personal_phone": (
        f"a phone number. {_REPEATED}",
        NUMBER,
        lambda match: (
            "[phone]" if is_of_person(match) and _is_phone_number(match) else None
        ),
    ),
}
PERSONAL_FAULTS = tuple(
    TextFault(
        kind, what, needs, pattern(kind), fix, answers_only=kind == "personal_phone"
    )  # a question's is not learned
    for kind, (what, needs, fix) in _REPLACED.items()
)
PERSONAL = (
    "personal_email",
    "personal_phone",
    "personal_address",
)  # in many examples, an office's
