"""Whether llama.cpp's own template engine renders conversations as training did, where `xllamacpp` is installed.

llama-cpp-python does not contain that engine; xllamacpp brings llama.cpp's server. It runs in a child process, on
loopback, with a key of its own, for as long as the conversations take: `python -m backend.export.rendering REQUEST`.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from backend.chat.engine import Messages
from backend.errors import BadInput, ExportFailed
from backend.export.conversations import PLAIN
from backend.hardware import child_process
from backend.tokens.tokenizer import ChatTokenizer

_MISSING = (
    "The text of conversations was not compared in llama.cpp's own server, because the package xllamacpp is not "
    "installed."
)


def check(
    file: Path, tokenizer: ChatTokenizer, held_out: Sequence[Messages], work: Path, poll: Callable[[], None]
) -> dict[str, Any]:
    """Whether the GGUF file's template gives the text that it gave in training: {ok, conversations, sentence}, and
    where it does not, `expected` and `found`. ok is None without xllamacpp.

    Conversations with tools are left out: llama.cpp describes tools in words of its own where a template does not.
    work: a folder for the request. poll: called meanwhile; what it raises ends the check. Raises ExportFailed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        return {"ok": None, "conversations": 0, "sentence": _MISSING}
    asked, expected = [], []
    for messages in (*PLAIN, *held_out):
        try:
            expected.append(tokenizer.render(messages, add_generation_prompt=True))
        except BadInput:
            continue
        asked.append([dict(message) for message in messages])
    bos = tokenizer.special_tokens.get("bos_token", "")
    for number, found in enumerate(_render(file, asked, work, poll)):
        if found.removeprefix(bos) != expected[number].removeprefix(bos):  # llama.cpp leaves it to the tokenizer
            return {
                "ok": False,
                "conversations": number + 1,
                "expected": expected[number],
                "found": found,
                "sentence": f"llama.cpp's template engine renders conversation {number + 1} otherwise than training.",
            }
    sentence = f"llama.cpp's own template engine renders {len(asked)} conversations exactly as in training."
    return {"ok": True, "conversations": len(asked), "sentence": sentence}


def _render(file: Path, chats: list[Any], work: Path, poll: Callable[[], None]) -> list[str]:
    asked = {"file": str(file), "chats": chats}
    found, why = child_process.run_request("backend.export.rendering", work / "rendering.json", asked, poll)
    if found is None:
        raise ExportFailed(
            "llama.cpp's server can't use the file.", why, "Choose the merged model or the adapter instead."
        )
    texts: list[str] = found
    return texts


def _render_here(request: Path) -> None:
    import xllamacpp

    asked = json.loads(request.read_text("utf-8"))
    key = secrets.token_urlsafe()
    options = xllamacpp.CommonParams()
    options.model.path, options.api_keys = asked["file"], [key]
    options.n_ctx, options.n_parallel, options.warmup = 512, 1, False
    server = xllamacpp.Server(options)
    texts = [_ask(server.listening_address, key, messages) for messages in asked["chats"]]
    child_process.return_value(request, texts)


def _ask(address: str, key: str, messages: Any) -> str:
    """The rendered text, or the server's error message, which differs from the expected text."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(trust_env=False, timeout=60) as client:  # no proxy
        reply = client.post(f"{address}/apply-template", json={"messages": messages}, headers=headers)
    return str(reply.json()["prompt"]) if reply.is_success else reply.text


if __name__ == "__main__":
    child_process.end_with_parent()
    _render_here(Path(sys.argv[1]))
