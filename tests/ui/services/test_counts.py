"""The page's counts agree with each other, whatever was fixed, refused or edited:
examples ready, different ones, "Example, of N", and the faults that are left.
"""

import re
from pathlib import Path

from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.data.actions import apply_action
from ui.web.data.tab import DataTab

ROW = '{{"question": "Where is shop number {}?", "answer": "On {} Elm."}}\n'
GOOD = "".join(ROW.format(n * 7919, n * 613) for n in range(20))
FAULTY = (
    '{"question": "Where is shop number 0?", "answer": "On 0 Elm."}\n'  # the same as the first one
    '{"question": "Is it open on Sunday or Monday?", "answer": ""}\n'
    '{"question": "Who owns the bakery at the corner?", "answer": ""}\n'
    '{"question": "What is it call'  # can't be read
)


def number(pattern: str, shown: object) -> int:
    """The number in front of what follows in the drawing."""
    found = re.search(pattern, re.sub(r"<[^>]+>", " ", str(shown)))
    assert found, (pattern, str(shown))
    return int(found[1].replace(",", ""))


def walk(app: App, tab: DataTab, choice: Choice) -> tuple[int, int]:
    """Compares every count of the tab; returns how many examples are left and how many
    still have errors.
    """
    state = app.datasets.selected(choice)
    shown = tab.show(choice)
    rows = number(r"([\d,]+) examples?, (?:not )?ready", shown[tab.summary])
    errors = number(r"([\d,]+)\s+still with errors", shown[tab.summary])
    repeated = number(r"([\d,]+)\s+the same, or almost", shown[tab.summary])
    assert number(r"([\d,]+) examples? with your fixes", shown[tab.download]) == rows
    label = shown[tab.preview.row]["label"]
    assert number(r"Example, (?:of )?([\d,]+)", label) == rows
    visited = {row := app.datasets.step(choice.replace(row=1), 0)}
    while (row := app.datasets.step(choice.replace(row=row), 1)) not in visited:
        visited.add(row)
    assert len(visited) == rows, "Next visits as many as are said to be there"
    badges = re.findall(
        r">([\d,]+) examples?(?:, must be fixed| left as is)<", str(shown[tab.problems])
    )
    assert (sum(map(int, badges)), shown[tab.forward]["interactive"]) == (
        errors,
        not errors,
    )
    assert ("not ready" in str(shown[tab.summary])) == bool(errors)
    checked = app.datasets.checked(choice.data_id)
    usable = rows - sum(
        row.row in checked.fixed_report.error_rows() for row in checked.dataset.rows
    )
    assert checked.fixed_report.duplicates.distinct == usable - repeated
    waits = state.waiting
    needing = {problem.row for problem in waits}
    if needing:
        left = rows - len(
            needing
            - {row for row in needing if any(p.row == row for p in checked.unread)}
        )
        assert number(r"([\d,]+) good", shown[tab.line]) == left
        assert number(r"([\d,]+) needs? you", shown[tab.line]) == len(needing)
    assert (bool(shown[tab.decision]), bool(shown[tab.learned])) == (
        bool(waits),
        not waits,
    )
    if not errors:
        training, aside = len(checked.split.train), checked.split.set_aside
        assert (
            training + aside,
            number(r"([\d,]+) examples? for training", shown[tab.summary]),
        ) == (rows, training)
    assert len(state.rows) == rows
    return rows, errors


def test_every_count_agrees_at_every_step(app: App, tmp_path: Path) -> None:
    (tmp_path / "faq.jsonl").write_text(GOOD + FAULTY)
    choice = Choice(data_id=app.datasets.add(tmp_path / "faq.jsonl", "faq.jsonl"))
    tab = tabs(app)["data"]
    assert walk(app, tab, choice) == (23, 3)
    steps = [
        ("accept", "empty_answer:22", (22, 2)), ("accept", "duplicate", (21, 2)), ("undo", "duplicate", (22, 2)),
        ("accept", "empty_answer", (21, 1)), ("accept", "bad_json", (21, 0)), ("accept", "duplicate", (20, 0)),
        ("refuse", "empty_answer:22", (21, 1)), ("accept", "empty_answer:22", (20, 0)),
    ]  # fmt: skip
    for action, value, expected in steps:
        choice = apply_action(app, choice, action, value)
        assert walk(app, tab, choice) == expected, (action, value)
    app.edits.delete(choice.data_id, 3)
    assert walk(app, tab, choice) == (19, 0)
    row = app.edits.add(
        choice.data_id,
        {"message-0": "Do you sell tea?", "message-1": "Yes, green tea."},
    )
    assert walk(app, tab, choice.replace(row=row)) == (20, 0)


def test_the_counts_of_several_files_are_those_of_all(app: App, tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    paths[0].write_text(GOOD)
    paths[1].write_text(FAULTY)
    data_id = app.datasets.import_files(paths)
    app.datasets.selected(Choice(data_id=data_id))
    assert walk(app, tabs(app)["data"], Choice(data_id=data_id)) == (23, 3)
