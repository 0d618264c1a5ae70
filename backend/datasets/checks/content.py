"""Faults inside a text: unwanted characters, garbled letters, what was left in it by
mistake, personal data.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial, reduce
from itertools import chain, islice
from operator import or_

from backend.datasets.checks import patterns
from backend.datasets.checks.issues import problem
from backend.datasets.checks.patterns import (
    CODE,
    TextFault,
    any_of,
    asks_for,
    classes,
    pattern,
)
from backend.datasets.checks.personal_data import PERSONAL_FAULTS, is_of_person
from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import ROLE_NAMES, question, texts
from backend.text.excerpt import excerpt

_BLOCK = 512  # rows checked together, so that their texts stay in the processor's cache

# Joiners, breaks and whole flags belong in emoji and some scripts, marks of direction
# beside right-to-left letters.
_JOINED, _DIRECTION, _RIGHT_TO_LEFT = map(
    pattern, ("joined", "direction", "right_to_left")
)
_NEAR = 20  # characters


def _unneeded(match: re.Match[str]) -> str | None:
    text, at = match.string, match.start()
    garbled = (
        m
        for m in _MOJIBAKE.finditer(text, max(0, at - 7), at + 8)
        if m.start() <= at < m.end()
    )
    if (
        match.end() - at > 1
        or _JOINED.match(text, at)
        or any(map(_correct_letters, garbled))
    ):  # or a part of a letter
        return None
    near = _DIRECTION.match(text, at) and _RIGHT_TO_LEFT.search(
        text, max(0, at - _NEAR), at + _NEAR
    )
    return None if near else ""


# The bytes 0x80 to 0xBF as they look when UTF-8 is read as Latin-1 or as Windows-1252.
_WINDOWS = {
    bytes([b]).decode("cp1252"): b
    for b in range(0x80, 0xA0)
    if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_AS_BYTE = {**{chr(b): b for b in range(0x80, 0x100)}, **_WINDOWS}
_OF_CONSOLE = {
    bytes([b]).decode(page): b for page in ("cp850", "cp437") for b in range(0x80, 0xC0)
}
_OF_CONSOLE |= {
    "┬": 0xC2,
    "├": 0xC3,
    "Ô": 0xE2,
    "Γ": 0xE2,
    "¢": 0xFF,
    "¥": 0xFF,
}  # the last two are unclear
_AFTER = "".join(sorted(c for c, b in _AS_BYTE.items() if b < 0xC0))
_QUOTES = "‘’“”–—…‹›«»"  # these also follow a letter in correct text
_TAIL = re.escape(_AFTER)
_SURE_TAIL = re.escape("".join(c for c in _AFTER if c not in _QUOTES))
_SEQUENCE = f"(?:[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}})"
_CONSOLE_TAIL = re.escape("".join(c for c, b in _OF_CONSOLE.items() if b < 0xC0))
_MOJIBAKE = re.compile(
    f"(?=[\u00c2-\u00f4├┬Γ])(?:{_SEQUENCE}{{2,}}|[ÂÃÄÅ][{_SURE_TAIL}]|á[¸-»](?!\u00a0)[{_SURE_TAIL}]"
    f"|â[€‚„†‡ˆ‰™\u0080-\u009f][{_TAIL}]|ð[Ÿ\u009f][{_TAIL}]{{2}}|[├┬](?<=[^\\W\\d_].)[{_CONSOLE_TAIL}]|[ÔΓ]Ç[{_CONSOLE_TAIL}])"
)


def _correct_letters(match: re.Match[str]) -> str | None:
    """The match as it was before UTF-8 was read in another encoding; None when that is
    not what happened.
    """
    table = (
        _OF_CONSOLE
        if match.group()[0] in "┬├Γ" or match.group()[1] == "Ç"
        else _AS_BYTE
    )
    try:
        correct = bytes(table[c] for c in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return correct if correct.isprintable() or correct == "\u00a0" else None


NUL = TextFault(
    "nul_character",
    "an empty byte (NUL character). It means nothing in a text and breaks other "
    "programs that read the file.",
    patterns.CONTROL,
    re.compile("\x00"),
)
CONTROLS = TextFault(
    "control_characters",
    "a character meant for machines, not for reading (control character). The model "
    "would learn to write it too.",
    patterns.CONTROL,
    pattern("control_characters"),
    _unneeded,
)
INVISIBLE = TextFault(
    "invisible_characters",
    "an invisible character. Such characters make different words look the same.",
    patterns.INVISIBLE_BYTES,
    pattern("invisible_characters"),
    _unneeded,
)
LOST = TextFault(
    "lost_characters",
    "marks in place of lost letters (question marks, or U+FFFD). The model would learn "
    "to write it; correct the text, or export the file again as UTF-8.",
    patterns.INVISIBLE_BYTES | patterns.WORDS,
    pattern("lost_characters"),
    drops=True,
)
MOJIBAKE = TextFault(
    "mojibake",
    "garbled letters (wrong encoding). The file was once opened the wrong way, which "
    "turned each accented letter into two or three others.",
    patterns.LATIN,
    _MOJIBAKE,
    _correct_letters,
)
CHARACTER_FAULTS = (NUL, MOJIBAKE, LOST, CONTROLS, INVISIBLE)

_ENDS_LINE, _ITEM, _TAG = map(pattern, ("html_line_end", "html_item", "html_tag"))


def without_html(text: str) -> str:
    """The text of a piece of HTML, with its lines and list items, without its tags,
    entities as characters.
    """
    text = _TAG.sub("", _ITEM.sub("\n- ", _ENDS_LINE.sub("\n", text)))
    return re.sub(r"\n{3,}", "\n\n", html.unescape(text)).strip()


def _outside_code(match: re.Match[str]) -> str | None:
    text = match.string
    is_json = match.group()[0] == "\\" and text[0] in "{["
    return (
        None
        if text[match.start() - 1 : match.start()] == "`" or is_json or _has_code(text)
        else ""
    )


@lru_cache(maxsize=1)  # it is asked about each match in one text
def _has_code(text: str) -> bool:
    return "```" in text or CODE.search(text) is not None


_MARKS = patterns.BRACKET | patterns.WORDS
_MAY_BE_MEANT = ("placeholder", "html", "media_marker", "control_marker")
_SURE = {kind: pattern(f"sure_{kind}") for kind in _MAY_BE_MEANT}
_PLACEHOLDER = TextFault(
    "placeholder",
    "an unfilled placeholder. The model would learn to write it.",
    _MARKS,
    pattern("placeholder"),
    _outside_code,
    drops=True,
)
_HTML = TextFault(
    "html",
    "web page markup (HTML). The model would learn to write it.",
    patterns.BRACKET,
    pattern("html"),
    _outside_code,
    whole=without_html,
    answers_only=True,
)
_MEDIA = TextFault(
    "media_marker",
    "a reference to a picture, video or sound that is not here. An answer about "
    "something unseen teaches the model to make things up.",
    patterns.BRACKET,
    pattern("media_marker"),
    _outside_code,
    drops=True,
)
# OpenAI's legacy fine-tuning guide ("Preparing your dataset", 2022) ended prompts with
# "\n\n###\n\n" or " ->", and completions with " END" or "###".
_SEPARATOR = TextFault(
    "legacy_separator",
    "a separator at its end, as used in files for older models. The model's own format "
    "(chat template) marks the end; it would learn to write this one, too.",
    patterns.ENDING,
    pattern("legacy_separator"),
    at_least=3,
)
_QUOTED_MAIL = TextFault(
    "quoted_mail",
    "the mail that it replies to. The model would learn to quote mails.",
    patterns.WORDED["quoted_mail"],
    pattern("quoted_mail"),
    answers_only=True,
)
_BREAKS = partial(re.compile(r"(?:\\r)?\\n").sub, "\n")
_ESCAPED = TextFault(
    "escaped_break",
    "a line break written as \\n. The model would learn to write these two characters.",
    patterns.WORDS,
    pattern("escaped_break"),
    _outside_code,
    whole=_BREAKS,
)
LEFTOVERS = (_ESCAPED, _PLACEHOLDER, _HTML, _MEDIA, _SEPARATOR, _QUOTED_MAIL)


def text_faults(control_markers: Iterable[str] = ()) -> tuple[TextFault, ...]:
    """All text faults, for a model with these control markers, in the order they are
    fixed.
    """
    # Markers are harmless in training, since content is encoded apart from the
    # template. But the text was pasted from a formatted prompt, and the model would
    # learn to write them. The common ones are from ChatML, Llama 2 and 3, Gemma, Phi,
    # Mistral and DeepSeek.
    own = [
        re.escape(m)
        for m in sorted(control_markers, key=len, reverse=True)
        if m[:1] in ("<", "[")
    ]
    words = [*own, *patterns.WORD_LISTS["patterns"]["control_marker"]]
    markers = TextFault(
        "control_marker",
        "a mark from a model's chat format (template marker). It was probably copied "
        "in by mistake; the model would learn to write it.",
        patterns.BRACKET,
        any_of(words, flags=re.NOFLAG),
    )
    return (*CHARACTER_FAULTS, markers, *LEFTOVERS, *PERSONAL_FAULTS)


def find(rows: Iterable[Row], faults: Sequence[TextFault]) -> Iterator[Problem]:
    """At most one problem of each kind per row, at its first occurrence."""
    import numpy as np

    rows = iter(rows)
    needed = reduce(or_, (fault.needs for fault in faults), 0)
    while block := list(islice(rows, _BLOCK)):
        by_row = [texts(row, system=True) for row in block]
        ends = np.cumsum(list(map(len, by_row)))
        flags = classes(list(chain.from_iterable(by_row)))
        suspects = np.unique(
            np.searchsorted(ends, np.flatnonzero(flags & needed), "right")
        )
        for i in suspects.tolist():
            own = flags[ends[i] - len(by_row[i]) : ends[i]].tolist()
            yield from _in_row(block[i], by_row[i], own, faults)


def _in_row(
    row: Row, parts: list[str], flags: list[int], faults: Sequence[TextFault]
) -> Iterator[Problem]:
    roles = (str(message["role"]) for message in row.messages)
    rejected = ["bad answer (rejected)"] * len(row.rejected or ())
    places = (
        ["text"]
        if row.text is not None
        else [*(ROLE_NAMES.get(role, role) for role in roles), *rejected]
    )
    has = reduce(or_, flags, 0)
    for fault in faults:
        if not has & fault.needs:
            continue
        found = _matches(fault, zip(places, parts, flags, strict=True))
        # What stands in several texts of a row may be kept on purpose, as in a text and
        # its translation.
        matches = (
            m
            for m in found
            if m[2]
            or fault is not _PLACEHOLDER
            or sum(m[1][0] in part for part in parts) < 2
        )
        if (first := next(matches, None)) is None or asks_for(
            fault.kind, question(row)
        ):
            continue
        place, match, sure = next(
            (match for match in chain([first], matches) if match[2]), first
        )
        quote = excerpt(match.string, match.start(), match.end())
        severity: Severity | None = (
            "note" if not sure else "warning" if fault.kind == "personal_iban" else None
        )
        yield problem(
            row, fault.kind, f"The {place} contains {fault.what}", quote, severity
        )


def _matches(
    fault: TextFault, parts: Iterable[tuple[str, str, int]]
) -> Iterator[tuple[str, re.Match[str], bool]]:
    """Where a row has a fault, and whether that is sure; else it may be meant. parts:
    places, texts, their classes.
    """
    sign = _SURE.get(fault.kind)
    for place, text, flag in parts:
        if not flag & fault.needs or (
            fault.answers_only and place != ROLE_NAMES["assistant"]
        ):
            continue
        learned = place in (ROLE_NAMES["assistant"], "text")
        for match in fault.matches(text):
            sure = learned or not (
                sign or fault.kind.startswith("personal") or "rejected" in place
            )
            sure = sure and (sign is None or sign.match(match.group()) is not None)
            yield (
                place,
                match,
                sure and (fault.kind != "personal_iban" or is_of_person(match)),
            )
