"""Exports of chats are recognized, with their times, and who probably answers is
proposed where nothing says so.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.chats.format import FORMATS
from backend.datasets.chats.paths import find
from backend.datasets.chats.people import NobodyAnswers
from backend.datasets.chats.times import month_first, seconds
from backend.datasets.chats.whatsapp import is_whatsapp
from backend.datasets.convert.nested import flat
from backend.datasets.read.load import ReadOptions
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.records.rows import Dataset
from tests.backend.datasets.builders import load_text
from tests.cases import cases

CHAT = "31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - Ben: Yes\n"


def lines(*records: dict[str, Any], **options: Any) -> Dataset:
    return load_text(
        "\n".join(json.dumps(record) for record in records),
        options=ReadOptions(**options),
    )


def texts(data: Dataset) -> list[list[str]]:
    return [[message["content"] for message in row.messages] for row in data.rows]


MAILS = """Von: Empfang <empfang@praxis.example>
Gesendet: Montag, 3. November 2025 11:02
An: Maria Lopez
Betreff: AW: Termin

Freitag um zehn ist frei.

Von: Maria Lopez <maria@mail.example>
Gesendet: Montag, 3. November 2025 10:00
An: Empfang
Betreff: Termin

Kann ich auf Freitag verschieben?
"""


def test_mails_copied_into_a_text_are_a_conversation() -> None:
    guessed = load_text(MAILS, name="thread.txt").source.details
    assert {*guessed.people} == {"empfang@praxis.example", "maria@mail.example"}
    assert guessed.imitate == ("empfang@praxis.example",)
    said = [["Kann ich auf Freitag verschieben?", "Freitag um zehn ist frei."]]
    above, below = MAILS.split("\n\nVon: Maria")
    oldest_first = f"Von: Maria{below}\n{above}\n".replace(
        "Montag, 3. November", "Mon, 3 Nov"
    )
    oldest_first = (
        oldest_first.replace("Von:", "From:")
        .replace("An:", "To:")
        .replace("Betreff:", "Subject:")
    )
    for text in (MAILS, "\n\n" + MAILS.replace("\n", "\r\n"), oldest_first):
        assert (
            texts(
                load_text(
                    text, options=ReadOptions(imitate=("empfang@praxis.example",))
                )
            )
            == said
        )


@pytest.mark.parametrize(
    "line",
    [
        "[10:0{n}:11] {who}: {said}",
        "10:0{n} AM - {who}: {said}",
        "{who} (10:0{n}): {said}",
    ],
)
def test_a_chat_with_times_only_is_divided_by_blank_lines(line: str) -> None:
    said = [
        (f"Are you open on day {n}?", "Yes, from nine.\nAt ten on Sundays.")
        for n in range(3)
    ]
    text = "\n\n".join(
        line.format(n=n, who=f"Visitor {n}", said=q)
        + "\n"
        + line.format(n=n, who="Sue", said=a)
        for n, (q, a) in enumerate(said)
    )
    data = load_text(text)
    assert data.source.details.imitate == ("Sue",)
    assert texts(data) == [list(pair) for pair in said]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", [1]), ("list[].b", [2, 3]), ("list[kind=x].b", [2]), ("a.*", [1]),
        ("tree.~more.name", ["top", "left", "below"]), ("with.dots", ["found"]), ("missing.b", []), ("a[]", []),
        ("nothing", []),
    ],
)  # fmt: skip
def test_paths(path: str, expected: list[Any]) -> None:
    record = {
        "a": {"b": 1}, "list": [{"kind": "x", "b": 2}, {"kind": "y", "b": 3}, {"kind": "y"}],
        "tree": {"name": "top", "more": [{"name": "left", "more": [{"name": "below"}]}]}, "with.dots": "found",
        "nothing": None,
    }  # fmt: skip
    assert find(record, path) == expected
    assert all(chat.source.startswith("https://") and chat.needs for chat in FORMATS), (
        "each names its documentation"
    )


def test_who_answers_is_a_guess_until_somebody_is_chosen() -> None:
    data = load_text(CHAT)
    assert [p.kind for p in data.problems] == ["mapping_guessed", "chat"]
    assert data.source.details.people == ("Anna", "Ben")
    assert [way.options for way in data.source.proposals] == [
        {"imitate": ["Ben"]},
        {"imitate": ["Anna"]},
        {"imitate": ["*"]},
    ]
    for name in ("Carla", "Anna"):
        with pytest.raises(NobodyAnswers, match=name) as raised:
            load_text(CHAT, options=ReadOptions(imitate=[name]))
        assert raised.value.people == ("Anna", "Ben")
    data = load_text(CHAT, options=ReadOptions(imitate=["ben"]))
    assert (texts(data), [p.kind for p in data.problems]) == (
        [["Open?", "Yes"]],
        ["chat"],
    )
    assert (data.source.details.imitate, data.source.proposals) == (("Ben",), ())
    with pytest.raises(BadInput, match="only Anna"):
        load_text(CHAT.replace("Ben", "Anna"))


def test_roles_need_no_question_and_can_be_turned_round() -> None:
    said = (("customer", "Open?"), ("agent", "Yes"), ("customer", "!"))
    records = [{"role": role, "text": text} for role, text in said]
    assert texts(lines(*records)) == [["Open?", "Yes"]]
    assert texts(lines(*records, imitate=["user"])) == [["Yes", "!"]]


def test_whoever_answers_can_be_imitated_where_there_are_many_names() -> None:
    records = [
        {"dialogue_id": number, "from": f"{side} {number}", "text": text}
        for number in range(4)
        for side, text in (
            ("asker", "Open?"),
            ("helper", "Yes"),
            ("friend", "Till six"),
            ("asker", "Thanks"),
        )
    ]
    assert {"imitate": ["*"]} in [w.options for w in lines(*records).source.proposals]
    data = lines(*records, imitate=["*"])
    assert texts(data) == [["Open?", "Yes\nTill six"]] * 4
    assert data.source.details.imitate == ("*",)


def test_plays_turns_and_replies_are_put_in_order() -> None:
    said = [
        {"character": "AB"[number % 2], "line": f"Words {number}"}
        for number in range(12)
    ]
    assert texts(lines(*said))[0][:2] == ["Words 0", "Words 1"]
    said = [("2", "assistant", "Yes"), ("1", "user", "Open?")]
    records = [
        {"conversation_id": n, "turn": turn, "role": role, "text": text}
        for n in (1, 2)
        for turn, role, text in said
    ]
    assert texts(lines(*records)) == [["Open?", "Yes"]] * 2

    def tweet(number: int, inbound: str, text: str, answers: str) -> dict[str, str]:
        return {
            "tweet_id": str(number),
            "inbound": inbound,
            "text": text,
            "in_response_to_tweet_id": answers,
        }

    first = [
        tweet(1, "True", "Open?", ""),
        tweet(2, "True", "Late?", ""),
        tweet(3, "False", "Yes", "1"),
    ]
    assert texts(lines(*first, tweet(4, "False", "No", "2"))) == [
        ["Open?", "Yes"],
        ["Late?", "No"],
    ]


def test_a_bot_beside_the_team_makes_it_a_guess() -> None:
    part = {"part_type": "comment", "body": "Hello", "author": {"type": "bot"}}
    answer = {"part_type": "comment", "body": "Yes", "author": {"type": "admin"}}
    record = {
        "source": {"body": "Open?", "author": {"type": "user"}},
        "conversation_parts": {"conversation_parts": [part, answer]},
    }
    data = lines(record)
    assert {*data.source.details.people} == {"user", "bot", "assistant"}
    assert [p.kind for p in data.problems] == ["mapping_guessed", "chat"]
    assert texts(data) == [["Open?", "Yes"]]


def test_unreadable_lines_stay_problems_of_their_own() -> None:
    row = {"conversation_id": 1, "role": "user", "text": "Open?"}
    text = "\n".join(
        [
            json.dumps(row),
            "{broken",
            json.dumps({**row, "role": "assistant", "text": "Yes"}),
        ]
    )
    data = load_text(text)
    assert (texts(data), [p.line for p in data.problems if p.kind == "bad_json"]) == (
        [["Open?", "Yes"]],
        [2],
    )


@pytest.mark.parametrize(
    ("records", "shape"),
    [
        (
            [{"question": f"q{n}", "answer": f"a{n}"} for n in range(6)],
            "question_answer",
        ),
        (
            [
                {"message": f"{n}?", "reply": f"a{n}", "name": "AB"[n % 2], "date": n}
                for n in range(9)
            ],
            "question_answer",
        ),
        (
            [{"user": f"How {n}?", "assistant": f"So {n}.", "id": n} for n in range(6)],
            "question_answer",
        ),
        (
            [
                {"text": f"An article about {n}.", "author": "AB"[n % 2]}
                for n in range(9)
            ],
            "question_answer",
        ),
        (
            [
                {
                    "messages": [
                        {"role": "user", "content": "q"},
                        {"role": "assistant", "content": "a"},
                    ]
                }
            ]
            * 3,
            "messages",
        ),
    ],
)
def test_examples_are_not_taken_for_a_chat(
    records: list[dict[str, Any]], shape: str
) -> None:
    data = lines(*records)
    assert (data.source.shape, data.source.details.people) == (shape, ())


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01 10:00:00 - INFO: started\n" * 5,
        "Chapter 1\n31.12.23, 21:15 - Anna: Open?\n31.12.23, 21:16 - Ben: Yes\n",
        "[1] Smith: a book\n[2] Jones: another\n", "10:15 - Anna: Hello\n10:16 - Ben: Hi\n",
    ],
)  # fmt: skip
def test_what_is_no_whatsapp_chat(text: str) -> None:
    assert not is_whatsapp(text)


def test_the_same_file_for_somebody_else_is_stored_by_itself(
    store: DatasetStore, tmp_path: Path
) -> None:
    path = tmp_path / "chat.txt"
    path.write_text(CHAT + "31.12.23, 21:17 - Anna: Good\n", "utf-8")
    first = store.add(path, "chat.txt", options={"imitate": ["Ben"]})
    second = store.add(path, "chat.txt", options={"imitate": ["Anna"]})
    assert first != second
    assert store.add(path, "chat.txt", options={"imitate": ["Ben"]}) == first
    assert texts(store.original(second)) == [["Yes", "Good"]]


NEW_YEAR = datetime(2023, 12, 31, 21, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("written", cases("chats", "times"))
def test_one_moment_in_many_forms(written: Any) -> None:
    assert abs(seconds(written) - NEW_YEAR) < 1
    assert seconds("1/2/24, 12:05 PM") - seconds("1/2/24, 12:05 AM") == 12 * 3600


@pytest.mark.parametrize(
    "written", ["", "soon", "31.31.2023 10:00", "12:30", None, True, [2023]]
)
def test_what_is_no_time(written: Any) -> None:
    assert seconds(written) is None


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["3/4/24, 9:00 PM", "3/14/24, 9:00 PM"], True), (["3/4/24, 9:00 PM", "14/3/24, 9:00 PM"], False),
        (["3/4/24, 9:00 PM"], True), (["03.04.24, 21:00"], False), (["3/4/24, 21:00"], False),
        (["2024-03-14 09:00"], False), ([], False),
    ],
)  # fmt: skip
def test_other_dates_of_the_file_say_whether_the_month_is_first(
    dates: list[str], expected: bool
) -> None:
    assert month_first(dates) is expected


SAID = (
    {"by": "Ann", "body": "Open?"},
    {"by": "Ben", "body": "Yes"},
    {"by": "Ann", "body": "Thanks"},
)


def test_messages_are_found_wherever_they_lie() -> None:
    for record in (
        {"talk": {"posts": SAID}},
        {"first": SAID[0], "then": {"more": SAID[1:]}},
    ):
        assert texts(lines(*[record] * 2, imitate=["Ben"])) == [["Open?", "Yes"]] * 2
    both = {"tickets": [{"n": 1, "posts": SAID}, {"n": 2, "posts": SAID}], "count": 2}
    assert texts(lines({"data": both}, imitate=["Ben"])) == [["Open?", "Yes"]] * 2, (
        "conversations inside one object"
    )
    sides = [
        {"item": {"is_user": user, "body": body}}
        for user, body in ((True, "Open?"), (False, "Yes"))
    ]
    assert texts(lines({"log": sides})) == [["Open?", "Yes"]]
    hidden = {"by": "Ben", "body": "Not for her", "private": True}
    assert texts(
        lines({"talk": {"posts": [SAID[0], hidden, SAID[1]]}}, imitate=["Ben"])
    ) == [["Open?", "Yes"]]
    entities = [
        {"sentence": f"Ann lives in {n}.", "spans": [{"type": "person", "text": "Ann"}]}
        for n in range(4)
    ]
    assert lines(*entities).source.details.people == ()


def test_every_reply_to_a_comment_is_read() -> None:
    said = [
        (0, "Ann", "Open?"),
        (1, "Ben", "Yes"),
        (1, "Zoe", "No"),
        (2, "Ann", "Late?"),
        (4, "Ben", "Six"),
    ]
    records = [
        {"id": n, "parent_id": to, "author": who, "text": text}
        for n, (to, who, text) in enumerate(said, 1)
    ]
    data = lines(*records, imitate=["Ben", "Zoe"])
    assert texts(data) == [["Open?", "No"], ["Open?", "Yes", "Late?", "Six"]]
    for circle in (1, 2):  # the first one answers itself, or the one that answers it
        data = lines(
            {**records[0], "parent_id": circle}, *records[1:], imitate=["Ben", "Zoe"]
        )
        assert texts(data) == [["Open?", "No"], ["Open?", "Yes", "Late?", "Six"]]


def test_a_nested_answer_has_a_dotted_name() -> None:
    assert flat({"a": [{"t": ["x"]}, {"t": ["y"]}], "b": [{"c": 2}]}) == {
        "a.t": [["x"], ["y"]],
        "b.c": 2,
    }
    records = [
        {"id": n, "said": {"mail": f"Is it {n}?", "note": f"It is {n}."}}
        for n in range(4)
    ]
    data = lines(*records, mapping={"question": "said.mail", "answer": "said.note"})
    assert texts(data)[3] == ["Is it 3?", "It is 3."]
    with pytest.raises(BadInput, match=r"said\.mail"):
        lines(*records, mapping={"question": "mail", "answer": "note"})


def test_a_conversation_in_one_cell_is_divided_and_no_row_is_lost() -> None:
    said = "Ann: Open on day {n}?\n\nBen: Yes.\n\nFrom nine.\nAnn: Thanks"
    records = [{"id": n, "log": said.format(n=n)} for n in range(6)] + [
        {"id": 6, "log": "Nobody came."}
    ]
    data = lines(*records, imitate=["Ben"])
    assert texts(data)[0] == ["Open on day 0?", "Yes.\n\nFrom nine."]
    assert "1 message without text" in data.problems[0].message
    for asks, says in (
        ("Nutzer", "Assistent"),
        ("Pregunta", "Respuesta"),
        ("کاربر", "دستیار"),
        ("用户", "助手"),
    ):
        data = lines(
            *[{"text": f"{asks}: Number {n}?\n{says}: It is {n}."} for n in range(6)]
        )
        assert texts(data)[5] == ["Number 5?", "It is 5."]
    fields = [{"log": f"Price: {n}\nSize: L"} for n in range(6)]
    assert (
        lines(
            *[{**field, "note": f"Blue and {n}."} for n, field in enumerate(fields)]
        ).source.details.people
        == ()
    )


@pytest.mark.parametrize(
    ("column", "internal", "public"),
    [
        ("Public?", "No", "Yes"), ("visibility", "internal", "public"), ("is_internal", "TRUE", "FALSE"),
        ("comment_type", "Private note", "Reply"), ("Internal note", "Yes", "No"),
    ],
)  # fmt: skip
def test_what_the_asker_does_not_see_is_named_and_not_learned(
    column: str, internal: str, public: str
) -> None:
    said = [
        ("user", "Open?", public),
        ("agent", "Ask Ben first.", internal),
        ("agent", "Yes, till six.", public),
    ]
    data = lines(
        *[
            {"ticket": n, "role": who, "text": text, column: seen}
            for n in (1, 2)
            for who, text, seen in said
        ]
    )
    assert texts(data) == [["Open?", "Yes, till six."]] * 2
    assert [(part.line, part.text) for part in data.source.passed] == [
        (2, "Ask Ben first."),
        (5, "Ask Ben first."),
    ]


def test_answers_that_follow_each_other_can_be_divided() -> None:
    chat = "".join(
        f"31.12.23, 21:{n} - {'Ann' if n % 2 else 'Ben'}: Said {n}\n"
        for n in range(11, 19)
    )
    data = load_text(chat, options=ReadOptions(imitate=("Ben",)))
    assert (len(data.rows), [p.kind for p in data.problems]) == (
        1,
        ["long_chats", "chat"],
    )
    data = load_text(chat, options=ReadOptions(imitate=("Ben",), pairs=True))
    assert (texts(data)[-1], [p.kind for p in data.problems]) == (
        ["Said 17", "Said 18"],
        ["chat"],
    )
