"""Every kind of problem that reading and checking know: how grave it is, its name for people, what its fix would do.

The checks, the fixes and the page all read this one table; reading (`collect.py`) brings its own words.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.datasets.conversation import opening
from backend.datasets.excerpt import excerpt
from backend.records.rows import Problem, Row, Severity

_LEAVE_OUT = "Leave this row out."


@dataclass(frozen=True, slots=True)
class Kind:
    """title: a name for a list of problems. fix: what accepting the fix does, "" when there is none."""

    severity: Severity
    title: str
    fix: str = ""


KINDS: dict[str, Kind] = {
    # reading: such a row can't be used, and its own message says what to do
    "bad_json": Kind("error", "Not valid JSON"),
    "not_an_object": Kind("error", "Rows without named parts"),
    "duplicate_key": Kind("error", "The same name twice"),
    "not_a_number": Kind("error", "Not a number"),
    "number_too_long": Kind("error", "Numbers that are too long"),
    "too_deep": Kind("error", "Too many levels"),
    "lone_surrogate": Kind("error", "Half characters"),
    "bad_encoding": Kind("error", "Bytes that are no letters"),
    "ragged_row": Kind("error", "Too few or too many cells"),
    "bad_quotes": Kind("error", "Quotes that don't close"),
    "row_too_large": Kind("error", "Rows that are too large"),
    "field_too_large": Kind("error", "Texts that are too large"),
    "empty_row": Kind("error", "Empty rows"),
    "mixed_shapes": Kind("error", "Two kinds of rows in one file"),
    "missing_field": Kind("error", "Parts that are missing"),
    "empty_messages": Kind("error", "Empty conversations"),
    "messages_not_a_list": Kind("error", "Conversations that are no list"),
    "bad_message": Kind("error", "Messages that can't be understood"),
    "missing_role": Kind("error", "Nobody speaks"),
    "unknown_role": Kind("error", "Unknown speakers"),
    "content_null": Kind("error", "Missing texts"),
    "content_not_text": Kind("error", "Contents that are not text"),
    "bad_tool_call": Kind("error", "Tool calls that can't be understood"),
    "bad_tools": Kind("error", "Tools that can't be understood"),
    "kto_label": Kind("error", "Answers marked as bad"),
    # reading: about the file as a whole
    "encoding": Kind("warning", "A guessed encoding"),
    "mapping_guessed": Kind("warning", "Guessed columns"),
    "stray_text": Kind("warning", "Hardly a text to learn"),
    "preference_pairs": Kind("warning", "Pairs of a better and a worse answer"),
    "media_ignored": Kind("warning", "Pictures, sounds or videos"),
    "kto_labels": Kind("warning", "Answers marked as good or bad"),
    "other_sheets": Kind("warning", "Other sheets"),
    "rows_left_out": Kind("warning", "Rows left out"),
    # characters
    "nul_character": Kind("error", "NUL characters", "Take the NUL characters out."),
    "control_characters": Kind("warning", "Control characters", "Take the control characters out."),
    "invisible_characters": Kind("warning", "Invisible characters", "Take the invisible characters out."),
    "mojibake": Kind("warning", "Garbled letters", "Put the right letters back."),
    "control_marker": Kind("warning", "Template markers in the text", "Take the markers out."),
    # personal data
    "personal_email": Kind("warning", "E-mail addresses", "Put [email] in its place."),
    "secret_key": Kind("warning", "Keys and passwords", "Put [key] in its place."),
    "personal_card": Kind("warning", "Card numbers", "Put [card number] in its place."),
    "personal_iban": Kind("warning", "Bank account numbers", "Put [account number] in its place."),
    "personal_phone": Kind("warning", "Telephone numbers", "Put [phone] in its place."),
    # the order of the turns
    "system_not_first": Kind("warning", "System message in mid-chat", "Move the system message to the front."),
    "same_role_twice": Kind("warning", "The same speaker twice", "Join the two messages into one."),
    "ends_with_user": Kind("error", "No answer at the end", "Cut the conversation after its last answer."),
    "no_assistant": Kind("error", "No answer", _LEAVE_OUT),
    "no_question": Kind("warning", "No question", _LEAVE_OUT),
    "empty_answer": Kind("error", "Empty answers", _LEAVE_OUT),
    "empty_question": Kind("warning", "Empty questions", _LEAVE_OUT),
    "same_preference": Kind("error", "Chosen and rejected are the same", _LEAVE_OUT),
    "system_inconsistent": Kind(
        "warning",
        "System message in some rows only",
        "Make it like most rows: add their system message, or take it out.",
    ),
    # what is said
    "repetition": Kind("warning", "Repeated sentences", "Keep each repeated sentence once."),
    "very_short_answer": Kind("warning", "Very short answers", _LEAVE_OUT),
    "conflicting_answers": Kind("warning", "Different answers to the same question", _LEAVE_OUT),
    # against the model
    "template_refuses": Kind("error", "The model can't take this conversation", _LEAVE_OUT),
    "nothing_to_learn": Kind("error", "Nothing to learn", _LEAVE_OUT),
    "answer_vanishes": Kind("error", "The answer is cut off whole", _LEAVE_OUT),
    "too_long": Kind("warning", "Longer than the model is given"),
    "very_long": Kind("warning", "Very long rows"),
    "turn_not_learned": Kind("warning", "Answers that are only read"),
    # rows against each other
    "mostly_repeats": Kind("warning", "The same examples again and again"),
    "duplicate": Kind("warning", "Duplicates", "Leave this row out and keep the first."),
    "near_duplicate": Kind("warning", "Almost the same", "Leave this row out and keep the first."),
    "leak": Kind("warning", "Also in your test file", "Leave this row out of practice, for good."),
    "test_rows_left_out": Kind("warning", "Rows of your test file left out"),
    # the file as a whole
    "too_few": Kind("warning", "Few examples"),
    "too_many": Kind("warning", "More examples than needed"),
    "same_input_everywhere": Kind("warning", "The same question everywhere"),
    "language_mismatch": Kind("warning", "Another language than the model's"),
}


def title(kind: str) -> str:
    """A name for a list of problems of this kind, also for the kinds that reading a file knows."""
    return KINDS[kind].title if kind in KINDS else kind.replace("_", " ").capitalize()


def problem(row: Row | None, kind: str, message: str, quote: str = "") -> Problem:
    """A Problem of `kind` with that kind's severity and fix; row None: about the file as a whole (line 0, row 0).

    quote: the row's opening, when not given.
    """
    about = KINDS[kind]
    line, number = (row.line, row.row) if row else (0, 0)
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(line, number, kind, about.severity, message, about.fix, quote)
