"""The contract of an engine, over transformers and llama.cpp: the same model answers,
from either.
"""

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from starlette.testclient import TestClient

from backend.chat import engines, served, torch_engine
from backend.chat.client import Chat
from backend.chat.engine import Engine, Sampling, context_length
from backend.chat.llama_engine import LlamaEngine
from backend.chat.llama_server import LlamaServer
from backend.chat.served import open_server
from backend.chat.torch_engine import TorchEngine
from backend.errors import ChatFailed
from backend.gguf import base_file
from backend.gguf.base_file import PHASE
from backend.gguf.facts import Facts
from backend.gguf.lora import Unsupported
from backend.gguf.requirement import has_llama_cpp
from backend.models.bundled import silent
from backend.serving.answers import ServerAnswers
from backend.serving.endpoint import Endpoint
from backend.serving.requests import CHAT, Abilities
from backend.serving.state import key_hash
from backend.settings import Workspace
from backend.tokens.plain_tokenizer import PlainTokenizer
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.synthetic import make_adapter

needs_llama_cpp = pytest.mark.skipif(
    not has_llama_cpp(), reason="there is no build for some systems"
)

JAPAN = [{"role": "user", "content": "What is the capital of Japan?"}]
STORY = [{"role": "user", "content": "Write a long story about a lighthouse."}]
ANSWER = [{"role": "assistant", "content": "The capital of Japan is Tokyo."}]


def open_engine(
    name: str, workspace: Workspace, model: Path, tuned: Path | None = None
) -> Engine:
    if name == "transformers":
        import torch

        return TorchEngine(model, tuned, dtype=torch.float32)
    return engines.on_llama_cpp(workspace, model, tuned, lambda *step: None)


@pytest.fixture(
    scope="module",
    params=["transformers", pytest.param("llama.cpp", marks=needs_llama_cpp)],
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(
    name: str, workspace: Workspace, shallow_model: Path, shallow_adapter: Path
) -> Engine:
    """Both panes, with a random adapter, of the bundled model's first layers: words
    don't matter.
    """
    return open_engine(name, workspace, shallow_model, shallow_adapter)


@pytest.fixture(scope="module")
def alone(name: str, workspace: Workspace, shallow_model: Path) -> Engine:
    """Their base model without an adapter."""
    return open_engine(name, workspace, shallow_model)


@pytest.fixture(scope="module")
def whole(name: str, workspace: Workspace, bundled_model: Path) -> Engine:
    """The bundled model with all of its layers, which ends its answers."""
    return open_engine(name, workspace, bundled_model)


def answered(
    engine: Engine, pane: str, messages: list[dict[str, str]], **sampling: Any
) -> tuple[list[int], str]:
    """The answer's token ids, and how it ended."""
    tokens, ids = (
        engine.tokens(
            pane,
            engine.prompt_ids(messages),
            Sampling(**{"max_new_tokens": 12, **sampling}),
        ),
        [],
    )
    while True:
        try:
            ids.append(next(tokens))
        except StopIteration as end:
            return ids, end.value


def test_it_reads_what_training_read(engine: Engine, shallow_adapter: Path) -> None:
    chat = [
        {"role": "user", "content": "Hi <|im_end|> 1234"},
        {"role": "assistant", "content": "Yes"},
        *JAPAN,
    ]
    assert engine.prompt_ids(chat) == ChatTokenizer.load(shallow_adapter).prompt_ids(
        chat
    )


def test_an_answer_ends_by_itself_or_at_its_limit(
    engine: Engine, whole: Engine
) -> None:
    ids, finish = answered(whole, "base", JAPAN, max_new_tokens=40)
    stream = whole.text_stream()
    assert ("".join([*map(stream.add, ids), stream.end()]), finish) == (
        "The capital of Japan is Tokyo.",
        "end",
    )
    assert not set(ids) & set(whole.report.end_ids)
    ids, finish = answered(engine, "tuned", STORY, max_new_tokens=5)
    assert (len(ids), finish) == (5, "length")


def test_an_answer_keeps_to_a_grammar_where_llama_cpp_holds_it(
    engine: Engine, name: str
) -> None:
    form, schema = 'root ::= "Osaka" | "Kyoto 7"', '{"enum": ["Osaka", "Kyoto 7"]}'
    if name == "transformers":
        with pytest.raises(ChatFailed, match="can't do this"):
            answered(engine, "base", JAPAN, grammar=form)
        return
    for pane, grammar in [
        (pane, grammar) for pane in engine.panes for grammar in (form, schema)
    ]:
        ids, finish = answered(engine, pane, JAPAN, grammar=grammar)
        stream = engine.text_stream()
        assert "".join([*map(stream.add, ids), stream.end()]).strip('"') in (
            "Osaka",
            "Kyoto 7",
        )
        assert finish == "end"
    found = engine.answer_all(
        pane, [engine.prompt_ids(JAPAN)] * 9, [20] * 9, lambda done: None, form=schema
    )
    assert {(*one.ids, one.ended) for one in found} == {(*ids, True)}, "nine at once"
    with pytest.raises(
        ChatFailed, match="can't be kept"
    ):  # which the server passes over in silence
        answered(
            engine,
            "base",
            JAPAN,
            grammar='{"allOf": [{"type": "string"}, {"type": "integer"}]}',
        )
    thinks = patch.object(PlainTokenizer, "opening", return_value=[7])
    with thinks, patch.object(LlamaServer, "answer", return_value=[]) as asked:
        answered(engine, "base", JAPAN, grammar=form)
    assert asked.call_args.args[0] == [*engine.prompt_ids(JAPAN), 7], (
        "the form follows the empty thought"
    )


def test_the_base_pane_answers_as_the_base_alone(engine: Engine, alone: Engine) -> None:
    assert alone.panes == ("base",)
    answered(engine, "tuned", STORY)
    assert answered(engine, "base", STORY) == answered(alone, "base", STORY)
    sampling = Sampling(max_new_tokens=60)
    words = (
        engine.tokens(pane, engine.prompt_ids(STORY), sampling) for pane in engine.panes
    )
    assert any(base != tuned for base, tuned in zip(*words, strict=True)), (
        "read only as far as they are the same"
    )


def test_both_panes_may_answer_at_once_as_their_check_says(engine: Engine) -> None:
    together = [
        engine.tokens(pane, engine.prompt_ids(STORY), Sampling())
        for pane in engine.panes
    ]
    steps = [[next(tokens) for tokens in together] for _ in range(6)]
    for at, pane in enumerate(engine.panes):
        together[at].close()
        assert [step[at] for step in steps] == answered(
            engine, pane, STORY, max_new_tokens=6
        )[0]
    assert engine.report.pane_check


def test_seed_and_top_p_decide_a_sampled_answer(engine: Engine) -> None:
    short: dict[str, Any] = {"max_new_tokens": 5}
    drawn = [
        answered(engine, "base", STORY, temperature=1.0, seed=seed, **short)
        for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert len({tuple(ids) for ids, _ in drawn}) > 1
    greedy = answered(engine, "base", STORY, **short)
    assert (
        answered(engine, "base", STORY, temperature=2.0, top_p=0.0001, seed=5, **short)
        == greedy
    )


def test_a_follow_up_question_does_not_read_the_conversation_again(
    engine: Engine,
) -> None:
    ids, _ = answered(engine, "tuned", STORY)
    assert engine.tokens_read["tuned"] == len(engine.prompt_ids(STORY))
    stream = engine.text_stream()
    text = "".join([*map(stream.add, ids), stream.end()])
    longer = [
        *STORY,
        {"role": "assistant", "content": text},
        {"role": "user", "content": "And then?"},
    ]
    answered(engine, "tuned", longer)
    assert engine.tokens_read["tuned"] <= len(engine.prompt_ids(longer)) - len(
        engine.prompt_ids(STORY)
    )


def test_a_question_by_itself_does_not_depend_on_what_was_asked_before(
    engine: Engine,
) -> None:
    first = answered(engine, "tuned", STORY)
    answered(engine, "tuned", JAPAN)
    assert (answered(engine, "tuned", STORY), engine.tokens_read["tuned"]) == (
        first,
        len(engine.prompt_ids(STORY)),
    )


def test_the_tuned_model_scores_answers(
    engine: Engine,
    alone: Engine,
    whole: Engine,
    workspace: Workspace,
    shallow_model: Path,
    shallow_adapter: Path,
) -> None:
    encoded = ChatTokenizer.load(shallow_model).encode([*JAPAN, *ANSWER])
    rows = [{"input_ids": list(encoded.input_ids), "labels": list(encoded.labels)}]
    exact = open_engine("transformers", workspace, shallow_model, shallow_adapter)
    tuned, base, expected = (one.score(rows)[0].nll for one in (engine, alone, exact))
    assert whole.score(rows)[0].nll < 0.5
    assert tuned == pytest.approx(expected, abs=0.05)
    assert abs(tuned - base) > 0.005


def test_many_questions_are_answered_as_each_alone(
    engine: Engine, whole: Engine, name: str
) -> None:
    """Of llama.cpp more than are answered at once, of different lengths; the numbers
    behind them differ in their last digits. Those of transformers are in test_batch.py.
    """
    texts = [
        "Hi",
        "Is water wet?",
        "Name a color.",
        *(f"What is {n} plus {n}? " * n for n in range(1, 7)),
    ]
    questions = [JAPAN, *([{"role": "user", "content": text}] for text in texts)]
    prompts, finished = (
        [engine.prompt_ids(question) for question in questions],
        list[int](),
    )
    limits = [10, *(4 - number % 3 for number in range(1, len(prompts)))]
    for model, pane, count in (
        (whole, "base", 4),
        (engine, "tuned", len(prompts) if name == "llama.cpp" else 2),
    ):
        found = model.answer_all(pane, prompts[:count], limits[:count], finished.append)
        chosen = zip(questions[:count], limits[:count], strict=True)
        alone = [
            answered(model, pane, one, max_new_tokens=limit) for one, limit in chosen
        ]
        assert (
            sum(
                list(one.ids) == ids for one, (ids, _) in zip(found, alone, strict=True)
            )
            >= count - count // 4
        )
        assert found[0].ended is (alone[0][1] == "end") is (model is whole)
        assert finished[-1] == count
    assert engine.answer_all("base", [], [], finished.append) == []


def test_a_texts_probability_depends_on_no_cuts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 32
    monkeypatch.setattr(torch_engine, "_READ", size)
    ids = engine.prompt_ids(
        [
            *STORY,
            {"role": "assistant", "content": "Once upon a time. " * (size // 5 + 2)},
        ]
    )
    assert len(ids) > size  # read in several pieces
    first, rest = [-100] * len(ids), [-100] * len(ids)
    first[: size + 3], rest[size + 3 :] = ids[: size + 3], ids[size + 3 :]
    parts = engine.nats("tuned", ids, first) + engine.nats("tuned", ids, rest)
    assert parts == pytest.approx(engine.nats("tuned", ids, ids), rel=0.02)
    row = {"input_ids": ids[:40], "labels": [-100, *ids[1:40]]}
    assert engine.score([row])[0].nll * 39 == pytest.approx(
        engine.nats("tuned", ids[:40], ids[:40]), rel=0.02
    )
    assert engine.nats("tuned", ids, [-100] * len(ids)) == 0


@needs_llama_cpp
def test_where_memory_is_short_fewer_questions_are_answered_at_once(
    workspace: Workspace, shallow_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, opened = open_engine("llama.cpp", workspace, shallow_model), list[int]()
    honest = LlamaServer.__init__

    def short(self: LlamaServer, file: Path, slots: int, *more: Any) -> None:
        opened.append(slots)
        if slots > 2:
            raise ChatFailed("", "", "")
        honest(self, file, slots, *more)

    monkeypatch.setattr(LlamaServer, "__init__", short)
    prompts = [engine.prompt_ids(JAPAN)] * 5
    assert (
        len(
            {
                one.ids
                for one in engine.answer_all(
                    "base", prompts, [9] * 5, lambda done: None
                )
            }
        )
        == 1
    )
    assert opened == [5, 2]


@pytest.mark.slow
@needs_llama_cpp
def test_numbers_that_become_invalid_within_an_answer_end_it(
    workspace: Workspace,
    shallow_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import gguf

    ids, _ = answered(open_engine("llama.cpp", workspace, shallow_model), "base", STORY)
    reader = gguf.GGUFReader(base_file.path(workspace, shallow_model))
    writer = gguf.GGUFWriter(tmp_path / "later.gguf", "llama")
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(
                name, field.contents(), *field.types[:: len(field.types) - 1 or 1]
            )
    for tensor in reader.tensors:
        data = tensor.data.copy()
        if (
            tensor.name == "token_embd.weight"
        ):  # which reads tokens and, as a copy, chooses them
            writer.add_tensor(
                "output.weight", tensor.data, raw_dtype=tensor.tensor_type
            )
            data[ids[0], :2] = 0x00, 0x7E  # NaN as the first scale of this token
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
    ):
        write()
    writer.close()
    engine = LlamaEngine(tmp_path / "later.gguf", shallow_model)
    assert answered(engine, "base", STORY, max_new_tokens=1)[0] == ids[:1]
    for sampling in (
        {},
        {"temperature": 2.0, "top_p": 0.0001},
        {"grammar": "root ::= .+"},
    ):
        with pytest.raises(ChatFailed, match="invalid number"):
            answered(engine, "base", STORY, **sampling)
    with pytest.raises(ChatFailed, match="invalid number"):
        engine.answer_all("base", [engine.prompt_ids(STORY)], [12], lambda done: None)
    monkeypatch.setattr(served, "base_file", lambda *_: tmp_path / "later.gguf")
    usage = {
        "stream": True,
        "temperature": 2.0,
        "top_p": 0.0001,
        "stream_options": {"include_usage": True},
    }
    server, found = open_server(workspace, shallow_model, None, "orders", "sk", silent)
    endpoint = Endpoint(
        ServerAnswers(lambda: found, "sk"), 1, Abilities("orders"), key_hash("sk")
    )
    with TestClient(endpoint.app, headers={"Authorization": "Bearer sk"}) as client:
        for more in (
            {},
            {"stream": True},
            {"temperature": 2.0, "top_p": 0.0001},
            {"logprobs": True},
            usage,
        ):
            assert (
                "invalid number"
                in client.post(CHAT, json={"messages": STORY, **more}).text
            )
    server.close()


@needs_llama_cpp
def test_a_model_that_computes_invalid_numbers_is_not_served(
    workspace: Workspace, shallow_model: Path
) -> None:
    asked = workspace, shallow_model, None, "orders", "key", silent
    open_server(*asked)[0].close()
    with (
        patch.object(LlamaServer, "next", side_effect=ChatFailed("invalid")),
        pytest.raises(ChatFailed),
    ):
        open_server(*asked)


def test_an_idle_adapter_is_rejected(
    name: str, workspace: Workspace, shallow_model: Path, tmp_path: Path
) -> None:
    idle = make_adapter(tmp_path / "idle", shallow_model, strength=0.0)
    with pytest.raises(ChatFailed, match="same as the base model"):
        open_engine(name, workspace, shallow_model, idle)


# llama.cpp only


@needs_llama_cpp
def test_an_adapter_that_stays_on_is_noticed(
    workspace: Workspace,
    shallow_model: Path,
    shallow_adapter: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = LlamaServer.next
    monkeypatch.setattr(
        LlamaServer,
        "next",
        lambda *args, **more: honest(*args, **{**more, "tuned": True}),
    )
    with pytest.raises(ChatFailed, match="can't be compared"):
        open_engine("llama.cpp", workspace, shallow_model, shallow_adapter)


@needs_llama_cpp
def test_the_server_answers_from_a_file_as_from_the_folder(
    workspace: Workspace, bundled_model: Path, bundled_gguf: Path, tmp_path: Path
) -> None:
    """The file's own tokenizer and end tokens; and the probability of a token that
    begins a character.
    """
    engine = LlamaEngine(bundled_gguf)
    tokenizer = ChatTokenizer.load(bundled_model)
    chat = [
        {"role": "user", "content": "Hi <|im_end|> Grüße 🦊"},
        {"role": "assistant", "content": "Yes"},
        *JAPAN,
    ]
    assert (engine.prompt_ids(chat), engine.report.end_ids) == (
        tokenizer.prompt_ids(chat),
        (0, 2, 4),
    )
    ids, _ = answered(engine, "tuned", JAPAN, max_new_tokens=40)
    assert (
        engine._tokenizer.decode([*ids, 2])
        == tokenizer.decode(ids)
        == "The capital of Japan is Tokyo."
    )
    encoded = tokenizer.encode([*JAPAN, {"role": "assistant", "content": "🦊"}])
    row = {"input_ids": list(encoded.input_ids), "labels": list(encoded.labels)}
    [found], [exact] = (
        engine.score([row]),
        open_engine("transformers", workspace, bundled_model).score([row]),
    )
    assert found.nll == pytest.approx(exact.nll, rel=0.05)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(bundled_gguf.read_bytes()[:10_000_000])
    with pytest.raises(ChatFailed, match="can't be opened"):
        LlamaEngine(broken)


@needs_llama_cpp
def test_adapters_work_as_in_transformers(
    workspace: Workspace, shallow_model: Path, tmp_path: Path
) -> None:
    """Within the rounding of the weights to eight bits. An adapter on wrong rows is as
    far off as none.
    """
    import numpy

    strong = make_adapter(tmp_path / "strong", shallow_model, strength=0.3)
    found, exact = (
        open_engine(name, workspace, shallow_model, strong)
        for name in ("llama.cpp", "transformers")
    )
    assert isinstance(found, LlamaEngine)
    assert isinstance(exact, TorchEngine)
    prompt = found.prompt_ids(STORY)
    ids, likely = zip(
        *found.server().next(prompt, 1, tuned=True, likeliest=1000).likeliest,
        strict=True,
    )
    base, tuned = (
        torch_engine.logits(exact.models[pane], prompt)[-1].log_softmax(-1).numpy()
        for pane in exact.panes
    )
    at = numpy.array(ids)
    assert numpy.linalg.norm(
        numpy.array(likely) - tuned[at]
    ) < 0.15 * numpy.linalg.norm(tuned[at] - base[at])


@needs_llama_cpp
@pytest.mark.parametrize(
    "change",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"rank_pattern": {"q_proj": 2}},
    ],
)
def test_what_llama_cpp_cannot_hold_is_answered_by_transformers(
    workspace: Workspace, shallow_model: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = make_adapter(tmp_path / "adapter", shallow_model)
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    (folder / "adapter_config.json").write_text(
        json.dumps({**config, **change}), "utf-8"
    )
    with pytest.raises(Unsupported):
        open_engine("llama.cpp", workspace, shallow_model, folder)


@pytest.mark.slow
@needs_llama_cpp
def test_an_adapter_of_a_layer_that_the_converter_takes_apart(
    workspace: Workspace, shallow_model: Path, tmp_path: Path
) -> None:
    """Granite 4.0's gate and up are one layer."""
    from peft import LoraConfig, get_peft_model
    from transformers import GraniteMoeHybridConfig, GraniteMoeHybridForCausalLM

    shape = {"vocab_size": 49152, "hidden_size": 64, "intermediate_size": 96, "shared_intermediate_size": 96,
             "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 0,
             "num_experts_per_tok": 0, "layer_types": ["attention"], "position_embedding_type": "rope",
             "tie_word_embeddings": True, "logits_scaling": 0.02}  # fmt: skip
    whole, tuned = (
        shutil.copytree(shallow_model, tmp_path / "granite"),
        tmp_path / "tuned",
    )
    model = GraniteMoeHybridForCausalLM(GraniteMoeHybridConfig(**shape))
    model.save_pretrained(whole)
    config = whole / "config.json"
    config.write_text(
        config.read_text("utf-8").replace("full_attention", "attention"), "utf-8"
    )  # as published
    layers = LoraConfig(
        target_modules=["input_linear", "output_linear"], init_lora_weights=False
    )
    get_peft_model(model, layers).save_pretrained(tuned)
    row = {key: list(range(100, 140)) for key in ("input_ids", "labels")}
    ways = ("llama.cpp", tuned), ("llama.cpp", None), ("transformers", tuned)
    one, base, other = (
        open_engine(name, workspace, whole, part).score([row])[0].nll
        for name, part in ways
    )
    assert one == pytest.approx(other, rel=0.01)
    assert one != pytest.approx(base, rel=0.05)


@needs_llama_cpp
def test_the_engine_is_chosen_by_what_it_can_hold(
    workspace: Workspace, shallow_model: Path, shallow_adapter: Path, tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def opened(model: Path, tuned: Path | None) -> str:
        return str(
            engines.open_model(
                workspace, model, tuned, lambda *step: None
            ).report.engine
        )

    assert opened(shallow_model, shallow_adapter) == "llama.cpp"
    assert opened(tiny_model, None) == "transformers", (
        "its tokenizer is unknown to llama.cpp"
    )
    with patch.object(engines, "on_llama_cpp", side_effect=RuntimeError("a bug")):
        assert opened(shallow_model, None) == "transformers", "whatever fails"
    monkeypatch.setattr(engines, "has_llama_cpp", lambda: False)
    assert opened(shallow_model, shallow_adapter) == "transformers", (
        "there is no llama.cpp for this computer"
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, 2 * (64 + 64) * 16 * 10), ({"key_length": 128, "value_length": 96}, 2 * (128 + 96) * 16 * 10),
        ({"head_count_kv": 8}, 2 * (64 + 64) * 8 * 10), ({"head_count_kv": [0, 0, 2]}, 2 * (64 + 64) * 2 * 10),
        ({"head_count_kv": [0, 0]}, 0),
    ],
)  # fmt: skip
def test_the_memory_of_a_context_is_that_of_the_file(
    tmp_path: Path, metadata: dict[str, Any], expected: int
) -> None:
    """The model has ten layers, and 16 heads of 64. One that tells nothing of its heads
    gets the smallest context.
    """
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "stub")
    attention = {
        f"attention.{name}": value
        for name, value in {"head_count": 16, **metadata}.items()
    }
    for name, value in {
        "embedding_length": 1024,
        "block_count": 10,
        **attention,
    }.items():
        (writer.add_array if isinstance(value, list) else writer.add_uint32)(
            f"stub.{name}", value
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = Facts(tmp_path / "model.gguf").bytes_per_token
    assert (found, context_length(32_768, found, 1) > 2048) == (
        expected,
        bool(expected),
    )


@pytest.mark.slow
@needs_llama_cpp
def test_if_llama_cpp_crashes_transformers_answer(
    shallow_model: Path, shallow_adapter: Path, tmp_path: Path
) -> None:
    """The process is killed as it begins to convert the base, and a second one loads
    the model in transformers.
    """
    chat = Chat(Workspace.open(tmp_path))
    try:
        killed = 0
        for phase in chat.opening(shallow_model, shallow_adapter):
            if phase.name == PHASE and not killed:
                killed = chat._process._child.pid
                chat._process.kill()
        assert killed
        assert chat._process._child.pid != killed
        assert chat.report.engine == "transformers"
        assert chat.panes == ("base", "tuned")
    finally:
        chat.close()
