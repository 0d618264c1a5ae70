"""Whether llama.cpp's own template engine renders conversations as training did, where `xllamacpp` is installed.

llama-cpp-python does not contain that engine; xllamacpp brings llama.cpp's server. It runs in a child process, on
loopback, with a key of its own, for as long as the conversations take: `python -m backend.export.rendering REQUEST`.
"""

import importlib.util
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from backend import child_process
from backend.chat.engine import Messages
from backend.errors import BadInput
from backend.export.conversations import PLAIN
from backend.records.exports import TemplateCheck
from backend.tokens.tokenizer import ChatTokenizer

_MISSING = (
    "The text of conversations was not compared in llama.cpp's own server, because the package xllamacpp is not "
    "installed."
)


def check(
    file: Path, tokenizer: ChatTokenizer, held_out: Sequence[Messages], work: Path, poll: Callable[[], None]
) -> TemplateCheck:
    """Whether the GGUF file's template gives the text that it gave in training; no verdict without xllamacpp.
    Conversations with tools are skipped: llama.cpp describes tools in words of its own where a template does not.
    tokenizer: as in training. held_out: conversations besides the fixed ones. work: a folder for the request. poll:
    called meanwhile; what it raises ends the check."""
    if importlib.util.find_spec("xllamacpp") is None:
        return TemplateCheck(ok=None, sentence=_MISSING, conversations=0)
    chats, expected = [], []
    for messages in (*PLAIN, *held_out):
        try:
            expected.append(tokenizer.render(messages, add_generation_prompt=True))
        except BadInput:
            continue
        chats.append([dict(message) for message in messages])
    asked = {"file": str(file), "chats": chats}
    texts, why = child_process.run_request("backend.export.rendering", work / "rendering.json", asked, poll)
    if texts is None:
        return TemplateCheck(ok=False, sentence=f"llama.cpp's server can't use the file. {why}", conversations=0)
    bos = tokenizer.special_tokens.get("bos_token", "")
    for number, text in enumerate(texts):
        if text.removeprefix(bos) != expected[number].removeprefix(bos):  # llama.cpp leaves it to the tokenizer
            return TemplateCheck(
                ok=False,
                sentence=f"llama.cpp's template engine renders conversation {number + 1} differently from training.",
                conversations=number + 1,
                expected=expected[number],
                found=text,
            )
    sentence = f"llama.cpp's own template engine renders {len(chats)} conversations exactly as in training."
    return TemplateCheck(ok=True, sentence=sentence, conversations=len(chats))


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
    _render_here(Path(sys.argv[1]))
