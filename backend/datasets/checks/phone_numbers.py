"""Recognizes telephone numbers, by Google's rules for each country (the library phonenumbers).

A run of digits is a telephone number with a country code that exists; in the usual groups of a country where it is
valid; or after a word such as "call" or "Tel.". Order numbers, article numbers and the like are not.
"""

import re
from functools import lru_cache
from itertools import accumulate

from backend.datasets.checks.patterns import WORD_LISTS, pattern

# Before a number, up to a few words: words of a telephone number, and of other numbers; each with and without edges.
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
# The third is 555-123-4567, which no country assigns.
_DATE, _SUM, _FICTIONAL, _HAN = map(pattern, ("date", "sum", "fictional", "han"))
_REGIONS = WORD_LISTS["regions"].split()
_latest = ["US"]  # matched last and is tried first, since most numbers in a file are from one country
_WITHOUT_0 = ("US", "ES", "GR", "MX", "CN", "BR", "RU", "IN")  # where numbers may begin with another digit
_THOUSANDS = (3, 6, 9)  # 512 345 678 could be any number


def is_phone_number(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]`, found by its pattern, is a telephone number."""
    number, before = text[start:end], text[max(0, start - 40) : start]
    digits = sum(map(str.isdigit, number))
    if not 7 <= digits <= 15 or number.count("(") != number.count(")"):
        return False
    if number.startswith(("+", "00")) and digits >= 9:
        return _has_country_code(number)
    if _DATE.fullmatch(number) or _SUM.match(text, end) or before.rstrip()[-1:] in {*"=+*/×"}:
        return False
    if _LABELS.search(before):
        return True
    if _OTHER_NUMBERS.search(before):
        return False
    if number.isdigit() and not number.startswith("0"):
        return len(number) == 11 and bool(_HAN.search(text)) and _is_valid(number, "CN")
    return _FICTIONAL.fullmatch(number) is not None or _is_valid(number)


@lru_cache(maxsize=4096)
def _has_country_code(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(re.sub("^00", "+", number)))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=4096)
def _is_valid(digits: str, only: str = "") -> bool:
    """Whether the digits form a valid number of a country, grouped as it is written there. only: of this country."""
    import phonenumbers

    area = digits.lstrip("(").startswith("0") or digits.startswith("(")
    groups = _groups(digits)
    for region in [only] if only else dict.fromkeys((*_latest, *_REGIONS)):
        if not area and region not in _WITHOUT_0:
            continue
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if not phonenumbers.is_valid_number_for_region(number, region):
            continue
        usual = _groups(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))
        if groups[0] == 1 and groups[-1] == usual[-1] + 1:  # 1-800-...
            groups = tuple(end - 1 for end in groups[1:])
        if digits.isdigit() or (usual[0] in groups[:-1] if area else groups == usual != _THOUSANDS):
            _latest[0] = region
            return True
    return False


def _groups(text: str) -> tuple[int, ...]:
    """How many digits come before the end of each group of digits."""
    return tuple(accumulate(map(len, re.findall(r"\d+", text))))
