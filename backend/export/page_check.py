"""Whether the page to give to others answers as its GGUF file does: both are asked the
held-out questions.

A browser of this computer opens the page without a window, from the disk and over http,
in a copy of its HTML with one more script, which asks and prints the answers to the
browser's log. The browser has an empty profile and no network.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from backend import child_process
from backend.chat.client import Chat
from backend.chat.engine import NEAR_TIE, Messages, common_prefix
from backend.export.checks import ANSWER_TOKENS, is_chance
from backend.export.source import Source
from backend.export.target import Target
from backend.gguf.requirement import has_llama_cpp
from backend.records.encoded import IGNORED
from backend.records.exports import PageCheck
from backend.records.units import format_speed
from backend.runs.conversations import read_conversations
from backend.settings import PROJECT_ROOT, child_environment
from backend.work import Report

# Where Chrome, Chromium and Edge are.
_BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "msedge",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_OPTIONS = (
    "--headless=new",
    "--enable-logging=stderr",
    "--disable-gpu",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_SCRIPT = PROJECT_ROOT / "static" / "page_to_give" / "files" / "check.js"
_NO_SANDBOX = (
    ("--no-sandbox",) if getattr(os, "geteuid", lambda: 1)() == 0 else ()
)  # which root can't have
_QUESTIONS = 10
_POLL = 0.2  # seconds
_SILENCE = 600.0  # seconds without an answer after which a slow computer gives up
# The share of the answers that must be the same up to a near tie: builds of llama.cpp
# round differently.
_SAME = {"Q8_0": 0.9, "Q4_K_M": 0.7}
_END = [{"ended": True}]
_PRINTED = re.compile(r'"PAGE:([^"]*)"')
_SECRET = (
    secrets.token_urlsafe()
)  # first in the addresses of the server: no other page can guess it
Near = Callable[[str], bool]
_NOT_TRIED = "The page was not tried here, because there is no {}."


class BrowserAnswers(NamedTuple):
    """What a page answered in a browser. answers: each with the number of tokens before
    it. problem: why it could not load the model, or not answer. seconds: until it was
    loaded. tokens_per_second: of its answers.
    """

    answers: list[tuple[str, int]]
    problem: str = ""
    seconds: float = 0.0
    tokens_per_second: float = 0.0


def browser() -> str | None:
    """The program of a browser that is made of Chromium, or the one named by $CHROMIUM;
    None if there is none.
    """
    return os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, _BROWSERS)), None
    )


def check(
    source: Source,
    target: Target,
    gguf: Path,
    disk: Path,
    web: Path,
    context: int,
    report: Report,
    grammar: str = "",
) -> PageCheck:
    """Ask the page and the GGUF file the same questions. No verdict without a browser's
    answers.

    disk, web: the folders of the page, opened from the disk and over http
    context: tokens into which a question and its answer must fit
    grammar: that the page holds answers to
    """
    program = browser()
    if program is None or not has_llama_cpp():
        return PageCheck(
            ok=None,
            sentence=_NOT_TRIED.format(
                "llama.cpp" if program else "Chrome, Chromium or Edge"
            ),
        )
    held_out = [
        chat[:-1] for chat in read_conversations(source.folder, "held_out")
    ] or source.prompts
    prompts = [
        [message for message in prompt if message["role"] != "system"]
        for prompt in held_out
    ]
    report("Asking the file")
    system = (
        [{"role": "system", "content": source.instruction}]
        if source.instruction
        else []
    )
    with closing(Chat(source.workspace)) as chat:
        chat.open(gguf=gguf)
        short = (
            one
            for one in prompts
            if len(chat.prompt_ids([*system, *one])) + ANSWER_TOKENS <= context
        )
        prompts, expected = list(islice(short, _QUESTIONS)), []
        compares = (
            not grammar or not source.tokenizer.can_skip_thought
        )  # else a thought that was skipped is read
        for messages in ([*system, *prompt] for prompt in prompts):
            text = "".join(
                chunk.text
                for chunk in chat.ask(
                    messages, max_new_tokens=ANSWER_TOKENS, grammar=grammar
                )
            )
            expected.append((text, len(chat.prompt_ids(messages)) if compares else 0))
        if not prompts:
            return PageCheck(
                ok=None, sentence=_NOT_TRIED.format("question short enough for it")
            )
        chat.close()  # for the memory that the browser needs
        most, answers = len(prompts) + 1, []
        for folder, before in ((disk, 0), (web, most)):

            def poll(done: int, before: int = before) -> None:
                report("Asking the page in a browser", before + done, 2 * most)

            answers.append(
                ask(
                    program, folder, prompts, target.work, poll, over_http=folder == web
                )
            )
        chat.open(gguf=gguf)
        near = [
            partial(nearly_wrote, chat, [*system, *it], own[0])
            for it, own in zip(prompts, expected, strict=True)
        ]
        return verdict(expected, answers, _SAME[target.kinds[0]], near)


def nearly_wrote(chat: Chat, messages: Messages, answer: str, other: str) -> bool:
    """Whether the model that is open finds the first token of `other` that its own
    answer has not at most `NEAR_TIE` nats less likely than its own.
    """
    rows = [
        chat.prompt_ids([*messages, {"role": "assistant", "content": text}])
        for text in (answer, other)
    ]
    at = common_prefix(*rows)
    pieces = [
        {"input_ids": ids[: at + 1], "labels": [IGNORED] * at + ids[at : at + 1]}
        for ids in rows
    ]
    own, there = (score.nll for score in chat.score(pieces))
    return there - own <= NEAR_TIE


def verdict(
    expected: list[tuple[str, int]],
    answers: list[BrowserAnswers | None],
    needed: float,
    near: Sequence[Near],
) -> PageCheck:
    """Whether the page answers as llama.cpp does.

    expected: llama.cpp's answers, with the tokens of their prompts: 0 where these are
        not compared
    answers: from the disk and over http; None where the browser did not give them all
    needed: the share that must be the same, but for chance
    near: for each question, whether another answer parts from llama.cpp's at a near
        tie, and so counts as the same
    """
    disk, http = answers
    if disk is None or http is None:
        return PageCheck(
            ok=None,
            sentence="The page was not checked: the browser stopped responding.",
        )
    if problem := disk.problem or http.problem:
        return PageCheck(ok=False, sentence=f"The page does not work here: {problem}")
    asked, counts, alike = len(expected), list[int](), list[int]()
    for answered in (disk, http):
        pairs = list(zip(answered.answers, expected, strict=True))
        if any(read != wanted for (_, read), (_, wanted) in pairs if wanted):
            return PageCheck(
                ok=False,
                sentence="The page sends the model a different prompt than llama.cpp does.",
            )
        compared = zip(pairs, near, strict=True)
        other = [
            is_near(there)
            for ((there, _), (own, _)), is_near in compared
            if there.strip() != own.strip()
        ]
        counts.append(asked - len(other))
        alike.append(asked - other.count(False))
    ties = ""
    if alike != counts:
        ties = (
            f" Where two words were as good as equal, either counts: then {alike[0]} "
            f"and {alike[1]} are."
        )
    speed = format_speed(disk.tokens_per_second)
    return PageCheck(
        ok=all(is_chance(asked - same, asked, 1 - needed) for same in alike),
        sentence=(
            f"Of {asked} answers of the page, {counts[0]} from the disk and {counts[1]} "
            f"over http are word for word those of the model's file.{ties} It loads in "
            f"{disk.seconds:.0f} s here, and answers at {speed}."
        ),
        questions=asked,
        from_disk=counts[0],
        over_http=counts[1],
        seconds=disk.seconds,
        tokens_per_second=disk.tokens_per_second,
    )


def ask(
    program: str,
    folder: Path,
    prompts: Sequence[Messages],
    work: Path,
    poll: Callable[[int], None],
    *,
    over_http: bool,
) -> BrowserAnswers | None:
    """What the page in `folder` answers in a browser; None where the browser stops
    responding.

    work: a folder for its output
    poll: called meanwhile with the number of answers; what it raises ends the browser
    over_http: from a server of this computer; else from the disk
    """
    page, script = folder / "check.html", folder / "files" / _SCRIPT.name
    asked = json.dumps(
        {"prompts": [list(prompt) for prompt in prompts], "most": ANSWER_TOKENS}
    )
    try:
        script.write_text(
            f"const asked = {asked};\n{_SCRIPT.read_text('utf-8')}", "utf-8"
        )
        html = (folder / "index.html").read_text("utf-8")
        page.write_text(f'{html}<script src="files/{script.name}"></script>\n', "utf-8")
        with _served(folder) if over_http else nullcontext(folder.as_uri()) as address:
            printed = _listen(
                [program, *_OPTIONS, *_NO_SANDBOX],
                f"{address}/{page.name}",
                work,
                poll,
            )
    finally:
        page.unlink(missing_ok=True)
        script.unlink(missing_ok=True)
    if printed[-1:] != _END:
        return None
    started, *answers, _ = printed
    if problem := printed[-2].get("problem"):
        return BrowserAnswers([], problem)
    seconds, tokens = (
        sum(answer[name] for answer in answers) for name in ("seconds", "tokens")
    )
    read = [(answer["text"], answer["read"]) for answer in answers]
    return BrowserAnswers(
        read, seconds=started["seconds"], tokens_per_second=tokens / max(seconds, 1e-3)
    )


def _listen(
    command: list[str], address: str, work: Path, poll: Callable[[int], None]
) -> list[dict[str, Any]]:
    """What the page printed until its end, or until the browser ended or stopped
    responding.
    """
    printed: list[dict[str, Any]] = []
    log = work / "browser.log"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        log.open("wb") as output,
    ):
        command = [*command, f"--user-data-dir={profile}", address]
        with subprocess.Popen(
            command, env=child_environment(), stdin=subprocess.DEVNULL, stderr=output
        ) as child:
            child_process.end_with_us(child.pid)
            try:
                last = time.monotonic()
                while (
                    child.poll() is None
                    and time.monotonic() - last < _SILENCE
                    and printed[-1:] != _END
                ):
                    poll(len(printed))
                    time.sleep(_POLL)
                    logged = _PRINTED.findall(log.read_text("utf-8", "replace"))
                    if len(logged) > len(printed):
                        printed, last = (
                            [json.loads(unquote(text)) for text in logged],
                            time.monotonic(),
                        )
            finally:
                child.kill()
    return printed


class _Files(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        ours = path.startswith(f"/{_SECRET}/") and self.headers[
            "Host"
        ] == "{}:{}".format(*self.request.getsockname())
        return (
            super().translate_path(path.removeprefix(f"/{_SECRET}")) if ours else ""
        )  # no file, so 404

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The address of a server for the files of a folder, for this computer only."""
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Files, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{_SECRET}"
        finally:
            server.shutdown()
