"""Whether the page to give to others answers as its GGUF file does: both are asked the held-out questions.

A browser of this computer opens the page without a window, from the disk and over http, in a copy of its HTML with one
more script, which asks and prints the answers to the browser's log. The browser has an empty profile and no network.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from backend import child_process
from backend.chat.client import Chat
from backend.chat.engine import Messages
from backend.export import checks, page_to_give
from backend.export.source import Source
from backend.export.target import LOG, Report, Target
from backend.gguf.requirement import has_llama_cpp
from backend.records.exports import ExportFile, ExportResult, PageCheck
from backend.runs.conversations import read_conversations
from backend.settings import child_environment

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge", "microsoft-edge")
_PLACES = (  # of macOS and Windows, where programs are not on the path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_FLAGS = (
    *("--headless=new", "--enable-logging=stderr", "--disable-gpu", "--no-first-run", "--disable-extensions"),
    *("--disable-background-networking", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
_NO_SANDBOX = ("--no-sandbox",) if getattr(os, "geteuid", lambda: 1)() == 0 else ()  # which root can't have
_QUESTIONS = 10
_POLL = 0.2  # seconds
_SILENCE = 600.0  # seconds without an answer after which a slow computer gives up
_SAME = 0.9  # of the answers, at least: builds of llama.cpp round differently, and a near tie may fall otherwise
_SAID = re.compile(r'"PAGE:([^"]*)"')
_ASK = """(async () => {
  const say = (what) => console.log("PAGE:" + encodeURIComponent(JSON.stringify(what)));
  const started = await page.started;
  say({...started, sentence: document.getElementById("state").textContent});
  for (const messages of started.loaded ? %s : []) say(await page.answer(messages, undefined, undefined, %d));
  say({ended: true});
})();
"""
_NO_BROWSER = "The page was not tried here, because no Chrome, Chromium or Edge was found on this computer."
_NO_LLAMA = "The page was not tried here, because there is no llama.cpp for this computer to compare it with."

_SILENT = "The page was not checked: the browser of this computer did not answer in time."


def browser() -> str | None:
    """The program of a browser that is made of Chromium, or the one named by $CHROMIUM; None if there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, (*_NAMES, *_PLACES))), None)


class Answer(NamedTuple):
    """An answer, and how many tokens of the conversation were read before it."""

    text: str
    read: int


class Heard(NamedTuple):
    """What a browser said of a page. problem: the page's own sentence where it could not load the model. seconds: until
    it was loaded. tokens_per_second: of its answers."""

    answers: list[Answer]
    problem: str = ""
    seconds: float = 0.0
    tokens_per_second: float = 0.0


def check(source: Source, target: Target, files: list[ExportFile], report: Report) -> ExportResult:
    """Ask both folders and the GGUF file. No verdict where there is no browser, or it gives no answers."""
    program = browser()
    if program is None or not has_llama_cpp():
        return ExportResult(page=PageCheck(ok=None, sentence=_NO_LLAMA if program else _NO_BROWSER))
    held_out = [chat[:-1] for chat in read_conversations(source.folder, "held_out")[:_QUESTIONS]] or source.prompts
    prompts = [[message for message in prompt if message["role"] != "system"] for prompt in held_out]
    report("Asking the file")
    expected = _by_llama_cpp(source, target, files[0].name, prompts)
    heard = []
    for variant in (page_to_give.PAGE, page_to_give.WEBSITE):
        folder = page_to_give.folder_of(target, variant)
        poll = partial(report, f"Asking the {variant} in a browser", total=len(prompts) + 1)
        heard.append(ask(program, folder, prompts, target.work, poll, over_http=variant == page_to_give.WEBSITE))
    return ExportResult(page=verdict(expected, *heard))


def verdict(expected: list[Answer], disk: Heard | None, http: Heard | None) -> PageCheck:
    """What the answers say, of which `expected` are llama.cpp's. None: the browser did not give them all."""
    if disk is None or http is None:
        return PageCheck(ok=None, sentence=_SILENT)
    if problem := disk.problem or http.problem:
        return PageCheck(ok=False, sentence=f"The page could not load the model: {problem}")
    counts = []
    for heard in (disk, http):
        pairs = list(zip(heard.answers, expected, strict=True))
        if any(found.read != wanted.read for found, wanted in pairs):
            return PageCheck(ok=False, sentence="The page gives the model another conversation than llama.cpp does.")
        counts.append(sum(found.text.strip() == wanted.text.strip() for found, wanted in pairs))
    asked = len(expected)
    return PageCheck(
        ok=all(checks.is_chance(asked - same, asked, 1 - _SAME) for same in counts),
        sentence=f"In a browser, {counts[0]} of {asked} answers from the disk and {counts[1]} over http are those of "
        f"the GGUF file in llama.cpp, word for word. It loads in {disk.seconds:.0f} s here, and answers at "
        f"{disk.tokens_per_second:.0f} tokens a second.",
        questions=asked,
        from_disk=counts[0],
        over_http=counts[1],
        seconds=disk.seconds,
        tokens_per_second=disk.tokens_per_second,
    )


def _by_llama_cpp(source: Source, target: Target, file: str, prompts: Sequence[Messages]) -> list[Answer]:
    """The answers of the GGUF file to conversations with the page's instruction."""
    told = [{"role": "system", "content": source.instruction}] if source.instruction else []
    chat = Chat(source.workspace, log_file=target.folder / LOG)
    try:
        chat.open(gguf=target.place / file)
        return [
            Answer("".join(chunk.text for chunk in chat.ask(messages, max_new_tokens=checks.ANSWER_TOKENS)), read)
            for messages in ([*told, *prompt] for prompt in prompts)
            for read in [len(chat.prompt_ids(messages))]
        ]
    finally:
        chat.close()


def ask(
    program: str, folder: Path, prompts: Sequence[Messages], work: Path, poll: Callable[[int], None], *, over_http: bool
) -> Heard | None:
    """What the page in `folder` answers in a browser; None where the browser falls silent. work: a folder for its
    output. poll: called meanwhile with the number of answers; what it raises ends the browser."""
    page, script = folder / "check.html", folder / "files" / "check.js"
    asked = json.dumps(list(map(list, prompts)))
    try:
        script.write_text(_ASK % (asked, checks.ANSWER_TOKENS), "utf-8")
        html = (folder / "index.html").read_text("utf-8")
        page.write_text(html + '<script src="files/check.js"></script>\n', "utf-8")
        with _served(folder) if over_http else nullcontext(folder.as_uri()) as address:
            said = _listen([program, *_FLAGS, *_NO_SANDBOX], f"{address}/{page.name}", work / "browser.log", poll)
    finally:
        page.unlink(missing_ok=True)
        script.unlink(missing_ok=True)
    if not said or not said[-1].get("ended"):
        return None
    started, *answers, _ = said
    if not started["loaded"]:
        return Heard([], started["sentence"])
    seconds = sum(answer["seconds"] for answer in answers)
    speed = sum(answer["tokens"] for answer in answers) / max(seconds, 1e-3)
    return Heard([Answer(answer["text"], answer["read"]) for answer in answers], "", started["seconds"], speed)


def _listen(command: list[str], address: str, log: Path, poll: Callable[[int], None]) -> list[dict[str, Any]]:
    """What the page said until its end, or until the browser ended or fell silent."""
    said: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, log.open("wb") as output:
        began = [f"--user-data-dir={profile}", address]
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": output}
        with subprocess.Popen([*command, *began], env=child_environment(), **options) as child:
            child_process.end_with_us(child.pid)
            try:
                last = time.monotonic()
                while not (said and said[-1].get("ended")) and child.poll() is None:
                    poll(len(said))
                    time.sleep(_POLL)
                    found = [json.loads(unquote(text)) for text in _SAID.findall(log.read_text("utf-8", "replace"))]
                    if len(found) > len(said):
                        said, last = found, time.monotonic()
                    elif time.monotonic() - last > _SILENCE:
                        break
            finally:
                child.kill()
    return said


class _Files(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a server for the files of a folder, for this computer only."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
