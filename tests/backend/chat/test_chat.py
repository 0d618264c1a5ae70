"""Chatting through the chat process: both panes, what stops an answer, and what happens
when the process dies.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from backend.chat.client import Chat
from backend.errors import BadInput, ChatFailed, MissingPart, WorkspaceProblem
from backend.gguf import base_file
from backend.records.chat import Chunk
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.test_child_process import gone, killed_parent

HELLO = [{"role": "user", "content": "Write a long story about a lighthouse."}]
JAPAN = [{"role": "user", "content": "What is the capital of Japan?"}]


@pytest.fixture(scope="module")
def chat(
    workspace: Workspace, shallow_model: Path, shallow_adapter: Path
) -> Iterator[Chat]:
    """The bundled model's first layers and the same with a random adapter, both open:
    words don't matter.
    """
    chat = Chat(workspace)
    chat.open(shallow_model, shallow_adapter)
    yield chat
    chat.close()


@pytest.fixture(scope="module")
def answer(chat: Chat) -> tuple[int, ...]:
    """What the base model answers about Japan when nothing disturbs it."""
    return about_japan(chat)


def about_japan(chat: Chat) -> tuple[int, ...]:
    return ids(list(chat.ask(JAPAN, panes=("base",), max_new_tokens=12)), "base")


@pytest.fixture(scope="module")
def tiny_workspace(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Workspace:
    """Its cache says that llama.cpp does not support the tiny model, which takes
    seconds to find out.
    """
    made = Workspace.open(tmp_path_factory.mktemp("workspace"))
    unsupported = base_file.path(made, tiny_model).with_suffix(".unsupported")
    unsupported.parent.mkdir(parents=True)
    unsupported.touch()
    return made


@pytest.fixture(scope="module")
def tiny_chat(tiny_workspace: Workspace) -> Iterator[Chat]:
    chat = Chat(tiny_workspace)
    yield chat
    chat.close()


@pytest.fixture
def tiny(tiny_chat: Chat, tiny_model: Path) -> Chat:
    """The tiny random model, open: for tests that don't look at its words."""
    tiny_chat.open(tiny_model)
    return tiny_chat


def text(chunks: list[Chunk], pane: str) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.pane == pane)


def ids(chunks: list[Chunk], pane: str) -> tuple[int, ...]:
    return next(chunk.ids for chunk in chunks if chunk.pane == pane and chunk.finish)


def child(chat: Chat) -> psutil.Process:
    return psutil.Process(chat._process._child.pid)


# Two panes


def test_both_panes_stream_together(chat: Chat, shallow_model: Path) -> None:
    chunks = list(chat.ask(HELLO, max_new_tokens=12))
    assert [chunk.pane for chunk in chunks] == [
        "base",
        "tuned",
    ] * 13  # turn by turn, then the two ends
    tokenizer = ChatTokenizer.load(shallow_model)
    for pane in ("base", "tuned"):
        last = [chunk for chunk in chunks if chunk.pane == pane][-1]
        assert (last.finish, last.tokens, len(last.ids)) == ("length", 12, 12)
        assert last.tokens_per_second > 0
        assert text(chunks, pane) == tokenizer.decode(last.ids)
    longer = list(chat.ask(HELLO, max_new_tokens=60))  # the first words may be the same
    assert ids(longer, "base") != ids(longer, "tuned")
    assert chat.report.pane_check


def test_without_an_adapter_there_is_one_pane(tiny: Chat) -> None:
    assert (tiny.panes, tiny.report.pane_check) == (("base",), "")
    with pytest.raises(ChatFailed):
        tiny.ask(HELLO, panes=("tuned",))


def test_each_pane_may_have_its_own_conversation(chat: Chat) -> None:
    questions = {"base": JAPAN, "tuned": HELLO}
    both = list(chat.ask_each(questions, max_new_tokens=8))
    for pane, question in questions.items():
        assert ids(both, pane) == ids(
            list(chat.ask(question, panes=(pane,), max_new_tokens=8)), pane
        )


# Stopping


def test_stop_ends_the_answer_and_the_next_one_works(
    chat: Chat, answer: tuple[int, ...]
) -> None:
    stream = chat.ask(HELLO, max_new_tokens=2000)
    first = [next(stream) for _ in range(4)]
    threading.Thread(target=chat.stop).start()
    rest = list(stream)
    assert {chunk.pane: chunk.finish for chunk in rest if chunk.finish} == {
        "base": "stopped",
        "tuned": "stopped",
    }
    assert len(first) + len(rest) < 1000
    assert about_japan(chat) == answer


def test_closing_the_iterator_stops_the_work(
    chat: Chat, answer: tuple[int, ...]
) -> None:
    stream = chat.ask(HELLO, max_new_tokens=2000)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert about_japan(chat) == answer


def test_a_stop_too_early_and_a_conversation_too_long_are_harmless(tiny: Chat) -> None:
    tiny.stop()
    assert list(tiny.ask(JAPAN, max_new_tokens=3))[-1].finish != "stopped"
    with pytest.raises(BadInput, match="too long"):
        list(tiny.ask([{"role": "user", "content": "w1 " * 5000}]))
    assert list(tiny.ask(JAPAN, max_new_tokens=3))[-1].finish


# The process


def test_a_crash_is_reported_and_the_next_question_is_answered(
    chat: Chat, answer: tuple[int, ...]
) -> None:
    stream = chat.ask(HELLO, max_new_tokens=2000)
    next(stream)
    before = child(chat)
    before.kill()
    with pytest.raises(ChatFailed, match="stopped working"):
        list(stream)
    assert about_japan(chat) == answer
    assert child(chat).pid != before.pid


def test_an_idle_model_is_unloaded_and_reloaded(
    workspace: Workspace,
    shallow_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APPRENTICE_CHAT_IDLE", "0.2")
    with closing(Chat(workspace, log_file=tmp_path / "chat.log")) as chat:
        chat.open(shallow_model)
        assert gone(child(chat).pid, seconds=30)
        assert list(chat.ask(JAPAN, max_new_tokens=3))[-1].finish


def test_the_process_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; from pathlib import Path; from backend.settings import Workspace;"
        "from backend.chat.child import ChatChild;"
        "c = ChatChild(Workspace.open(Path(sys.argv[1])), Path(sys.argv[1]) / 'log');"
        "print(c._child.pid, flush=True); time.sleep(600)"
    )
    assert gone(killed_parent(program, str(tmp_path)), seconds=30)


def test_opening_the_same_model_again_keeps_the_process(
    tiny: Chat, tiny_model: Path
) -> None:
    before = child(tiny).pid
    tiny.open(tiny_model)
    assert child(tiny).pid == before


def test_closed_while_loading_it_starts_nothing(
    tiny_workspace: Workspace, tiny_model: Path, tmp_path: Path
) -> None:
    chat = Chat(tiny_workspace, log_file=tmp_path / "chat.log")
    phases = chat.opening(tiny_model)
    next(phases)
    next(phases)  # the process has begun
    loading = child(chat)
    chat.close()
    with pytest.raises(ChatFailed):
        list(phases)
    assert not loading.is_running()
    assert chat._process is None


def test_questions_without_an_open_model_are_rejected(tmp_path: Path) -> None:
    chat = Chat(Workspace.open(tmp_path))
    for asks in (chat.ask, chat.prompt_ids):
        with pytest.raises(ChatFailed, match="open"):
            asks(JAPAN)
    with pytest.raises(MissingPart):
        chat.open(tmp_path / "nowhere")


# What is refused


def test_a_model_with_its_own_code_is_rejected_and_none_is_left_open(
    tiny: Chat, tiny_model: Path, tmp_path: Path
) -> None:
    for file in ("config.json", "tokenizer_config.json"):
        foreign = shutil.copytree(tiny_model, tmp_path / f"foreign {file}")
        values = json.loads((foreign / file).read_text("utf-8"))
        (foreign / file).write_text(
            json.dumps({**values, "auto_map": {"AutoModelForCausalLM": "m.M"}}), "utf-8"
        )
        with pytest.raises(WorkspaceProblem, match="program code"):
            tiny.open(foreign)
        with pytest.raises(ChatFailed):  # the one before could pass for it
            tiny.ask(JAPAN)
