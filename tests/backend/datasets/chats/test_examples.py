"""Conversations become examples: the chosen people answer, everyone else asks, and
nothing goes unseen.
"""

from backend.datasets.chats.people import (
    ANSWERS,
    LATE,
    PAUSE,
    ExampleMaker,
    at_pauses,
    likely_to_answer,
)
from backend.datasets.chats.threads import Post


def posts(*said: str, times: list[float] | None = None) -> list[Post]:
    """posts("A: hello") is one message by A."""
    at = times or [60.0 * number for number in range(len(said))]
    return [
        Post(*one.split(": ", 1), time, line)
        for line, (one, time) in enumerate(zip(said, at, strict=True), 1)
    ]


def made(maker: ExampleMaker, conversation: list[Post]) -> list[list[str]]:
    records = [record for _, record in maker.examples([conversation])]
    return [
        [f"{m['role'][0]} {m['content']}" for m in record["messages"]]
        for record in records
    ]


def test_turns_join_messages_and_lonely_ones_are_counted() -> None:
    maker = ExampleMaker(["B"])
    assert made(
        maker,
        posts("A: Hello", "A: Open?", "B: Yes", "B: Till six", "A: Thanks", "B: Bye"),
    ) == [["u Hello\nOpen?", "a Yes\nTill six", "u Thanks", "a Bye"]]
    assert (maker.used, maker.passed) == (6, [])
    maker = ExampleMaker(["B"])
    assert made(maker, posts("B: Hi all", "A: Open?", "B: Yes", "A: Thanks")) == [
        ["u Open?", "a Yes"]
    ]
    assert (maker.used, [part.line for part in maker.passed]) == (2, [1, 4])


def test_long_conversations_are_divided_at_pauses_and_by_length() -> None:
    maker = ExampleMaker(["B"], pauses=True)
    times = [0.0, PAUSE + 1, 2 * PAUSE + 2, 2 * PAUSE + 3, 2 * PAUSE + 3 + LATE]
    assert made(
        maker,
        posts("A: Open?", "B: Yes", "A: And today?", "B: No", "B: Hello", times=times),
    ) == [
        ["u Open?", "a Yes"],
        ["u And today?", "a No"],
    ]
    said = [f"{'AB'[number % 2]}: {number}" for number in range(2 * ANSWERS + 4)]
    assert [len(example) for example in made(ExampleMaker(["B"]), posts(*said))] == [
        2 * ANSWERS,
        4,
    ]


def test_roles_and_sides_decide_who_asks() -> None:
    maker = ExampleMaker(["assistant"], ask=["user"])
    conversation = posts("user: Open?", "bot: Please wait", "assistant: Yes")
    assert made(maker, conversation) == [["u Open?", "a Yes"]]
    maker = ExampleMaker(["assistant"], ask=["user"], pairs=True)
    conversation = posts(
        "system: Be brief",
        "user: Open?",
        "assistant: Yes",
        "user: Late?",
        "assistant: No",
    )
    assert made(maker, conversation) == [
        ["s Be brief", "u Open?", "a Yes"],
        ["u Late?", "a No"],
    ]
    maker = ExampleMaker(["B", "C"])
    assert made(maker, posts("A: Open?", "B: Wait", "C: Yes")) == [
        ["u Open?", "a Wait\nYes"]
    ]


def test_who_answers_most_is_likely_meant() -> None:
    shop = [
        posts(
            "ann@gmail.com: Open?",
            "mia@mill.org: Yes",
            "ann@gmail.com: Late?",
            "mia@mill.org: Till six",
        ),
        posts("bob@gmail.com: Rye?", "tom@mill.org: Yes", "bob@gmail.com: Thanks"),
        posts("new@mill.org: Who has keys?", "mia@mill.org: I do"),
    ]
    assert likely_to_answer(shop) == "mia@mill.org"
    swap = posts(
        "A: Open?",
        "B: Yes",
        "B: And you?",
        "A: No",
        times=[0.0, 1.0, PAUSE + 2, PAUSE + 3],
    )
    assert (
        likely_to_answer(at_pauses([*swap, *posts("A: Then late", times=[PAUSE + 4])]))
        == "A"
    )
    assert likely_to_answer([posts("A: Open?")]) == ""
