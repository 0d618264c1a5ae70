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
class IssueType:
    """title: a name for a list of problems. fix: what accepting the fix does, "" when there is none."""

    severity: Severity
    title: str
    fix: str = ""


ISSUE_TYPES: dict[str, IssueType] = {
    # reading: such a row can't be used, and its own message says what to do
    "bad_json": IssueType("error", "Not valid JSON"),
    "not_an_object": IssueType("error", "Rows without named parts"),
    "duplicate_key": IssueType("error", "The same name twice"),
    "not_a_number": IssueType("error", "Not a number"),
    "number_too_long": IssueType("error", "Numbers that are too long"),
    "too_deep": IssueType("error", "Too many levels"),
    "lone_surrogate": IssueType("error", "Half characters"),
    "bad_encoding": IssueType("error", "Bytes that are no letters"),
    "ragged_row": IssueType("error", "Too few or too many cells"),
    "bad_quotes": IssueType("error", "Quotes that don't close"),
    "row_too_large": IssueType("error", "Rows that are too large"),
    "field_too_large": IssueType("error", "Texts that are too large"),
    "empty_row": IssueType("error", "Empty rows"),
    "mixed_shapes": IssueType("error", "Two kinds of rows in one file"),
    "missing_field": IssueType("error", "Parts that are missing"),
    "empty_messages": IssueType("error", "Empty conversations"),
    "messages_not_a_list": IssueType("error", "Conversations that are no list"),
    "bad_message": IssueType("error", "Messages that can't be understood"),
    "missing_role": IssueType("error", "Nobody speaks"),
    "unknown_role": IssueType("error", "Unknown speakers"),
    "content_null": IssueType("error", "Missing texts"),
    "content_not_text": IssueType("error", "Contents that are not text"),
    "bad_tool_call": IssueType("error", "Tool calls that can't be understood"),
    "bad_tools": IssueType("error", "Tools that can't be understood"),
    "kto_label": IssueType("error", "Answers marked as bad"),
    # reading: about the file as a whole
    "encoding": IssueType("warning", "A guessed encoding"),
    "mapping_guessed": IssueType("warning", "Guessed columns"),
    "stray_text": IssueType("warning", "Hardly a text to learn"),
    "preference_pairs": IssueType("warning", "Pairs of a better and a worse answer"),
    "media_ignored": IssueType("warning", "Pictures, sounds or videos"),
    "kto_labels": IssueType("warning", "Answers marked as good or bad"),
    "other_sheets": IssueType("warning", "Other sheets"),
    "rows_left_out": IssueType("warning", "Rows left out"),
    # characters
    "nul_character": IssueType("error", "NUL characters", "Take the NUL characters out."),
    "control_characters": IssueType("warning", "Control characters", "Take the control characters out."),
    "invisible_characters": IssueType("warning", "Invisible characters", "Take the invisible characters out."),
    "mojibake": IssueType("warning", "Garbled letters", "Put the right letters back."),
    "control_marker": IssueType("warning", "Template markers in the text", "Take the markers out."),
    # personal data
    "personal_email": IssueType("warning", "E-mail addresses", "Put [email] in its place."),
    "secret_key": IssueType("warning", "Keys and passwords", "Put [key] in its place."),
    "personal_card": IssueType("warning", "Card numbers", "Put [card number] in its place."),
    "personal_iban": IssueType("warning", "Bank account numbers", "Put [account number] in its place."),
    "personal_phone": IssueType("warning", "Telephone numbers", "Put [phone] in its place."),
    # the order of the turns
    "system_not_first": IssueType("warning", "System message in mid-chat", "Move the system message to the front."),
    "same_role_twice": IssueType("warning", "The same speaker twice", "Join the two messages into one."),
    "ends_with_user": IssueType("error", "No answer at the end", "Cut the conversation after its last answer."),
    "no_assistant": IssueType("error", "No answer", _LEAVE_OUT),
    "no_question": IssueType("warning", "No question", _LEAVE_OUT),
    "empty_answer": IssueType("error", "Empty answers", _LEAVE_OUT),
    "empty_question": IssueType("warning", "Empty questions", _LEAVE_OUT),
    "same_preference": IssueType("error", "Chosen and rejected are the same", _LEAVE_OUT),
    "system_inconsistent": IssueType(
        "warning",
        "System message in some rows only",
        "Make it like most rows: add their system message, or take it out.",
    ),
    # what is said
    "repetition": IssueType("warning", "Repeated sentences", "Keep each repeated sentence once."),
    "very_short_answer": IssueType("warning", "Very short answers", _LEAVE_OUT),
    "conflicting_answers": IssueType("warning", "Different answers to the same question", _LEAVE_OUT),
    # against the model
    "template_refuses": IssueType("error", "The model can't take this conversation", _LEAVE_OUT),
    "nothing_to_learn": IssueType("error", "Nothing to learn", _LEAVE_OUT),
    "answer_vanishes": IssueType("error", "The answer is cut off whole", _LEAVE_OUT),
    "too_long": IssueType("warning", "Longer than the model is given"),
    "very_long": IssueType("warning", "Very long rows"),
    "turn_not_learned": IssueType("warning", "Answers that are only read"),
    # rows against each other
    "mostly_repeats": IssueType("warning", "The same examples again and again"),
    "duplicate": IssueType("warning", "Duplicates", "Leave this row out and keep the first."),
    "near_duplicate": IssueType("warning", "Almost the same", "Leave this row out and keep the first."),
    "leak": IssueType("warning", "Also in your test file", "Leave this row out of practice, for good."),
    "test_rows_left_out": IssueType("warning", "Rows of your test file left out"),
    # the file as a whole
    "too_few": IssueType("warning", "Few examples"),
    "too_many": IssueType("warning", "More examples than needed"),
    "same_input_everywhere": IssueType("warning", "The same question everywhere"),
    "language_mismatch": IssueType("warning", "Another language than the model's"),
}


def issue_title(kind: str) -> str:
    """A name for a list of problems of this kind, also for the kinds that reading a file knows."""
    return ISSUE_TYPES[kind].title if kind in ISSUE_TYPES else kind.replace("_", " ").capitalize()


def problem(row: Row | None, kind: str, message: str, quote: str = "") -> Problem:
    """A Problem of `kind` with that kind's severity and fix; row None: about the file as a whole (line 0, row 0).

    quote: the row's opening, when not given.
    """
    about = ISSUE_TYPES[kind]
    line, number = (row.line, row.row) if row else (0, 0)
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(line, number, kind, about.severity, message, about.fix, quote)
