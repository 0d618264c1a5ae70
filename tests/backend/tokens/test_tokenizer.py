"""The learned tokens, for the chat templates of many families, compared with
independent implementations.

The templates are those of tests/backend/families.py. The trl package has `_training`
twins of some of them with generation marks, from which transformers computes a mask
that owes nothing to our code.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from backend.errors import BadInput, MissingPart
from backend.models import catalogue
from backend.records.encoded import IGNORED, Encoded, label_tokens
from backend.records.rows import Row
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.families import (
    BEFORE,
    BUNDLED,
    CATALOGUE,
    OF_FAMILY,
    OWN,
    TEMPLATES,
    tokenizer_for,
)

REWRITES_HISTORY = ["qwen3", "qwen3_5_think", "qwen3_5_nothink", "qwen3_6", "olmo3_1"]
FAMILIES = sorted({*CATALOGUE, *OWN} - {*REWRITES_HISTORY})
WITH_TWIN = [
    name for name in FAMILIES if (TEMPLATES / f"{name}_training.jinja").exists()
]

CHAT = [
    {"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "Hello, you."},
    {"role": "user", "content": "Again?"}, {"role": "assistant", "content": "Sure, again."},
]  # fmt: skip

TEXT = st.text(
    st.one_of(
        st.sampled_from(list("abc é你🎉 .,\n\t<|>_")),
        st.characters(
            max_codepoint=0x2FFF, exclude_categories=["Cs", "Co", "Cc", "Cn"]
        ),
    ),
    min_size=1,
    max_size=40,
).map(
    lambda text: f"q{text}w"
)  # templates strip the ends of a content, each in its own way
CONVERSATIONS = st.lists(TEXT, min_size=2, max_size=6).map(
    lambda texts: [
        {"role": ("user", "assistant")[i % 2], "content": text}
        for i, text in enumerate(texts[: len(texts) // 2 * 2])
    ]
)
THOROUGH = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def by_spans(tokenizer: ChatTokenizer, messages: list[dict[str, Any]]) -> Encoded:
    """The row without the short cut for many rows."""
    rendered = tokenizer._render_chat(messages, None)
    return label_tokens(*tokenizer._encoder.encode(rendered), rendered)


def learned_texts(
    tokenizer: ChatTokenizer, messages: list[dict[str, Any]]
) -> list[str]:
    return [
        piece.text for piece in tokenizer.pieces(messages) if piece.kind == "learned"
    ]


def test_an_answer_of_weight_0_is_read_and_not_learned(bundled_model: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    second = learned_texts(tokenizer, CHAT)[1]
    read_only = [CHAT[0], {**CHAT[1], "weight": 0}, *CHAT[2:]]
    assert learned_texts(tokenizer, read_only) == [second]
    pieces = tokenizer.pieces(read_only)
    assert any(piece.kind == "read" and "Hello, you." in piece.text for piece in pieces)
    assert "".join(piece.text for piece in pieces) == "".join(
        piece.text for piece in tokenizer.pieces(CHAT)
    )
    assert tokenizer.encode(read_only).skipped_turns == 0


def masked_texts(
    tokenizer: ChatTokenizer, ids: list[int], mask: list[int]
) -> list[str]:
    """The text of each unbroken stretch of ids whose mask is 1."""
    found: list[list[int]] = []
    for previous, (token, learned) in zip(
        [0, *mask], zip(ids, mask, strict=True), strict=False
    ):
        if learned:
            found += [] if previous else [[]]
            found[-1].append(token)
    return [tokenizer.decode(run, skip_special_tokens=False) for run in found]


@pytest.mark.parametrize("name", FAMILIES)
@THOROUGH
@given(messages=CONVERSATIONS)
def test_only_answers_and_their_ends_train(
    name: str, bundled_model: Path, messages: list[dict[str, Any]]
) -> None:
    tokenizer, _ = tokenizer_for(name, bundled_model)
    encoded = tokenizer.encode(messages)
    answers = [
        BEFORE.get(name, "") + m["content"]
        for m in messages
        if m["role"] == "assistant"
    ]
    mask = [int(label != IGNORED) for label in encoded.labels]
    assert masked_texts(tokenizer, encoded.input_ids, mask) == [
        answer + tokenizer.end_of_turn for answer in answers
    ]


@pytest.mark.parametrize("name", [*FAMILIES, *REWRITES_HISTORY])
@settings(THOROUGH, max_examples=3)
@given(messages=CONVERSATIONS)
def test_rows_together_are_labelled_as_alone(
    name: str, bundled_model: Path, messages: list[dict[str, Any]]
) -> None:
    tokenizer, _ = tokenizer_for(name, bundled_model)
    rows = [
        Row(1, 1, messages),
        Row(2, 2, [{"role": "user", "content": "\n"}, *messages[1:]]),
    ]
    assert tokenizer.encode_rows(rows) == [
        by_spans(tokenizer, row.messages) for row in rows
    ]


def test_every_family_of_the_catalogue_is_covered() -> None:
    assert {entry.family for entry in catalogue.entries() if entry.chat_template} == {
        *OF_FAMILY,
        BUNDLED,
    }


@cache  # making it takes longer than an example
def twin(name: str, model: Path) -> Any:
    """The tokenizer of transformers, with a template that marks the answers."""
    from transformers import PreTrainedTokenizerFast

    tokenizer, plain = tokenizer_for(name, model)
    theirs = PreTrainedTokenizerFast(tokenizer_object=plain, **tokenizer.special_tokens)
    theirs.chat_template = (TEMPLATES / f"{name}_training.jinja").read_text("utf-8")
    return theirs


@pytest.mark.parametrize("name", WITH_TWIN)
@THOROUGH
@given(messages=CONVERSATIONS)
def test_the_mask_is_that_of_transformers(
    name: str, bundled_model: Path, messages: list[dict[str, Any]]
) -> None:
    tokenizer, _ = tokenizer_for(name, bundled_model)
    output = twin(name, bundled_model).apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = output["input_ids"], output["assistant_masks"]
    encoded = tokenizer.encode(messages)
    assert tokenizer.decode(encoded.input_ids, False) == tokenizer.decode(ids, False)
    # Their marks also cover the text after a turn: line ends, a closing end-of-text
    # token.
    theirs_texts = [
        text.removesuffix("<|endoftext|>").rstrip("\n")
        for text in masked_texts(tokenizer, ids, mask)
    ]
    ours_texts = masked_texts(
        tokenizer,
        encoded.input_ids,
        [int(label != IGNORED) for label in encoded.labels],
    )
    assert ours_texts == [text.lstrip("\n") for text in theirs_texts]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prompt_in_chat_is_the_start_of_the_training_row(
    name: str, bundled_model: Path
) -> None:
    tokenizer, _ = tokenizer_for(name, bundled_model)
    for turn in (1, 3):
        prompt = tokenizer.prompt_ids(CHAT[:turn])
        encoded = tokenizer.encode(CHAT)
        assert [*encoded.input_ids][: len(prompt)] == prompt
        assert encoded.labels[len(prompt) - 1] == IGNORED
        assert encoded.labels[len(prompt)] != IGNORED


@pytest.mark.parametrize("name", REWRITES_HISTORY)
def test_a_turn_that_the_template_rewrites_is_counted_but_not_learned(
    name: str, bundled_model: Path
) -> None:
    tokenizer, _ = tokenizer_for(name, bundled_model)
    assert tokenizer.encode(CHAT).skipped_turns == 1
    last = f"Sure, again.{tokenizer.end_of_turn}"
    assert [text.endswith(last) for text in learned_texts(tokenizer, CHAT)] == [True]
    assert tokenizer.encode(CHAT[:2]).skipped_turns == 0


def test_nothing_is_learned_when_the_prompt_opens_a_thought_that_the_answer_lacks(
    bundled_model: Path,
) -> None:
    """Why the catalogue has no DeepSeek-R1-Distill: its prompt opens a thought, and the
    answers contain none.
    """
    tokenizer, _ = tokenizer_for("deepseek_r1_distill", bundled_model)
    for answer in ("Hello, you.", "<think>\nA greeting.\n</think>\n\nHello, you."):
        encoded = tokenizer.encode([CHAT[0], {"role": "assistant", "content": answer}])
        assert (encoded.learned, encoded.skipped_turns) == (0, 1)


@pytest.mark.parametrize("place", ["user", "assistant"])
@pytest.mark.parametrize("marker", ["<|im_end|>", "<|im_start|>", "<|endoftext|>"])
def test_a_marker_in_a_message_never_becomes_a_control_token(
    marker: str, place: str, bundled_model: Path
) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    clean = [
        {"role": "user", "content": "Say X now"},
        {"role": "assistant", "content": "Here X goes"},
    ]
    dirty = [
        {**m, "content": m["content"].replace("X", marker)} if m["role"] == place else m
        for m in clean
    ]
    ids = tokenizer.encode(dirty).input_ids
    marker_ids = (
        Tokenizer.from_file(str(bundled_model / "tokenizer.json")).encode(marker).ids
    )
    assert len(marker_ids) == 1
    assert ids.count(marker_ids[0]) == tokenizer.encode(clean).input_ids.count(
        marker_ids[0]
    )
    assert marker in tokenizer.decode(ids, skip_special_tokens=False)
    assert len(learned_texts(tokenizer, dirty)) == 1


def test_answers_are_encoded_whole_and_alike_in_a_batch(bundled_model: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "\n\nyes"},
    ]
    prompt = tokenizer.prompt_ids(messages[:1])
    encoded = tokenizer.encode(messages)
    assert [*encoded.input_ids][: len(prompt)] == prompt
    assert tokenizer.decode(encoded.input_ids[len(prompt) :]).startswith("\n\nyes")
    tokenizer = ChatTokenizer.load(bundled_model)
    chats = [
        CHAT,
        CHAT[:2],
        [{"role": "user", "content": "<|im_end|>"}, CHAT[1]],
        [{"role": "robot"}],
    ]
    rows = [Row(line=i, row=i, messages=chat) for i, chat in enumerate(chats, 1)]
    together = tokenizer.encode_rows(rows)
    assert together[:3] == [by_spans(tokenizer, chat) for chat in chats[:3]]
    assert isinstance(together[3], BadInput)


def test_text_and_ids_are_those_of_transformers(bundled_model: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(bundled_model)
    ours = ChatTokenizer.load(bundled_model)
    chat = [{"role": "system", "content": "Kurz é 🎉"}, *CHAT]
    for messages in (CHAT, chat):
        assert ours.render(messages) == theirs.apply_chat_template(
            messages, tokenize=False
        )
        assert (
            ours.encode(messages).input_ids.tolist()
            == theirs.apply_chat_template(messages)["input_ids"]
        )


def test_templates_are_safe_and_tool_calls_no_empty_answers(
    bundled_model: Path,
) -> None:
    loaded = ChatTokenizer.load(bundled_model)
    attack = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    tokenizer = ChatTokenizer(loaded._tokenizer, attack, loaded.special_tokens)
    with pytest.raises(BadInput):
        tokenizer.render(CHAT)
    assert tokenizer.opening_text == "", "answers are shown with any template"
    with pytest.raises(BadInput, match="no chat template"):
        ChatTokenizer(loaded._tokenizer, "", {}).render(CHAT)
    call = {"type": "function", "function": {"name": "lookup", "arguments": {"id": 7}}}
    messages = [CHAT[0], {"role": "assistant", "content": "", "tool_calls": [call]}]
    with pytest.raises(BadInput, match="tool calls"):
        loaded.encode(messages)
    writes = loaded.chat_template.replace(
        "message['content']", "(message['tool_calls'] or message['content'])|string"
    )
    assert (
        ChatTokenizer(loaded._tokenizer, writes, loaded.special_tokens)
        .encode(messages)
        .learned
        > 2
    )


def test_a_folder_without_a_tokenizer_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="could not be read"):
        ChatTokenizer.load(tmp_path)
