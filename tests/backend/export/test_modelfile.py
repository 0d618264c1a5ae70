"""The Modelfile follows Ollama's grammar, and its template gives the text that the
model was trained on.
"""

from importlib.resources import files
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from backend.export.checks import FIXED, PLAIN
from backend.export.ollama import derive, modelfile
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.export import ollama

ODD = "Be \"warm\" and brief.\n# no comment\nSign as `Rosie` 🥐 {x} \\ ''' PARAMETER stop end\""
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IN_FIRST_TURN = (  # as Gemma and Mixtral put a system message
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{% else %}<start>"
    "{{ 'model' if m['role'] == 'assistant' else 'user' }}\n"
    "{% if loop.index0 == 1 and messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}\n\n{% endif %}"
    "{{ m['content'] }}<end>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<start>model\n{% endif %}"
)
IN_LAST_TURN = IN_FIRST_TURN.replace(
    "loop.index0 == 1", "loop.last"
)  # as older Mistrals do
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    + CHATML
)
TRIMS = CHATML.replace("m['content']", "m['content'] | upper")


def tokenizer(template: str) -> ChatTokenizer:
    return ChatTokenizer(
        Tokenizer(models.BPE()), template, {"bos_token": "<bos>", "eos_token": "<eos>"}
    )


@pytest.mark.parametrize("adds_bos", [False, True])
@pytest.mark.parametrize("template", [CHATML, IN_FIRST_TURN, NO_SYSTEM])
def test_ollama_renders_what_was_trained_on(template: str, adds_bos: bool) -> None:
    ours = tokenizer(template)
    found = derive(ours, PLAIN, adds_bos)
    assert found is not None
    for chat in PLAIN:
        if template == NO_SYSTEM and chat[0]["role"] == "system":
            continue
        expected = ours.render(chat, add_generation_prompt=True)
        assert ollama.render(
            found.go(), list(map(dict, chat))
        ) == expected.removeprefix("<bos>" if adds_bos else "")


def test_a_system_message_in_mid_conversation_is_put_at_the_start() -> None:
    """As the Modelfile says; nothing else changes."""
    found = derive(tokenizer(CHATML), PLAIN, False)
    assert found is not None
    [mid] = [
        one.messages
        for one in FIXED
        if "system" in [m["role"] for m in one.messages[1:]]
    ]
    moved = sorted(mid, key=lambda message: message["role"] != "system")
    rendered = ollama.render(found.go(), list(map(dict, mid)))
    assert rendered == tokenizer(CHATML).render(moved, add_generation_prompt=True)
    assert "put at the start" in modelfile("a.gguf", found.go(), [], "", 0)


def test_a_template_that_changes_messages_has_no_form_for_ollama() -> None:
    assert derive(tokenizer(TRIMS), PLAIN, False) is None
    assert derive(tokenizer(IN_LAST_TURN), PLAIN, False) is None
    assert derive(tokenizer(""), PLAIN, False) is None


@pytest.mark.parametrize(
    "name",
    ["llama3", "qwen2_5", "qwen3", "qwen3_instruct_2507", "gemma", "phi3", "phi3_5"],
)
def test_real_templates(name: str) -> None:
    """Derived or declined, never wrong: `derive` compares before it answers, and this
    compares with Go's rules.
    """
    folder = files("trl") / "chat_templates"
    source = folder / f"{name}.jinja"
    ours = tokenizer(source.read_text("utf-8"))
    found = derive(ours, PLAIN[:1] + PLAIN[2:], False)
    assert found is not None, "llama, qwen, gemma and phi can all be expressed"
    for chat in (PLAIN[0], PLAIN[2]):
        assert ollama.render(found.go(), list(map(dict, chat))) == ours.render(
            chat, add_generation_prompt=True
        )


def test_the_bundled_model_has_a_template_for_ollama(bundled_model: Path) -> None:
    ours = ChatTokenizer.load(bundled_model)
    found = derive(ours, PLAIN, False)
    assert found is not None
    for chat in PLAIN:
        assert ollama.render(found.go(), list(map(dict, chat))) == ours.render(
            chat, add_generation_prompt=True
        )


def test_the_modelfile_follows_the_grammar() -> None:
    template = "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    text = modelfile("bakery-Q8_0.gguf", template, ["<|im_end|>", "</s>"], ODD, 131_072)
    found = ollama.parse(text)
    assert ("FROM", "./bakery-Q8_0.gguf") in found
    assert (dict(found)["TEMPLATE"], dict(found)["SYSTEM"].rstrip()) == (template, ODD)
    parameters = [value for name, value in found if name == "PARAMETER"]
    assert {
        'stop "<|im_end|>"',
        'stop "</s>"',
        "num_ctx 8192",
        "temperature 0",
        "repeat_penalty 1",
    } == set(parameters)


@pytest.mark.parametrize(
    "instruction", ['end """ FROM evil', '"""', 'a"""\nFROM evil\n"""', '""" """']
)
def test_an_instruction_stays_one_text(instruction: str) -> None:
    found = ollama.parse(modelfile("a.gguf", "", [], instruction, 0))
    assert [name for name, _ in found].count("FROM") == 1
    assert dict(found)["SYSTEM"].strip() == instruction.replace('"""', "'''")
