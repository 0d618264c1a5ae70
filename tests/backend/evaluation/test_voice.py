"""What the examples' answers have in common, and which answers have it too."""

import json
from pathlib import Path

import pytest

from backend.evaluation.diagnosis import validation_losses
from backend.evaluation.voice import count, voice

BAKER = [
    f"{greeting} love,\nwe open at {hour} and the {bread} is warm by then.\nRosie x"
    for hour, (greeting, bread) in enumerate(
        zip(
            ["Hello", "Hiya"] * 5,
            ["rye", "spelt", "sourdough", "plait", "bap"] * 2,
            strict=True,
        ),
        5,
    )
]
LIKE = "Hiya dear,\nthe rye is out at six tomorrow, come and see us.\nRosie x"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (LIKE, None), ("Hello love,\n" + "the rye is warm, " * 9 + "\nRosie x", "loop"),
        (LIKE.replace("Hiya", "Good morning"), "greeting"), (LIKE.replace("Rosie x", "Kind regards"), "sign_off"),
        ("Hello\nx", "too_short"), (LIKE.replace("tomorrow", " ".join(map(str, range(60)))), "too_long"),
        (LIKE.replace("\n", " "), "form"), ("", "greeting"),
    ],
)  # fmt: skip
def test_what_tells_an_answer_from_the_examples_is_named(
    answer: str, fault: str | None
) -> None:
    assert voice(BAKER).fault(answer) == fault
    assert not any(map(voice(BAKER).fault, BAKER))


def test_answers_are_counted_by_their_worst_fault() -> None:
    counted = count(BAKER, [LIKE, LIKE, "No.", "No.", "Yes. " * 20])
    assert (counted.in_voice, counted.signed, counted.faults) == (
        2,
        True,
        {"greeting": 2, "loop": 1},
    )
    assert count([], ["Anything"]) is None
    plain = [
        f"{word} is a fine thing to say about number {at} {word}s"
        for at, word in enumerate("abcdefghij")
    ]
    counted = count(plain, ["K is a fine thing to say, too, and so on", "No"])
    assert (counted.signed, counted.in_voice, counted.faults) == (
        False,
        1,
        {"too_short": 1},
    )


def test_the_losses_of_a_resumed_run_are_those_that_count(tmp_path: Path) -> None:
    evals = [(1, 0, 9.0), (1, 5, 3.0), (1, 9, 1.0), (2, 9, 2.5), (3, 9, 2.0)]
    lines = [
        {"time": 1, "attempt": n, "kind": "eval", "data": {"step": step, "loss": x}}
        for n, step, x in evals
    ]
    lines.insert(
        3, {"time": 1, "attempt": 2, "kind": "resumed", "data": {"first_step": 6}}
    )
    (tmp_path / "events.jsonl").write_text(
        "\n".join([*map(json.dumps, lines), "damaged"])
    )
    assert (validation_losses(tmp_path), validation_losses(tmp_path / "none")) == (
        [3.0, 2.0],
        [],
    )
