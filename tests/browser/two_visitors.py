"""Two browsers in a Space at the same time, framed by the hub's page, and what the
second reaches of the first.
"""

import json
import re
from typing import Any

from tests.browser import space_front
from tests.browser.conftest import PATIENCE
from tests.browser.steps import go, take_sample, unfold

LONG = 900_000  # milliseconds; the trainings of both wait in one queue
_FETCH = """async ([path, method, body]) => {
  const answer = await fetch(path, {method, body, headers: body ? {'content-type': 'application/json'} : {}});
  return [answer.status, await answer.text()];
}"""


class Visitor:
    """A browser of its own, with the Space in a frame of the hub's page. name: of the
    model. requests: (method, address, body) of all.
    """

    def __init__(self, browser: Any, name: str) -> None:
        self.name = name
        self.requests: list[tuple[str, str, str]] = []
        context = browser.new_context(
            viewport={"width": 1400, "height": 1700}, accept_downloads=True
        )
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on(
            "request",
            lambda sent: self.requests.append(
                (sent.method, sent.url, sent.post_data or "")
            ),
        )
        self.page.goto(f"https://{space_front.HUB}/spaces/owner/demo")
        self.frame = self.page.query_selector("iframe").content_frame()
        self.frame.wait_for_selector("#rail [role=tab]")

    def starts_to_train(self) -> None:
        frame = self.frame
        take_sample(frame, LONG)
        go(frame, "train")
        unfold(frame)
        for field, value in (("max_steps", "4"), ("per_device_train_batch_size", "2")):
            frame.locator(f"#set-{field} input").fill(value)
        frame.locator("#set-max_steps input").press("Enter")
        frame.get_by_text("4 steps").first.wait_for(state="attached")
        frame.locator("#run-name textarea, #run-name input").fill(self.name)
        frame.click("#start-training:not([disabled])")

    def chats(self) -> None:
        frame = self.frame
        frame.locator("#to-try").wait_for(timeout=LONG)
        frame.click("#to-try")
        frame.locator("#question textarea").fill(
            "two lamps from order 5512 came broken, money back please. jo"
        )
        frame.click("#ask:not([disabled])")
        for pane in ("base", "tuned"):
            frame.wait_for_function(
                f"document.querySelector('#talk .answer.{pane} div')?.innerText.trim().length > 3",
                timeout=LONG,
            )
        frame.click("#stop-answer")

    def downloads(self) -> int:
        """The bytes of the adapter."""
        frame = self.frame
        go(frame, "share")
        frame.get_by_text("Only what it learned").click()
        frame.click("#export:not([disabled])")
        link = frame.get_by_role("link", name=re.compile(r"\.zip"))
        link.wait_for(timeout=LONG)
        with self.page.expect_download(timeout=LONG) as download:
            link.click()
        return download.value.path().stat().st_size

    def ask(self, path: str, method: str = "GET", body: str = "") -> tuple[int, str]:
        """Status and text of a request that the Space's page sends in this browser."""
        status, text = self.frame.evaluate(_FETCH, [path, method, body or None])
        return status, text

    def choice(self) -> str:
        return str(self.frame.evaluate("sessionStorage.apprentice"))


def assert_two_stay_apart(browser: Any) -> None:
    """Both train, chat and download at once; then the second reaches nothing of the
    first.
    """
    visitors = first, second = Visitor(browser, "Zebra"), Visitor(browser, "Walrus")
    for visitor in visitors:
        visitor.starts_to_train()
    for visitor in visitors:
        visitor.chats()
    for visitor in visitors:
        assert visitor.downloads() > 1_000_000
    assert reached(first, second) == []


def reached(first: Visitor, second: Visitor) -> list[str]:
    """What the second visitor gets of the first's, by every address and event that the
    first one's browser used, and by the first one's choice in the second browser.
    """
    found = []
    start = f"https://{space_front.SPACE}"
    own = json.loads(first.choice())
    private = [own["run_id"], own["data_id"], first.name]
    for method, url, body in dict.fromkeys(first.requests):
        if not url.startswith(start) or "/heartbeat/" in url or "/queue/data" in url:
            continue
        status, text = second.ask(
            url.removeprefix(start), method, body if method == "POST" else ""
        )
        theirs = "/file=" in url or "/upload" in url
        if (theirs and status == 200) or (
            method == "GET" and any(word in text for word in private)
        ):
            found.append(f"{method} {url} {status}")
    second.frame.evaluate(
        "(choice) => { sessionStorage.apprentice = choice; }", first.choice()
    )
    second.page.reload()
    second.frame = second.page.query_selector("iframe").content_frame()
    second.frame.wait_for_selector("#rail [role=tab]")
    second.frame.evaluate(
        "(choice) => { sessionStorage.apprentice = choice; }", first.choice()
    )
    for tab in ("data", "train", "try", "share", "runs"):
        go(second.frame, tab)
        shown = second.frame.inner_text("body")
        found += [f"{word} on {tab}" for word in private if word in shown]
    return found
