"""Markup in a text never becomes a part of the page, wherever the text is from: a file,
a model, a run, an answer.
"""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.browser.injected_page import FAILS, PAYLOAD
from tests.browser.steps import TABS, decide_all, go, open_details, unfold

pytestmark = pytest.mark.browser

OBSERVER = (Path(__file__).parent / "injected.js").read_text("utf-8")
UNFOLDED = """() => {
    const tab = document.getElementById("tab-data");
    for (const fold of tab.querySelectorAll("details")) fold.open = true;
    return tab.innerText.includes("<");
}"""  # whether the payload can be read
READ = """(name) => {
    const tab = document.getElementById("tab-data"), shows = (...some) => some.some((one) => tab.querySelector(one));
    const asks = shows("#reading [role=alert]", "#reading form");
    const isReady = shows("#decision .confirming", "#decision .acts", ".few", "tr[data-kind]");
    const isSent = !name || !tab.querySelector("#upload").innerText.includes(name); // else another one would be lost
    return isSent && tab.innerText.includes(name) && (asks || isReady);
}"""  # whether the file of this name, instead of the one before, is shown, or what is asked about it
MARK = "<img src=x"  # of the payload, as a person reads it
Opens = Callable[..., Any]


@pytest.fixture
def watched(open_page: Opens) -> Opens:
    """Opens a page that notes what texts become."""
    return lambda url: open_page(url, script=OBSERVER)


def assert_inert(page: Any, where: str) -> None:
    assert page.evaluate("window.found") == [], where
    assert page.evaluate("window.injected") is None, where


def assert_shown_inert(page: Any, tab: str, where: str = "") -> None:
    """The payload is on the open tab, as text."""
    page.wait_for_function(
        "([tab, mark]) => document.getElementById(`tab-${tab}`).innerText.includes(mark)",
        arg=[tab, MARK],
    )
    assert_inert(page, where or tab)


def test_every_tab_shows_payloads_as_text(watched: Opens, injected_page: str) -> None:
    page = watched(injected_page)
    page.locator("#computer-and-models > button").click()
    page.locator(
        ".list-table button[data-do=model]"
    ).first.click()  # one that its makers give only to those who ask
    page.locator("#tab-start .access").or_(
        page.locator("#tab-start button[data-do=download]")
    ).first.wait_for()
    assert_shown_inert(page, "start")
    page.click(
        ".list-table button[data-do=model][data-value*=SmolLM2]"
    )  # the others are not here
    page.wait_for_selector("#tab-start .access", state="detached")

    go(page, "data")
    page.locator("button[data-do=sample]").first.click()
    page.locator("#decision .ask").wait_for()
    assert_shown_inert(page, "data", "a decision")
    open_details(page)
    closed = page.locator("#tab-data details:not([open]) > summary:visible")
    while closed.count():
        closed.first.click()
    page.locator("#instruction textarea").fill(PAYLOAD)
    page.click("#instruction [type=submit]")
    page.get_by_text("instruction changed once").wait_for()
    page.click("#row-acts [data-do=edit-row]")
    page.locator("#row-form textarea").first.fill(PAYLOAD)
    assert_inert(page, "the form of an example")
    page.click("#row-form [type=submit]")
    page.wait_for_selector("#row-form form", state="detached")
    decide_all(page)
    assert_shown_inert(page, "data")

    go(page, "train")
    unfold(page)
    page.locator("#run-name").locator("input, textarea").fill(PAYLOAD)
    page.click("#start-training:not([disabled])")
    page.wait_for_selector(".samples .history")
    assert_shown_inert(page, "train")

    go(page, "runs")
    for run in ("run-d", "run-a"):  # a failed one, and one with a model
        go(page, "runs")
        page.click(f"button[data-do=open][data-value={run}]")
        page.wait_for_selector("#tab-train-button[aria-selected=true]")
        assert_shown_inert(page, "train", run)
    go(page, "runs")
    page.locator("button[data-do=compare]").first.click()
    page.wait_for_selector("#compared table")
    assert_shown_inert(page, "runs")

    go(page, "try")
    question = page.locator("#question textarea")
    question.fill(f"{PAYLOAD} {{{{7*7}}}} ${{7*7}}")
    page.click("#ask:not([disabled])")
    page.wait_for_selector("#ask:not([disabled])")
    page.locator("#talk .asked", has_text="{{7*7}} ${7*7}").first.wait_for()
    page.locator("#talk .answer.tuned", has_text=MARK).first.wait_for()
    assert_shown_inert(page, "try")
    page.click("#correct-last summary")
    page.locator("#correct-last textarea").fill(PAYLOAD)
    page.click("#correct-last [type=submit]")
    page.locator("#correct-last .alert", has_text=MARK).wait_for()
    assert_inert(page, "a corrected answer")
    page.click("#evaluate-prompts:not([disabled])")
    page.locator("#evaluation .alert", has_text=MARK).first.wait_for()
    closed = page.locator("#evaluation details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    page.locator("#evaluation article dd", has_text=MARK).first.wait_for()
    assert_inert(page, "the answers of an evaluation")
    page.click("#blind > button")
    page.click("#blind-test .choose-two button")
    page.locator("#blind-test .asked", has_text=MARK).wait_for()
    assert_inert(page, "a question of a blind test")
    page.keyboard.press("1")
    page.locator("#blind-test [role=status]", has_text="Question 2").wait_for()
    page.keyboard.press("u")
    page.locator("#blind-test [role=status]", has_text="Question 1").wait_for()
    page.keyboard.press("3")
    page.locator("#blind-test [role=status]", has_text="Question 2").wait_for()
    page.click("#blind-test [data-do=end-blind]")
    page.click("#blind-test details:not([open]) > summary")
    page.locator("#blind-test article", has_text=MARK).first.wait_for()
    assert_inert(page, "the end of a blind test")
    question.fill(FAILS)
    page.click("#ask:not([disabled])")
    page.locator(".toast-wrap", has_text=MARK).wait_for()
    assert_inert(page, "an error")

    go(page, "share")
    page.click("#export:not([disabled])")
    page.get_by_role("link", name="Download").wait_for()
    assert_shown_inert(page, "share")

    page.reload()  # what the browser kept comes back
    page.wait_for_selector("#rail [role=tab]")
    for name in TABS:
        go(page, name)
        assert_inert(page, f"{name} after a reload")

    page.evaluate(
        "(html) => document.querySelector('main').insertAdjacentHTML('beforeend', html)",
        PAYLOAD,
    )
    page.wait_for_function("window.injected === 'yes'")
    found = " ".join(page.evaluate("window.found"))
    assert all(tag in found for tag in ("<img", "<svg", "<script", "<a")), (
        "the observer sees what runs"
    )


def lines(*rows: str) -> bytes:
    return "\n".join(rows).encode()


def chats(**message: Any) -> str:
    question = {"role": "user", "content": "What is it?"}
    return json.dumps(
        {"messages": [question, {"role": "assistant", "content": "It is.", **message}]}
    )


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = PAYLOAD.replace("/", "")[:31].translate(
        str.maketrans("", "", "[]:*?\\")
    )
    book.active.append([f"question{PAYLOAD}", f"answer{PAYLOAD}"])
    for number in range(12):
        book.active.append([f"{number} {PAYLOAD}", PAYLOAD])
    book.create_sheet("<img src=x onerror=alert(1)>").append(["more"])
    into = io.BytesIO()
    book.save(into)
    return into.getvalue()


GOOD = [chats(content=f"Answer {number}.") for number in range(12)]
KEY = json.dumps(PAYLOAD)
FILES = {  # no name is a part of another; first the one that is shown shortened, as nothing was shown before it
    f"{PAYLOAD.replace('/', '')[:100]}.jsonl": lines(*GOOD, chats(role=PAYLOAD)),
    "role.jsonl": lines(*GOOD, chats(role=PAYLOAD)),
    "content.jsonl": lines(*GOOD, chats(content=PAYLOAD), chats(content=PAYLOAD)),
    "part.jsonl": lines(*GOOD, chats(content=[{"type": PAYLOAD, "text": PAYLOAD}])),
    "duplicate-key.jsonl": lines(
        *GOOD,
        f'{{"messages": [{{"role": "user", {KEY}: 1, {KEY}: 2, "content": "x"}}]}}',
    ),
    "tool.jsonl": lines(
        *GOOD, chats(tool_calls=[{"type": "function", "function": {"name": PAYLOAD}}])
    ),
    "spare.jsonl": lines(
        *(
            json.dumps({"question": "Why?", "answer": PAYLOAD, PAYLOAD: PAYLOAD})
            for _ in range(12)
        )
    ),
    "not-json.jsonl": lines(*GOOD, PAYLOAD),
    "columns.csv": lines(
        f'"{PAYLOAD.replace(chr(34), chr(34) * 2)}";b;c',
        *(f"{n} <b>;{n};{n}" for n in range(12)),
    ),
    "people.json": json.dumps(
        {
            "messages": [
                {"from_id": n, "from": PAYLOAD * n, "date": "2024", "text": PAYLOAD}
                for n in (1, 2)
            ]
        }
    ).encode(),
    "text.txt": lines(*(f"{PAYLOAD} {number}" for number in range(12))),
    "sheets.xlsx": workbook(),
    "packed.jsonl.gz": gzip.compress(lines(*GOOD, chats(role=PAYLOAD))),
    "unreadable.parquet": lines(PAYLOAD),
}


@pytest.mark.slow
def test_files_are_shown_as_text(watched: Opens, real_page: str) -> None:
    page = watched(real_page)
    go(page, "data")
    for name, content in FILES.items():
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        page.set_input_files("#upload input[type=file]", file)
        page.wait_for_function(READ, arg="" if "<" in name else name)
        if "<" in name:
            open_details(page)  # for all files: the page remembers it
        if name != "unreadable.parquet":
            page.wait_for_function(UNFOLDED)
        assert_inert(page, name)
        if "<" in name:  # of the file, Train shows its name
            go(page, "train")
            assert_inert(page, f"{name}: train")
            go(page, "data")
