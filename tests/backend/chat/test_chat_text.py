"""Streaming text, sampling the next token, and the check that the base model is
unchanged.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat import torch_engine
from backend.chat.engine import NEAR_TIE, Sampling, TextStream, score_row
from backend.chat.torch_engine import TorchEngine
from backend.errors import BadInput, ChatFailed, MissingPart
from backend.models import model_folder
from backend.records.chat import AnswerScore
from backend.tokens.tokenizer import ChatTokenizer
from tests.backend.synthetic import make_adapter


@pytest.fixture(scope="session")
def tokenizer(bundled_model: Path) -> ChatTokenizer:
    return ChatTokenizer.load(bundled_model)


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        st.one_of(
            st.characters(codec="utf-8", exclude_characters="\ufffd"),
            st.sampled_from("🦙日é ab\n"),
        )
    )
)
def test_streamed_text_is_complete_and_in_complete_characters(
    tokenizer: ChatTokenizer, text: str
) -> None:
    thought = "<think>\n\n</think>\n\n"  # which a template may write before each answer
    ids = tokenizer._tokenizer.encode(thought + text, add_special_tokens=False).ids
    stream = TextStream(tokenizer.decode, thought)
    parts = [stream.add(token) for token in ids] + [stream.end()]
    assert "".join(parts) == tokenizer.decode(ids).removeprefix(thought)
    assert "\ufffd" in tokenizer.decode(ids) or not any(
        "\ufffd" in part for part in parts
    )


def test_an_incomplete_character_at_the_end_is_marked(tokenizer: ChatTokenizer) -> None:
    ids = tokenizer._tokenizer.encode("ok 🦙", add_special_tokens=False).ids[:-1]
    stream = TextStream(tokenizer.decode)
    assert "".join(stream.add(token) for token in ids).strip() == "ok"
    assert "\ufffd" in stream.end()


def test_only_the_likeliest_tokens_within_top_p_are_sampled() -> None:
    import torch

    last = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    generator = torch.Generator().manual_seed(0)

    def drawn(top_p: float, temperature: float = 1.0) -> set[int]:
        sampling = Sampling(temperature=temperature, top_p=top_p)
        return {torch_engine._pick(last, sampling, generator) for _ in range(300)}

    assert (drawn(0.4), drawn(0.7), drawn(1.0), drawn(1.0, temperature=0.0)) == (
        {0},
        {0, 1},
        {0, 1, 2, 3},
        {0},
    )


def test_invalid_numbers_and_the_context_end_an_answer() -> None:
    import torch

    with pytest.raises(ChatFailed, match="invalid number"):
        torch_engine._pick(
            torch.tensor([0.0, float("nan")]), Sampling(), torch.Generator()
        )
    assert Sampling(max_new_tokens=100).within(30, 50).max_new_tokens == 20
    assert Sampling(max_new_tokens=10).within(30, 50).max_new_tokens == 10
    with pytest.raises(BadInput, match="50"):
        Sampling().within(50, 50)


def test_the_twin_shares_every_weight(tiny_model: Path) -> None:
    import torch

    model = model_folder.load(tiny_model, torch.float32)
    twin = torch_engine._twin(model)
    assert twin is not model
    assert {p.data_ptr() for p in twin.parameters()} == {
        p.data_ptr() for p in model.parameters()
    }


def test_a_changed_base_model_is_rejected(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    adapter = make_adapter(tmp_path / "adapter", tiny_model)
    honest = model_folder.attach_adapter

    def attach_and_touch(model: object, folder: Path) -> object:
        tuned = honest(model, folder)
        with torch.no_grad():
            next(tuned.parameters()).add_(0.01)
        return tuned

    assert TorchEngine(tiny_model, adapter).panes == ("base", "tuned")
    monkeypatch.setattr(model_folder, "attach_adapter", attach_and_touch)
    with pytest.raises(ChatFailed, match="can't be compared"):
        TorchEngine(tiny_model, adapter)


def test_a_pickle_is_never_opened(tiny_model: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    adapter = make_adapter(tmp_path / "adapter", tiny_model)
    (adapter / "adapter_model.safetensors").unlink()
    payload = f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()
    (adapter / "adapter_model.bin").write_bytes(payload)
    with pytest.raises(MissingPart, match="result of this run is missing"):
        TorchEngine(tiny_model, adapter)
    assert not canary.exists()


def test_a_fully_trained_model_can_be_compared_with_its_base(
    tiny_model: Path, tmp_path: Path
) -> None:
    import torch

    model = model_folder.load(tiny_model, torch.float32)
    with torch.no_grad():
        model.model.norm.weight.mul_(1.5)
    model.save_pretrained(tmp_path / "model")
    assert TorchEngine(tiny_model, tmp_path / "model").panes == ("base", "tuned")
    with pytest.raises(ChatFailed, match="same as the base"):
        TorchEngine(tiny_model, tiny_model)


def test_scores_of_known_answers_match_torch(tiny_model: Path) -> None:
    import torch

    model = model_folder.load(tiny_model, torch.float32)
    ids, labels = [1, 5, 9, 2, 7, 3], [-100, -100, 9, 2, -100, 3]
    logits = torch_engine.logits(model, ids)
    rated = score_row(logits.numpy(), labels)
    wanted = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(labels[1:]))
    assert rated.nll == pytest.approx(float(wanted), rel=1e-5)
    assert list(rated.top) == [int(logits[i].argmax()) for i in (1, 2, 4)]
    near = [
        (logits[i] >= logits[i].max() - NEAR_TIE).nonzero().flatten().tolist()
        for i in (1, 2, 4)
    ]
    assert [list(tokens) for tokens in rated.near] == near
    assert score_row(logits.numpy(), [-100] * 6) == AnswerScore(nll=0.0, top=())
