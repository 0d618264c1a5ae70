"""Tells what somebody wrote in an e-mail from what the mail program put below it: the
quoted mail and the signature.

The rules look at the form rather than at words, so that they hold in any language:
lines that begin with ">", the line above them that ends in ":", and the block of
headers ("From: … Sent: … To: …") that Outlook writes. mail-parser-reply, which knows
twelve languages by their words, was tried: it missed Gmail's Spanish line and needed
half a second for a mail of 2,000 lines.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice, takewhile

from backend.datasets.chats.format import WORDS

ADDRESS = re.compile(
    r"[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,126}"
)  # the lengths of RFC 5321 and RFC 1035
_HEADER = re.compile(r"[*\s]*[^\W\d_][\w .'-]{0,24}[*\s]*[:：][*\s]*\S")
# In the languages of mail programs. from: what begins a block of headers. sent_from:
# "Sent from my iPhone", as phones write it.
_FROM = re.compile(rf"[*\s]*({'|'.join(WORDS['from'])})[*\s]*[:：]", re.IGNORECASE)
_DATE = re.compile(r"\d{1,2}[:.h]\d{2}|\d{4}|\d{1,2}[./]\d{1,2}")
SEPARATOR = re.compile(r"\s*(-{3,}\s*[^-\s][^-]{2,40}-{3,}|_{20,})\s*")
_SENT_FROM = re.compile("|".join(WORDS["sent_from"]), re.IGNORECASE)
_MOST_LINES = 12  # of a signature
_LEAST_MAILS = 3  # in which a signature must be the same
# Lines and characters of one, at most: "Warm wishes", a name, a kiss.
_SIGN_OFF, _SIGN_OFF_LINE = 3, 60
_CONTACT = re.compile(
    r"[\d@|]|www\.|^\W{2,}$"
)  # what a sign-off does not have, but an address or a separator does
_LONGEST_LINE = 2_000  # characters; a longer one is no header and names nobody


def own_words(text: str) -> tuple[str, str, str]:
    """The author's own words, the quoted mail, and the lines that say whose it is; ""
    for each that is missing.
    """
    written, below = _divide(
        [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    )
    quoted = [line for line in written if line.startswith(">")]
    if quoted:  # answers stand below or between the quoted lines
        credit = "\n".join(_credit(written, written.index(quoted[0])))
        return _said(written), _unquote(quoted), credit
    credit, rest = _header_and_rest(below)
    return _said(written), _unquote(rest), credit


def _divide(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines before the one from which on all is quoted, and the others."""
    last = max(
        (at for at, line in enumerate(lines) if line.startswith(">")), default=-1
    )
    tail = _last_quotation(lines)
    cut = next(
        (at for at in range(len(lines)) if _begins_quote(lines, at, last, tail)),
        len(lines),
    )
    written = lines[:cut]
    while (
        cut < len(lines)
        and written
        and (set(written[-1]) <= set("-_ ") or written[-1].endswith(":"))
    ):
        written.pop()  # "Begin forwarded message:", or a line across the page
    return written, lines[cut:]


def _last_quotation(lines: list[str]) -> int:
    """The line that begins with ">" as all below it do; behind the last line where
    there is none.
    """
    quoted_or_blank = takewhile(
        lambda at: not lines[at].strip() or lines[at].startswith(">"),
        reversed(range(len(lines))),
    )
    return min(
        (at for at in quoted_or_blank if lines[at].startswith(">")), default=len(lines)
    )


def _said(written: list[str]) -> str:
    """What somebody wrote, without quotations and the signature."""
    lines = "\n".join(_without_quotes(written)).strip().split("\n")
    end = next(
        (at for at, line in enumerate(lines) if at and line.rstrip() == "--"), None
    )  # RFC 3676, 4.3
    lines = lines[:end]
    while lines and (
        not lines[-1].strip()
        or (_SENT_FROM.match(lines[-1].strip()) and len(lines[-1]) < 80)
    ):
        lines.pop()
    return "\n".join(lines).strip()


def _begins_quote(lines: list[str], at: int, last: int, tail: int) -> bool:
    """Whether all from this line on is quoted. last: the last line that begins with
    ">"; tail: `_last_quotation`.
    """
    line = lines[at]
    if len(line) > _LONGEST_LINE or not line.strip():
        return False
    if SEPARATOR.fullmatch(line):
        return at + 1 < len(lines) and _is_header_block(_paragraph(lines, at + 1))
    if at and lines[at - 1].strip() and not lines[at - 1].rstrip().endswith(":"):
        return False  # in the middle of a paragraph
    paragraph = _paragraph(lines, at)
    if _is_header_block(paragraph):
        return True
    credit = " ".join(
        paragraph[
            : next(
                (
                    n
                    for n, text in enumerate(paragraph, 1)
                    if text.endswith((":", "："))
                ),
                0,
            )
        ]
    )
    if not credit or len(credit) > 300 or not _DATE.search(credit):
        return False
    if at > last:
        return ADDRESS.search(credit) is not None
    before = list(islice((lines[n] for n in range(at, tail) if lines[n].strip()), 4))
    return (
        tail < len(lines)
        and len(before) <= 3
        and not any(text.startswith(">") for text in before)
    )


def _paragraph(lines: list[str], at: int) -> list[str]:
    start = next(
        (place for place in range(at, len(lines)) if lines[place].strip()), len(lines)
    )
    return list(takewhile(str.strip, lines[start : start + 8]))


def begins_headers(lines: list[str], at: int) -> bool:
    """Whether the headers of a mail begin on this line, below a blank one or a
    separator line.
    """
    above = lines[at - 1].strip() if at else ""
    begun = set(above) <= set("-_=*~ ") or SEPARATOR.fullmatch(above) is not None
    return (
        begun
        and _FROM.match(lines[at]) is not None
        and _is_header_block(_paragraph(lines, at))
    )


def _is_header_block(paragraph: Sequence[str]) -> bool:
    if not paragraph or not _FROM.match(paragraph[0]):
        return False
    headers = list(takewhile(_HEADER.match, paragraph))
    block = " ".join(headers)
    return (
        len(headers) >= 3
        and bool(_DATE.search(block))
        and bool(re.search(r"\d{4}", block))
    )


def _header_and_rest(below: list[str]) -> tuple[str, list[str]]:
    start = next(
        (
            at
            for at, line in enumerate(below)
            if line.strip() and not SEPARATOR.fullmatch(line)
        ),
        len(below),
    )
    paragraph = list(
        takewhile(lambda line: line.strip() and not line.startswith(">"), below[start:])
    )
    end = start + next(
        (n for n, line in enumerate(paragraph, 1) if line.endswith((":", "："))),
        len(paragraph),
    )
    return "\n".join(below[start:end]), below[end:]


def _without_quotes(lines: list[str]) -> list[str]:
    drop: set[int] = set()
    for at, line in enumerate(lines):
        if line.startswith(">"):
            drop.add(at)
            if (not at or not lines[at - 1].startswith(">")) and (
                credit := _credit(lines, at)
            ):
                first = next(n for n in range(at, -1, -1) if lines[n] == credit[0])
                drop.update(range(first, at))
    return [line for at, line in enumerate(lines) if at not in drop]


def _credit(lines: list[str], at: int) -> list[str]:
    """The lines above a quotation that say whose words they are: they end in ":" and
    hold a date or an address.
    """
    end = next((end for end in range(at, 0, -1) if lines[end - 1].strip()), 0)
    start = end
    while (
        start
        and lines[start - 1].strip()
        and not lines[start - 1].startswith(">")
        and end - start < 3
    ):
        start -= 1
    credit = lines[start:end]
    if any(len(line) > _LONGEST_LINE for line in credit):
        return []
    joined = " ".join(credit)
    fits = joined.endswith((":", "：")) and (
        _DATE.search(joined) or ADDRESS.search(joined)
    )
    return credit if fits else []


def _unquote(lines: list[str]) -> str:
    """The first mail of a quotation, without what it quotes itself."""
    unquoted = [
        line[1:].removeprefix(" ") if line.startswith(">") else line for line in lines
    ]
    if not any(line.strip() for line in unquoted):
        return ""
    return _said(_divide(unquoted)[0])


def repeated_ends(mails: Sequence[str]) -> list[str]:
    """The mails of one author without their signature: the lines in which at least half
    of them, and three, end. The sign-off at its start stays, as a part of the author's
    voice.
    """
    ends: Counter[tuple[str, ...]] = Counter()
    split = [mail.split("\n") for mail in mails]
    for lines in split:
        for count in range(1, min(_MOST_LINES, len(lines) - 1) + 1):
            ends[tuple(lines[-count:])] += 1
    common = [
        end
        for end, count in ends.items()
        if count >= _LEAST_MAILS and 2 * count >= len(mails)
    ]
    common.sort(key=len, reverse=True)
    kept = []
    for lines in split:
        end = next(
            (
                end
                for end in common
                if tuple(lines[-len(end) :]) == end and len(end) < len(lines)
            ),
            (),
        )
        kept.append("\n".join(lines[: len(lines) - len(end) + _sign_off(end)]).strip())
    return kept


def _sign_off(end: Sequence[str]) -> int:
    """How many of the first lines of a repeated end are a sign-off."""
    filled = 0
    for at, line in enumerate(end):
        filled += bool(line.strip())
        if filled > _SIGN_OFF or len(line) > _SIGN_OFF_LINE or _CONTACT.search(line):
            return at
    return len(end)
