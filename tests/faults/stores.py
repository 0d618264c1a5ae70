"""Faults while examples and notes are stored: `python -m tests.faults.stores EVERY`.

A person does one thing after the other. After the fault the app starts again and shows
what was confirmed, and the thing that was being done either wholly or not at all.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from backend.datasets.choices import FixChoices, ValidationFiles
from backend.datasets.editing import Editor
from backend.datasets.store import DatasetStore
from backend.errors import ApprenticeError, RunProblem
from backend.files.disk_errors import disk_words
from backend.records.rows import Row
from backend.runs import about
from tests.faults import failing_disk
from tests.faults.failing_disk import Fault, Tally

ROWS = 12


def chat(question: str, answer: str) -> str:
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return json.dumps({"messages": messages}) + "\n"


def lines(name: str) -> str:
    return "".join(
        chat(f"{name} question {i}?", f"Answer number {i}.") for i in range(ROWS - 1)
    ) + chat("Why?", "")


class State(NamedTuple):
    """What a person would see: the names of the datasets, of the first one an edited
    answer, its validation rows and an accepted fix, and the note of a run.
    """

    names: tuple[str, ...] = ()
    edited: bool = False
    validation: int = 0
    accepted: bool = False
    note: str = ""


class Person:
    """Stores things in `folder`, and looks at them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root, self._run = (
            folder / "stored" / "datasets",
            folder / "stored" / "run",
        )
        self.store = DatasetStore(self._root)

    def id_of(self, name: str) -> str:
        return next((one.id for one in self.store.all() if one.name == name), "")

    def add(self) -> None:
        self.store.add(self._folder / "first.jsonl", "first.jsonl")

    def paste(self) -> None:
        self.store.add(lines("second"), "second.jsonl")

    def edit(self) -> None:
        messages = json.loads(chat("first question 2?", "At seven."))["messages"]
        Editor(self.store).replace(self.id_of("first.jsonl"), 3, Row(0, 0, messages))

    def validate(self) -> None:
        ValidationFiles(self.store).set(
            self.id_of("first.jsonl"), self._folder / "other.jsonl", "other.jsonl"
        )

    def accept(self) -> None:
        FixChoices(self.store).accept(self.id_of("first.jsonl"), "empty_answer", "all")

    def note(self) -> None:
        try:
            about.write(self._run, note="Good.")
        except OSError as error:  # as VersionService does
            raise RunProblem("This could not be saved.", *disk_words(error)) from error

    def clear(self) -> None:
        ValidationFiles(self.store).clear(self.id_of("first.jsonl"))

    def remove(self) -> None:
        self.store.remove(self.id_of("second.jsonl"))

    def sees(self) -> State:
        names = tuple(sorted(one.name for one in self.store.all()))
        checked = [self.store.open(self.id_of(name), None) for name in names]
        assert all(len(one.original.rows) == ROWS for one in checked), (
            "examples are missing"
        )
        if not checked:
            return State(names, note=about.read(self._run).note)
        info = self.store.info.read(self.id_of(names[0]))
        edited = any(
            row.messages[-1]["content"] == "At seven."
            for row in checked[0].original.rows
        )
        validation = len(checked[0].validation.rows) if checked[0].validation else 0
        return State(
            names, edited, validation, bool(info.accepted), about.read(self._run).note
        )


STEPS: list[Callable[[Person], None]] = [
    Person.add, Person.paste, Person.edit, Person.validate, Person.accept, Person.note, Person.clear, Person.remove,
]  # fmt: skip


def fails(folder: Path, operation: int, fault: Fault | None) -> int:
    for name in ("first", "other"):
        (folder / f"{name}.jsonl").write_text(lines(name))
    for name in ("datasets", "run"):
        (folder / "stored" / name).mkdir(parents=True)
    before = Person(folder).sees()

    def work(acknowledge: Callable[[str], None]) -> int:
        person = Person(folder)
        failing_disk.arm(folder / "stored", operation, fault or 0)
        try:
            for step in STEPS:
                step(person)
                acknowledge(f"did {step.__name__}")
                if fault is None:
                    acknowledge(f"sees {json.dumps(person.sees())}")
        except (
            ApprenticeError
        ):  # any other error ends the process with a code of its own
            pass
        acknowledge(f"operations {failing_disk.operations()}")
        return 0

    code, said = failing_disk.acknowledged(work)
    assert code in (0, failing_disk.KILLED), f"the app ended with {code}"
    if fault is None:
        EXPECTED[:] = [
            before,
            *(_state(line) for line in said if line.startswith("sees ")),
        ]
        assert len(set(EXPECTED)) == len(STEPS) + 1, "each step shows"
    done = sum(line.startswith("did ") for line in said)
    person = Person(folder)
    seen = person.sees()
    assert seen in EXPECTED[done : done + 2], f"after {done} steps: {seen}"
    assert not list((folder / "stored" / "datasets").glob(".deleted-*")), "half deleted"
    again = person.store.add(lines("third"), "third.jsonl")
    person.store.remove(again)
    for step in STEPS[EXPECTED.index(seen) :]:
        step(person)
    assert person.sees() == EXPECTED[-1], "the rest can be done"
    return next(
        (int(line.split()[1]) for line in said if line.startswith("operations")), 0
    )


def _state(line: str) -> State:
    names, *rest = json.loads(line.removeprefix("sees "))
    return State(tuple(names), *rest)


EXPECTED: list[State] = []


def main() -> None:
    tally = Tally()
    failing_disk.inject(tally, "stores", fails, int(sys.argv[1]))
    print(tally.as_json(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
