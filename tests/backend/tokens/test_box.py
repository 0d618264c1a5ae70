"""A foreign template or tokenizer that never ends, or takes all the memory, is stopped
in its box; a sound one does in a box what it does here.
"""

import json
import os
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from backend.errors import ApprenticeError, BadInput, MissingPart
from backend.records.lengths import LengthLimits
from backend.records.rows import Row
from backend.records.units import MIB
from backend.tokens import box
from backend.tokens.plain_tokenizer import PlainTokenizer
from backend.tokens.token_counts import TokenCounter
from backend.tokens.tokenizer import BoxedTokenizer, ChatTokenizer
from tests.backend.families import CATALOGUE, tokenizer_for
from tests.cases import cases

ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for a in range(9) recursive %}{{ loop(range(9)) }}{{ loop(range(9)) }}{% endfor %}",
]
HOSTILE = [*ENDLESS, *cases("templates", "huge"), *cases("templates", "one_step")]
QUESTION = {"role": "user", "content": "Hello?"}
CHAT = [
    {"role": "system", "content": "Be brief <|im_end|>."}, QUESTION, {"role": "assistant", "content": "Äh, 日本? 🦙"},
    QUESTION, {"role": "assistant", "content": "Yes.", "weight": 0},
]  # fmt: skip
FACTS = (
    "eos_token", "pad_id", "control_markers", "control_ids", "stop_ids", "end_of_turn", "opening_text",
    "can_skip_thought", "default_instruction",
)  # fmt: skip
SPEECH = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


@pytest.fixture
def small_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "MEMORY", 300 * MIB)
    monkeypatch.setattr(box, "_ADDRESSES", 1000 * MIB)
    monkeypatch.setattr(box, "SECONDS", 1.0)


def save(folder: Path, tokenizer: Tokenizer, template: str = SPEECH) -> Path:
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": template}), "utf-8"
    )
    return folder


def words(*texts: str) -> Tokenizer:
    made = Tokenizer(
        models.WordLevel(
            {text: number for number, text in enumerate(("?", *texts))}, unk_token="?"
        )
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


@pytest.mark.parametrize("template", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_template_harms_only_its_box(
    template: str, small_box: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "TRIAL", 0.3)
    used = psutil.Process().memory_info().rss
    began = time.thread_time()
    with pytest.raises(ApprenticeError):
        ChatTokenizer.of_template(template, {}).render([QUESTION])
    assert time.thread_time() - began < 1
    assert psutil.Process().memory_info().rss - used < 200 * MIB


def test_a_template_that_fails_is_refused_at_once_and_one_that_rejects_is_not() -> None:
    with pytest.raises(ApprenticeError, match="OverflowError"):
        ChatTokenizer.of_template("{% for a in range(10**9) %}{% endfor %}", {})
    assert ChatTokenizer.of_template(
        "{{ raise_exception('A system message must come first.') }}", {}
    )


def test_a_model_with_an_endless_template_fails_at_once_the_second_time(
    tmp_path: Path, small_box: None
) -> None:
    folder = save(tmp_path / "model", words("Hello"), ENDLESS[0])
    with pytest.raises(MissingPart, match="too much time or memory"):
        ChatTokenizer.load(folder)
    began = psutil.Process().children()
    with pytest.raises(MissingPart, match="too much time or memory"):
        ChatTokenizer.load(folder)
    assert psutil.Process().children() == began, "no second process"


@pytest.mark.parametrize("template", [ENDLESS[0], *cases("templates", "one_step")[:1]])
def test_an_endless_template_gets_two_seconds_however_long_the_tokenizer(
    template: str, tmp_path: Path
) -> None:
    long = words(*(f"word{number}" for number in range(200_000)))
    folder = save(tmp_path / "long", long, template)
    assert (folder / "tokenizer.json").stat().st_size > 4 * MIB
    with pytest.raises(MissingPart) as refused:
        ChatTokenizer.load(folder)
    assert re.search("more than (2|12) seconds", str(refused.value.__cause__))


def test_a_tokenizer_that_panics_is_an_error(tmp_path: Path) -> None:
    made = words("Hello")
    made.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", made))
    rows = [
        Row(1, 1, [QUESTION]),
        Row(2, 2, [{"role": "user", "content": "a" * 4000 + "b"}]),
    ]
    sound, failed = tokenizer.encode_rows(rows)
    assert not isinstance(sound, ApprenticeError)
    assert isinstance(failed, BadInput)
    assert tokenizer.prompt_ids([QUESTION])


def test_a_tokenizer_that_multiplies_its_text_is_stopped(
    tmp_path: Path, small_box: None
) -> None:
    made = words("x")
    made.normalizer = normalizers.Sequence([normalizers.Replace("①", "②" * 99), *(
        normalizers.Replace(a, b * 99) for a, b in ("②③", "③④", "④⑤", "⑤⑥")
    )])  # fmt: skip
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", made))
    (failed,) = tokenizer.encode_rows([Row(1, 1, [{"role": "user", "content": "①"}])])
    assert isinstance(failed, ApprenticeError)


def test_a_long_request_that_passes_a_limit_fails_alone(
    tmp_path: Path, small_box: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "_LONG", 2 * MIB)
    monkeypatch.setattr(box, "MEMORY", 150 * MIB)
    made = words("x")
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", made))
    failed, sound = tokenizer.encode_rows(
        [Row(1, 1, text="x" * (3 << 20)), Row(2, 2, [QUESTION])]
    )
    assert isinstance(failed, BadInput)
    assert "split the longest example" in failed.next
    assert not isinstance(sound, ApprenticeError)


ANSWERS = [  # and the bytes of ids and labels after each, eight for a token
    ([], 0), ([5], 0), (["x"], 0), ([[0]], 0), ([[1, [[0, "x"]], 0]], 8), ([[1e999, [], 0]], 0), ([[-1, [], 0]], 0),
    ([[1, [], 0]], 0), ([[1, [], 0]], 7), ([[1, [], 0]], 16), ([[1, [], 0]] * 2, 16),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "size"), ANSWERS, ids=range(len(ANSWERS)))
def test_wrong_answers_end_the_child(
    answer: Any, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = ChatTokenizer.load(
        save(tmp_path / "model", words("Hello", f"{answer} {size}"))
    )
    monkeypatch.setattr(box.frames, "read", lambda *_: (["done", answer], bytes(size)))
    assert isinstance(tokenizer.encode_rows([Row(1, 1, [QUESTION])])[0], BadInput)
    if answer not in ([], [5]):  # which are ids
        with pytest.raises(BadInput):
            tokenizer.prompt_ids([QUESTION])
    if answer != [[1, [], 0]]:  # which is a count
        assert isinstance(tokenizer.count_rows([Row(1, 1, [QUESTION])])[0], BadInput)


def test_a_crash_ends_one_request_and_many_end_the_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", words("Hello", "crash")))
    assert isinstance(tokenizer, BoxedTokenizer)
    for _ in range(box._CRASHES):
        with monkeypatch.context() as patch:
            patch.setattr(box.frames, "write", lambda *_: tokenizer._box._child.kill())  # type: ignore[union-attr]
            with pytest.raises(BadInput, match="failed"):
                tokenizer.prompt_ids([QUESTION])
        if _ < box._CRASHES - 1:
            assert tokenizer.prompt_ids([QUESTION])
    with pytest.raises(BadInput, match="failed"):
        tokenizer.prompt_ids([QUESTION])


def test_a_box_that_ended_between_two_requests_starts_again(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", words("Hello", "idle")))
    assert isinstance(tokenizer, BoxedTokenizer)
    for _ in range(box._CRASHES + 1):
        child = tokenizer._box._child
        assert child is not None
        child.kill()
        child.wait()
        assert tokenizer.prompt_ids([QUESTION])


def test_the_bundled_model_needs_no_box_but_any_change_of_its_files(
    bundled_model: Path, tmp_path: Path
) -> None:
    assert type(ChatTokenizer.load(bundled_model)) is ChatTokenizer
    texts = {
        name: (bundled_model / name).read_text("utf-8")
        for name in ("tokenizer.json", "chat_template.jinja")
    }
    assert (
        type(ChatTokenizer.of_template(texts["chat_template.jinja"], {}))
        is ChatTokenizer
    )
    for changed in texts:
        folder = tmp_path / changed
        folder.mkdir()
        (folder / "tokenizer_config.json").write_bytes(
            (bundled_model / "tokenizer_config.json").read_bytes()
        )
        for name, text in texts.items():
            (folder / name).write_text(text + " " * (name == changed), "utf-8")
        assert type(ChatTokenizer.load(folder)) is BoxedTokenizer


ROWS = [
    Row(1, 1, CHAT),
    Row(2, 2, text="A <|im_end|> tale. " * 30),
    Row(3, 3, [{"role": "nobody", "content": ""}]),
]


def uses(tokenizer: PlainTokenizer) -> list[Any]:
    """What every method of a tokenizer says."""
    limits = LengthLimits(20)
    say: list[Any] = [
        lambda: tokenizer.render(CHAT, None, True), lambda: tokenizer.encode(CHAT),
        lambda: tokenizer.prompt_ids(CHAT[:2]), lambda: tokenizer.opening(),
        lambda: tokenizer.decode(tokenizer.prompt_ids(CHAT[:2]), False),
        lambda: tokenizer.count(["Hello", "Äh"]), lambda: tokenizer.pieces(CHAT, None, 30),
        lambda: tokenizer.document_pieces(ROWS[1], limits),
        lambda: [str(row) if isinstance(row, ApprenticeError) else row for row in tokenizer.encode_rows(ROWS)],
        *(partial(getattr, tokenizer, name) for name in FACTS),
    ]  # fmt: skip

    def said(use: Any) -> Any:
        try:
            return use()
        except ApprenticeError as error:
            return type(error), str(error)

    return [said(use) for use in say]


@pytest.mark.parametrize("name", CATALOGUE[::4])
def test_a_box_says_what_the_same_files_say_here(
    name: str, bundled_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, tokenizer = tokenizer_for(name, bundled_model)
    folder = save(tmp_path / "model", tokenizer, here.chat_template)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": here.chat_template, **here.special_tokens}),
        "utf-8",
    )
    boxed = ChatTokenizer.load(folder)
    assert type(boxed) is type(here.boxed) is BoxedTokenizer
    assert uses(boxed) == uses(here)
    monkeypatch.setattr("backend.tokens.token_counts.MANY", 0)
    monkeypatch.setattr(here, "count_rows", None)
    assert TokenCounter(here).count(ROWS[:2]) == boxed.count_rows(ROWS[:2]), (
        "further rows of a long file"
    )


def test_a_long_file_is_counted_here_where_a_box_fails(
    bundled_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tokens.token_counts.MANY", 0)
    monkeypatch.setattr(
        BoxedTokenizer,
        "count_rows",
        lambda _, rows: [BadInput("Too much.", "", "") for _ in rows],
    )
    tokenizer = ChatTokenizer.load(bundled_model)
    assert TokenCounter(tokenizer).count(ROWS[:2]) == tokenizer.count_rows(ROWS[:2])


def test_models_with_the_same_files_share_a_box_and_an_unused_one_ends(
    tmp_path: Path,
) -> None:
    folder = save(tmp_path / "model", words("Hello"))
    one, other = ChatTokenizer.load(folder), ChatTokenizer.load(folder)
    assert isinstance(one, BoxedTokenizer)
    assert isinstance(other, BoxedTokenizer)
    assert one._box is other._box
    assert one._box._child is not None
    pid = one._box._child.pid
    del one, other
    for number in range(4):
        ChatTokenizer.load(save(tmp_path / str(number), words("Hello", str(number))))
    assert not psutil.pid_exists(pid)


def test_a_row_in_a_long_file_waits_for_one_batch_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tokens.tokenizer._ROWS", 256)
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", words("Hello")))
    rows = [Row(n, n, CHAT) for n in range(1000)]
    assert [
        row.tokens
        for row in tokenizer.encode_rows(rows)
        if not isinstance(row, ApprenticeError)
    ][999]
    assert isinstance(tokenizer, BoxedTokenizer)
    asked: list[str] = []
    ask = tokenizer._box.ask
    tokenizer._box.ask = lambda made, name, *a: (
        asked.append(name) or ask(made, name, *a)
    )  # type: ignore[method-assign,func-returns-value]
    tokenizer.encode_rows(rows)
    assert len(asked) == 4


@pytest.mark.skipif(os.name == "nt", reason="no limit on addresses there")
def test_lone_surrogates_are_an_error_of_their_row(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(save(tmp_path / "model", words("Hello")))
    sound, failed = tokenizer.encode_rows(
        [Row(1, 1, [QUESTION]), Row(2, 2, [{"role": "user", "content": "\ud83d"}])]
    )
    assert not isinstance(sound, ApprenticeError)
    assert isinstance(failed, ApprenticeError)
