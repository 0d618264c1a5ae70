"""Faults planted in a GGUF file of the bundled model's first layers: each is noticed,
and it passes without them.
"""

import mmap
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.chat.client import Chat
from backend.errors import ApprenticeError
from backend.export import checks
from backend.export.checks import PLAIN
from backend.export.page_check import nearly_wrote
from backend.gguf.requirement import has_llama_cpp
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer

pytestmark = pytest.mark.skipif(
    not has_llama_cpp(), reason="there is no build for some systems"
)

Expected = tuple[ChatTokenizer, checks.Reference, list[dict[str, list[int]]]]
TEMPLATE = "tokenizer.chat_template"
ANSWER = (
    "Paris is the capital of France. It lies on the river Seine, in the north of the country, and has more than two "
    "million inhabitants. The city is known for the Louvre, the cathedral of Notre-Dame and the Eiffel Tower, which "
    "was built for the World's Fair of 1889. Every year, millions of people come to see them, to walk along the "
    "river and to sit in the cafés. Most of them arrive by train or by plane, and many stay for a few days only."
)


@contextmanager
def opened(file: Path, key: str) -> Iterator[tuple[mmap.mmap, int]]:
    """The bytes of a GGUF file, to change, and where the value of a key begins, after
    its type.
    """
    with file.open("r+b") as handle, mmap.mmap(handle.fileno(), 0) as content:
        yield content, content.find(key.encode()) + len(key) + 4


def set_number(key: str, form: str, value: float) -> Callable[[Path], None]:
    """form: of the value, a code of `struct`."""

    def plant(file: Path) -> None:
        with opened(file, key) as (content, at):
            struct.pack_into(form, content, at, value)

    return plant


def remove_template(file: Path) -> None:
    with opened(file, TEMPLATE) as (content, at):
        content[at - 5] = ord("X")  # another key of the same length


def change_template(file: Path) -> None:
    with opened(file, TEMPLATE) as (content, at):
        (length,) = struct.unpack_from("<Q", content, at)
        word = content.rfind(b"assistant", at, at + 8 + length)
        content[word : word + 9] = b"Assistant"


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.fixture(scope="module")
def expected(shallow_model: Path) -> Expected:
    """What the merged model answers, and the rows it was compared on."""
    tokenizer = ChatTokenizer.load(shallow_model)
    question = {"role": "user", "content": "Tell me about the capital of France."}
    row = tokenizer.encode([question, {"role": "assistant", "content": ANSWER}])
    rows = [{"input_ids": list(row.input_ids), "labels": list(row.labels)}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "ANSWER_TOKENS", 4)
        return tokenizer, checks.Reference.of(shallow_model, PLAIN[0], rows), rows


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    opened = Chat(Workspace.open(tmp_path / "workspace"))
    yield opened
    opened.close()


def noticed(chat: Chat, file: Path, expected: Expected) -> list[str]:
    """What the checks of an export find wrong with a file."""
    tokenizer, reference, rows = expected
    try:
        chat.open(gguf=file)
        same = checks.check_tokens(tokenizer, {"the GGUF file": chat.prompt_ids})
        found = checks.check_gguf(chat, "Q8_0", reference, [PLAIN[0]], rows)
    except ApprenticeError as error:
        return [error.what]
    return [check.sentence for check in (same, found) if not check.ok]


@pytest.mark.slow
def test_each_fault_is_noticed(
    chat: Chat,
    shallow_f16: Path,
    expected: Expected,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "ANSWER_TOKENS", 4)
    assert noticed(chat, shallow_f16, expected) == []
    answers = "Paris is the capital", "Paris zebra the capital"
    assert [
        nearly_wrote(chat, PLAIN[0], *pair) for pair in (answers, answers[::-1])
    ] == [False, True]
    faults = {
        "template removed": remove_template, "template changed": change_template,
        "wrong end token": set_number("tokenizer.ggml.eos_token_id", "<I", 28),
        "wrong rope setting": set_number("llama.rope.freq_base", "<f", 10_000.0), "truncated": truncate,
    }  # fmt: skip
    missed = []
    for name, plant in faults.items():
        file = tmp_path / f"{name}.gguf"
        shutil.copyfile(shallow_f16, file)
        plant(file)
        if not noticed(chat, file, expected):
            missed.append(name)
        file.unlink()
    assert not missed


def test_llama_cpp_s_own_server_renders_as_training(
    chat: Chat, shallow_f16: Path, shallow_model: Path, tmp_path: Path
) -> None:
    tokenizer = ChatTokenizer.load(shallow_model)
    chat.open(gguf=shallow_f16)
    same = checks.check_template(chat, tokenizer, ())
    assert (same.ok, same.conversations) == (True, len(PLAIN))
    faulty = tmp_path / "faulty.gguf"
    shutil.copyfile(shallow_f16, faulty)
    change_template(faulty)
    chat.open(gguf=faulty)
    found = checks.check_template(chat, tokenizer, ())
    assert found.ok is False
    assert "Assistant" in found.found
