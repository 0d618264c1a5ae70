"""Personal data and secrets: email addresses, phone, card and account numbers, keys.

Strict on purpose: a pattern that matches every order number is soon ignored. Card and account numbers must pass their
checksums (Luhn, ISO/IEC 7812; ISO 13616, modulo 97), and a card number also the groups of its brand or a word such as
"card" near it, since one number in ten passes by chance; phone numbers are recognized in phone_numbers.py.
"""

import re

from backend.datasets.checks.patterns import AT, DASH, DIGIT, WORD_LISTS, TextFault, any_of
from backend.datasets.checks.phone_numbers import CANDIDATE, is_phone_number


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


def _card(match: re.Match[str]) -> str | None:
    digits = re.sub(r"\D", "", match.group())
    if not (13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits) and _ISSUED.fullmatch(digits)):
        return None
    near = match.string[max(0, match.start() - 60) : match.end() + 60]
    return "[card number]" if _GROUPED.fullmatch(match.group()) or _CARD_WORDS.search(near) else None


def _iban(match: re.Match[str]) -> str | None:
    plain = match.group().replace(" ", "").upper()
    if not 15 <= len(plain) <= 34:
        return None
    as_number = "".join(str(int(c, 36)) for c in plain[4:] + plain[:4])
    return "[account number]" if int(as_number) % 97 == 1 else None


_OFFICE = any_of(  # mailboxes of offices, and the domains of examples (RFC 2606)
    WORD_LISTS["mailbox"],
    r"(?:\A|[._+-]){}\d*(?:[._+-][^@]*)?@|(?:office|service|support)@|@example\.(?:com|net|org)\Z",
)
_PUBLIC = any_of(WORD_LISTS["public"])


def _is_public(match: re.Match[str]) -> bool:
    """Whether the words around a match name an office, a school, a hotline: no person's home or telephone."""
    return _PUBLIC.search(match.string[max(0, match.start() - 60) : match.end() + 25]) is not None


EMAIL = TextFault(
    "personal_email",
    AT,
    re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"),
    lambda match: None if _OFFICE.search(match.group()) else "[email]",
)
PHONE = TextFault(
    "personal_phone",
    DIGIT,
    CANDIDATE,
    lambda match: "[phone]" if is_phone_number(match.string, *match.span()) and not _is_public(match) else None,
)
# Lengths and first digits of Visa, Mastercard, American Express, Discover, JCB, Diners and UnionPay (ISO/IEC 7812).
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
    r"|35\d{14}|3(?:0[0-5]|[689]\d)\d{11}|62\d{14,17}"
)
_GROUPED = re.compile(r"(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5})")
_CARD_WORDS = any_of(WORD_LISTS["card"])
CARD = TextFault(
    "personal_card",
    DIGIT,
    re.compile(r"(?<![\w.-])[2-6]\d{3}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{1,4})?(?:[ -]?\d{1,3})?(?![\w-])"),
    _card,
)
IBAN = TextFault(
    "personal_iban", DIGIT, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _iban
)
KEY = TextFault(
    "secret_key",
    DIGIT | DASH,
    re.compile(
        r"(?<![A-Za-z0-9])(?:"
        r"sk-(?:[A-Za-z]+-)*[A-Za-z0-9_-]{20,}|sk_(?:live|test)_[A-Za-z0-9]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
        r"|gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}"
        r"|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{40,}"
        r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
        r"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    ),
    lambda match: "[key]",
)
_SECRET = "|".join(WORD_LISTS["secret"])
PASSWORD = TextFault(
    "secret_password",
    DIGIT,
    re.compile(
        r"(\b\w+://[^\s:/@]+:)[^\s@/]{4,}(?=@)"
        r"|(\b(?:log-?in|user ?name|usuario|benutzer\w*|zugang\w*|credentials)\b[^\n]{0,30}?\w ?[/|] ?)"
        r"(?=\S*\d)(?=\S*[^\W\d])(?=\S*[^\w\s.])\S{6,40}(?<![.!?)])"
        rf"|(\b(?:{_SECRET})\b(?:[ \t]+(?:is|ist|est|es|é)\b)?[ \t]*[:=]?[ \t]*[\"'“„`]?)(?=\S*\d)"
        r"(?=\S{0,30}[^\W\d]|\d{5})"
        r"[^\s\"'”“`,;()]{5,40}(?<![.!?)])(?!\()",
        re.IGNORECASE,
    ),
    lambda match: f"{match[match.lastindex or 0]}[password]",
)
_PLACE = r"[A-ZÀ-Þ][\w.'’-]+(?: [A-ZÀ-Þ][\w.'’-]+){0,3}"
ADDRESS = TextFault(
    "personal_address",
    DIGIT,
    re.compile(
        r"\b\d{1,5}[a-z]? (?:[A-Z][\w'’.-]* ){1,4}?(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|"
        rf"Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Close)\b\.?(?:,? (?:Apt|Apartment|Unit|Flat|Suite|#)\.? ?\w+)?"
        rf",?\s+{_PLACE},?\s+"
        r"(?:[A-Z]{2} \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b"
        r"|\b[A-ZÄÖÜ][\wäöüß.-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer) \d{1,4} ?[a-z]?\b,?\s+"
        rf"(?:(?:D|A|CH)-)?\d{{4,5}} {_PLACE}"
        r"|\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|quai|allée) [^,\n\d]{3,40},?\s+"
        rf"\d{{5}} {_PLACE}"
        r"|[\u4e00-\u9fff]{2,3}[都道府県][\u3041-\u9fff]{1,8}[市区町村][\u3041-\u9fff]{0,12}\d{1,4}"
        r"(?:丁目|番地?|[-－−]\d)[\d丁目番地号の室－−-]*"
    ),
    lambda match: None if _is_public(match) else "[address]",
)
PERSONAL_FAULTS = (EMAIL, KEY, PASSWORD, ADDRESS, CARD, IBAN, PHONE)
