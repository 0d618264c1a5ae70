"""The issue types: severity, title and fix of every kind of problem that reading and
checking can find.

The checks, the fixes and the page all use this table; problems found while reading add
their own fix sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.records.rows import Problem, Row, Severity
from backend.text.conversation import opening
from backend.text.excerpt import excerpt


@dataclass(frozen=True, slots=True)
class IssueType:
    """severity: "note" for kinds that were not right in 19 of 20 cases of public files,
    and for most that were not measured. title: heading for a list of such problems.
    fix: what accepting the fix does, "" without a fix. message: what is wrong, where
    that is the same for all.
    """

    severity: Severity
    title: str
    fix: str = ""
    message: str = ""


ISSUE_TYPES = {
    # Reading: the row can't be used, and its own message says what to do.
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
    "hidden_row": IssueType("error", "Hidden in the spreadsheet"),
    "formula_without_value": IssueType("error", "Formulas without a result"),
    "row_too_large": IssueType("error", "Examples that are too large"),
    "field_too_large": IssueType("error", "Texts that are too large"),
    "empty_row": IssueType("error", "Empty examples"),
    "not_kept": IssueType("error", "Drafts that nobody has kept"),
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
    # Reading: the whole file.
    "encoding": IssueType("warning", "Guessed text encoding"),
    "mapping_guessed": IssueType("warning", "Guessed columns"),
    "chat": IssueType("warning", "Conversations"),
    "long_chats": IssueType("warning", "Long conversations"),
    "not_prose": IssueType("warning", "Probably not meant for training"),
    "preference_pairs": IssueType("warning", "Pairs of a better and a worse answer"),
    "media_ignored": IssueType("warning", "Images, sound or video"),
    "weights_ignored": IssueType("warning", "Weights other than 0 and 1"),
    "kto_labels": IssueType("warning", "Answers marked as good or bad (labels)"),
    "other_sheets": IssueType("warning", "Other sheets"),
    "text_passed_over": IssueType("warning", "Text outside the examples"),
    "file_left_out": IssueType("warning", "Files that were not read"),
    "split_texts": IssueType("warning", "Commas without quotes"),
    "leftovers": IssueType("warning", "Rows that are not examples"),
    "spare_cells": IssueType("warning", "Spare cells that were dropped"),
    "header_width": IssueType("warning", "Names and cells that differ in number"),
    "rows_left_out": IssueType("warning", "Examples left out"),
    # Characters.
    "nul_character": IssueType(
        "error", "Empty bytes (NUL characters)", "Remove the empty bytes."
    ),
    "mojibake": IssueType(
        "warning", "Garbled letters (wrong encoding)", "Restore the correct letters."
    ),
    "control_characters": IssueType(
        "warning",
        "Characters meant for machines (control characters)",
        "Remove these characters.",
    ),
    "invisible_characters": IssueType(
        "warning", "Invisible characters", "Remove the invisible characters."
    ),
    "lost_characters": IssueType(
        "warning", "Lost letters (question marks, U+FFFD)", "Remove this example."
    ),
    "control_marker": IssueType(
        "warning",
        "Chat format markers in the text (template markers)",
        "Remove the markers.",
    ),
    "escaped_break": IssueType(
        "warning", "Line breaks written as \\n", "Replace each by a line break."
    ),
    "placeholder": IssueType(
        "warning",
        "Unfilled placeholders",
        "Remove this example.",
        "This was never filled in; the model would learn to write it.",
    ),
    "html": IssueType(
        "warning", "Web page markup in answers (HTML)", "Turn it into plain text."
    ),
    "quoted_mail": IssueType(
        "warning", "Quoted mail under answers", "Remove the quoted mail."
    ),
    "media_marker": IssueType(
        "warning",
        "References to missing pictures, videos or sound",
        "Remove this example.",
    ),
    # Personal data.
    "personal_email": IssueType("note", "Email addresses", "Replace it with [email]."),
    "secret_key": IssueType("warning", "Keys and passwords", "Replace it with [key]."),
    "personal_card": IssueType(
        "warning", "Card numbers", "Replace it with [card number]."
    ),
    "personal_iban": IssueType(
        "note", "Bank account numbers", "Replace it with [account number]."
    ),
    "personal_phone": IssueType("note", "Phone numbers", "Replace it with [phone]."),
    "secret_password": IssueType("warning", "Passwords", "Replace it with [password]."),
    "personal_address": IssueType(
        "note", "Addresses of houses", "Replace it with [address]."
    ),
    "personal_name": IssueType(
        "note", "Names of customers", "Replace the name with [name]."
    ),
    # The order of the turns.
    "system_not_first": IssueType(
        "warning",
        "Instructions not at the start (system message)",
        "Move the instructions to the start.",
        "The instructions (system message) are in the middle of the conversation; they "
        "belong at the start.",
    ),
    "same_role_twice": IssueType(
        "warning",
        "The same speaker twice without a reply (role)",
        "Join the two messages into one.",
    ),
    "result_without_call": IssueType(
        "warning",
        "Tool results without a call",
        "Remove this example.",
        "A tool result stands where no tool was called; the model would learn that "
        "results come by themselves.",
    ),
    "ends_with_user": IssueType(
        "error",
        "No answer at the end",
        "Cut the conversation after its last answer.",
        "The conversation ends with a message that has no answer.",
    ),
    "no_assistant": IssueType(
        "error",
        "No answer",
        "Remove this example.",
        "This example has no answer, so there is nothing to learn from it.",
    ),
    "no_question": IssueType(
        "warning",
        "No question",
        "Remove this example.",
        "This example has an answer but no question, so the model can't learn when to "
        "give it.",
    ),
    "empty_answer": IssueType("error", "Empty answers", "Remove this example."),
    "empty_question": IssueType("warning", "Empty questions", "Remove this example."),
    "same_preference": IssueType(
        "error",
        "The good and the bad answer are the same (chosen, rejected)",
        "Remove this example.",
        "The good answer (chosen) and the bad one (rejected) are the same.",
    ),
    "system_inconsistent": IssueType(
        "warning",
        "Instructions in only some examples (system message)",
        "Make it like most examples.",
    ),
    # The content of the answers.
    "repetition": IssueType(
        "note", "Repeated sentences", "Keep each repeated sentence once."
    ),
    "legacy_separator": IssueType(
        "warning",
        "Separators at the ends of texts (### or END)",
        "Remove the separators.",
    ),
    "other_language": IssueType("note", "A different language from the rest"),
    "answer_is_question": IssueType(
        "warning",
        "Answers that are the question",
        "Remove this example.",
        "The answer is the question itself.",
    ),
    "cell_error": IssueType(
        "warning",
        "Errors of a spreadsheet instead of texts",
        "Remove this example.",
        "A cell of this row held an error of the spreadsheet, or nothing, instead of a "
        "text.",
    ),
    "answer_in_question": IssueType(
        "note",
        "Questions that hold their answer",
        "Remove this example.",
        "The question holds its answer, so the model only learns to copy it.",
    ),
    "role_label": IssueType(
        "warning",
        "Labels of speakers in answers",
        "Remove this example.",
        "The answer has a label such as “User:” or “Answer:”; the model would write "
        "it.",
    ),
    "swapped": IssueType(
        "warning",
        "Question and answer swapped",
        "Swap question and answer.",
        "The question looks like an answer, and the answer like a question: they are "
        "probably swapped.",
    ),
    "leftover_thought": IssueType(
        "warning",
        "Thoughts before the answer (<think>)",
        "Remove the thoughts.",
        "A model's thoughts stand before the answer.",
    ),
    "rare_label": IssueType("note", "Answers that are none of the usual labels"),
    "label_spelling": IssueType("warning", "Labels written in several ways"),
    "json_invalid": IssueType(
        "warning",
        "Answers that are not valid JSON",
        "Remove this example.",
        "The answer can't be read as JSON; most others in this file can.",
    ),
    "json_keys": IssueType("note", "JSON with other keys or types than usual"),
    "cut_off": IssueType(
        "warning",
        "Answers that are cut off",
        "Remove this example.",
        "The answer ends in mid-sentence.",
    ),
    "refusal": IssueType(
        "warning",
        "Answers that refuse, or speak of being an AI",
        "Remove this example.",
        "The answer refuses; the model would learn to refuse, too.",
    ),
    "very_short_answer": IssueType(
        "warning", "Very short answers", "Remove this example."
    ),
    "repeated_words": IssueType(
        "warning",
        "Repeated words",
        "Remove this example.",
        "The answer repeats the same words; the model would learn to repeat itself.",
    ),
    "conflicting_answers": IssueType(
        "warning",
        "Different answers to the same question",
        "Keep the examples with the right answer.",
    ),
    # Against the model.
    "template_refuses": IssueType(
        "error",
        "The model can't use this conversation",
        "Choose a model that can use it, or remove this example.",
    ),
    "nothing_to_learn": IssueType("error", "Nothing to learn", "Remove this example."),
    "answer_vanishes": IssueType(
        "error", "The whole answer is cut off", "Remove this example."
    ),
    "too_long": IssueType("warning", "Longer than the limit (tokens)"),
    "very_long": IssueType("warning", "Very long examples"),
    "turn_not_learned": IssueType(
        "note", "Answers that are read but not learned (context)"
    ),
    # Rows against each other.
    "mostly_repeats": IssueType("warning", "Mostly the same examples"),
    "duplicate": IssueType(
        "warning", "Duplicates", "Remove this example and keep the first."
    ),
    "near_duplicate": IssueType(
        "warning",
        "Almost the same (near-duplicates)",
        "Remove this example and keep the first.",
    ),
    "leak": IssueType(
        "warning", "Also in your validation file", "Exclude this example from training."
    ),
    "test_rows_left_out": IssueType(
        "warning", "Examples of your validation file left out"
    ),
    # The whole file.
    "too_few": IssueType("warning", "Few examples"),
    "too_many": IssueType("warning", "More examples than needed"),
    "same_input_everywhere": IssueType("warning", "The same question in every example"),
    "boilerplate": IssueType(
        "note",
        "The same ending in most answers",
        "",
        "Most answers end in the same words; the model would learn to write them under "
        "each of its own.",
    ),
    "health_claims": IssueType(
        "warning",
        "Answers about allergens or health",
        "",
        "People rely on these, and a model can be wrong. Let such answers say whom to "
        "ask.",
    ),
    "same_answer_everywhere": IssueType("warning", "The same answer in every example"),
    "language_mismatch": IssueType("warning", "A language the model does not know"),
}
QUESTIONS = (
    "mapping_guessed",
    "other_sheets",
)  # guesses that nothing trains on until they are confirmed
GUESSES = (*QUESTIONS, "encoding", "long_chats")  # how a file was read
_NAMED = 3  # examples


def issue_title(kind: str) -> str:
    """The heading for a list of problems of this kind."""
    return (
        ISSUE_TYPES[kind].title
        if kind in ISSUE_TYPES
        else kind.replace("_", " ").capitalize()
    )


def problem(
    row: Row | None,
    kind: str,
    message: str = "",
    quote: str = "",
    severity: Severity | None = None,
) -> Problem:
    """A Problem with the fix of its kind; row None: of the whole file. Where `message`,
    `quote` or `severity` is empty: the message of the kind, the start of the row, the
    severity of the kind.
    """
    issue = ISSUE_TYPES[kind]
    line, number, file = (row.line, row.row, row.file) if row else (0, 0, "")
    quote = quote or (excerpt(opening(row)) if row else "")
    return Problem(
        line,
        number,
        kind,
        severity or issue.severity,
        message or issue.message,
        issue.fix,
        quote,
        file,
    )


def numbered(rows: Sequence[int]) -> str:
    """The numbers of the first of these rows: "3, 5, 8 and others"."""
    return ", ".join(f"{row:,}" for row in rows[:_NAMED]) + " and others" * (
        len(rows) > _NAMED
    )
