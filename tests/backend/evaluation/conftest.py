"""llama.cpp is reported as missing: it does not know the tiny model's tokenizer, which
takes seconds to find out.
"""

import pytest

from backend.chat import llama_probe


@pytest.fixture(autouse=True)
def on_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_probe, "has_llama_cpp", lambda: False)
