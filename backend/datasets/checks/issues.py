"""The issue types: severity, title and fix of every kind of problem that reading and checking can find.

The checks, the fixes and the page all use this table; problems found while reading add their own fix sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import opening
from backend.text.excerpt import excerpt

_REMOVE = "Remove this example."


@dataclass(frozen=True, slots=True)
class IssueType:
    """title: heading for a list of such problems. fix: what accepting the fix does, "" without a fix."""

    severity: Severity
    title: str
    fix: str = ""


ISSUE_TYPES: dict[str, IssueType] = {
    # reading: the row can't be used, and its own message says what to do
    "bad_json": IssueType("error", "Lines that can't be read (not valid JSON)"),
    "not_an_object": IssueType("error", "Parts without names (not an object)"),
    "duplicate_key": IssueType("error", "The same name twice (duplicate key)"),
    "not_a_number": IssueType("error", "Not a number"),
    "number_too_long": IssueType("error", "Numbers that are too long"),
    "too_deep": IssueType("error", "Nested too deeply (lists inside lists)"),
    "lone_surrogate": IssueType("error", "Broken characters (lone surrogates)"),
    "bad_encoding": IssueType("error", "Unreadable letters (encoding)"),
    "ragged_row": IssueType("error", "Too few or too many cells"),
    "bad_quotes": IssueType("error", "Unclosed quotes"),
    "formula_without_value": IssueType("error", "Formulas without a result"),
    "row_too_large": IssueType("error", "Examples that are too large"),
    "field_too_large": IssueType("error", "Texts that are too large"),
    "empty_row": IssueType("error", "Empty examples"),
    "mixed_shapes": IssueType("error", "Different formats in one file"),
    "missing_field": IssueType("error", "Missing parts (fields)"),
    "empty_messages": IssueType("error", "Empty conversations"),
    "messages_not_a_list": IssueType("error", "Conversations that are not a list"),
    "bad_message": IssueType("error", "Unreadable messages"),
    "missing_role": IssueType("error", "Missing speaker (role)"),
    "unknown_role": IssueType("error", "Unknown speakers (roles)"),
    "content_null": IssueType("error", "Missing text (content)"),
    "content_not_text": IssueType("error", "Something other than text (content)"),
    "bad_tool_call": IssueType("error", "Unreadable actions (tool calls)"),
    "bad_tools": IssueType("error", "Unreadable lists of actions (tools)"),
    "kto_label": IssueType("error", "Answers marked as bad (label)"),
    # reading: the whole file
    "encoding": IssueType("warning", "Guessed text encoding"),
    "mapping_guessed": IssueType("warning", "Guessed columns"),
    "chat": IssueType("warning", "Conversations"),
    "not_prose": IssueType("warning", "Probably not meant for training"),
    "preference_pairs": IssueType("warning", "Pairs of a better and a worse answer"),
    "media_ignored": IssueType("warning", "Images, sound or video"),
    "weights_ignored": IssueType("warning", "Weights other than 0 and 1"),
    "kto_labels": IssueType("warning", "Answers marked as good or bad (labels)"),
    "other_sheets": IssueType("warning", "Other sheets"),
    "text_passed_over": IssueType("warning", "Text outside the examples"),
    "file_left_out": IssueType("warning", "Files that were not read"),
    "closing_line": IssueType("warning", "The end of the last answer"),
    "split_texts": IssueType("warning", "Commas without quotes"),
    "leftovers": IssueType("warning", "Rows that are not examples"),
    "rows_left_out": IssueType("warning", "Examples left out"),
    # characters
    "nul_character": IssueType("error", "Empty bytes (NUL characters)", "Remove them."),
    "control_characters": IssueType("warning", "Characters meant for machines (control characters)", "Remove them."),
    "invisible_characters": IssueType("warning", "Invisible characters", "Remove the invisible characters."),
    "mojibake": IssueType("warning", "Garbled letters (wrong encoding)", "Restore the correct letters."),
    "control_marker": IssueType("warning", "Chat format markers in the text (template markers)", "Remove them."),
    "placeholder": IssueType("warning", "Unfilled placeholders", _REMOVE),
    "html": IssueType("warning", "Web page markup in answers (HTML)", "Turn it into plain text."),
    "media_marker": IssueType("warning", "References to missing pictures, videos or sound", _REMOVE),
    # personal data
    "personal_email": IssueType("warning", "Email addresses", "Replace it with [email]."),
    "secret_key": IssueType("warning", "Keys and passwords", "Replace it with [key]."),
    "personal_card": IssueType("warning", "Card numbers", "Replace it with [card number]."),
    "personal_iban": IssueType("warning", "Bank account numbers", "Replace it with [account number]."),
    "personal_phone": IssueType("warning", "Phone numbers", "Replace it with [phone]."),
    # the order of the turns
    "system_not_first": IssueType(
        "warning", "Instructions not at the start (system message)", "Move them to the start."
    ),
    "same_role_twice": IssueType(
        "warning", "The same speaker twice without a reply (role)", "Join the two messages into one."
    ),
    "result_without_call": IssueType("warning", "Tool results without a call", _REMOVE),
    "ends_with_user": IssueType("error", "No answer at the end", "Cut the conversation after its last answer."),
    "no_assistant": IssueType("error", "No answer", _REMOVE),
    "no_question": IssueType("warning", "No question", _REMOVE),
    "empty_answer": IssueType("error", "Empty answers", _REMOVE),
    "empty_question": IssueType("warning", "Empty questions", _REMOVE),
    "same_preference": IssueType("error", "The good and the bad answer are the same (chosen, rejected)", _REMOVE),
    "system_inconsistent": IssueType(
        "warning",
        "Instructions in only some examples (system message)",
        "Make it like most examples: add their instructions, or remove its own.",
    ),
    # the content of the answers
    "repetition": IssueType("warning", "Repeated sentences", "Keep each repeated sentence once."),
    "very_short_answer": IssueType("warning", "Very short answers", _REMOVE),
    "ai_disclaimer": IssueType("warning", "Answers that mention being an AI", _REMOVE),
    "legacy_separator": IssueType("warning", "Separators at the ends of texts (### or END)", "Remove them."),
    "other_language": IssueType("warning", "A different language from the rest", _REMOVE),
    "conflicting_answers": IssueType("warning", "Different answers to the same question", _REMOVE),
    # against the model
    "template_refuses": IssueType("error", "The model can't use this conversation", _REMOVE),
    "nothing_to_learn": IssueType("error", "Nothing to learn", _REMOVE),
    "answer_vanishes": IssueType("error", "The whole answer is cut off", _REMOVE),
    "too_long": IssueType("warning", "Longer than the limit (tokens)"),
    "very_long": IssueType("warning", "Very long examples"),
    "turn_not_learned": IssueType("warning", "Answers that are read but not learned (context)"),
    # rows against each other
    "mostly_repeats": IssueType("warning", "Mostly the same examples"),
    "duplicate": IssueType("warning", "Duplicates", "Remove this example and keep the first."),
    "near_duplicate": IssueType(
        "warning", "Almost the same (near-duplicates)", "Remove this example and keep the first."
    ),
    "leak": IssueType("warning", "Also in your validation file", "Exclude this example from training."),
    "test_rows_left_out": IssueType("warning", "Examples of your validation file left out"),
    # the whole file
    "too_few": IssueType("warning", "Few examples"),
    "too_many": IssueType("warning", "More examples than needed"),
    "same_input_everywhere": IssueType("warning", "The same question in every example"),
    "same_answer_everywhere": IssueType("warning", "The same answer in every example"),
    "language_mismatch": IssueType("warning", "A language the model does not know"),
}


QUESTIONS = ("mapping_guessed", "other_sheets")  # guesses that nothing trains on until they are confirmed
GUESSES = (*QUESTIONS, "encoding")  # how a file was read


def issue_title(kind: str) -> str:
    """The heading for a list of problems of this kind."""
    return ISSUE_TYPES[kind].title if kind in ISSUE_TYPES else kind.replace("_", " ").capitalize()


def problem(row: Row | None, kind: str, message: str, quote: str = "") -> Problem:
    """A Problem with the severity and the fix of its kind; row None: of the whole file (line 0, row 0).

    quote: the start of the row if empty.
    """
    issue = ISSUE_TYPES[kind]
    line, number, file = (row.line, row.row, row.file) if row else (0, 0, "")
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(line, number, kind, issue.severity, message, issue.fix, quote, file)
