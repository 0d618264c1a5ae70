"""What Share shows on a Space only: how to continue at home."""

from __future__ import annotations

import pytest

from ui.web.share import at_home


def test_a_space_says_how_to_go_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "owner/demo")
    card = at_home.card()
    assert "https://huggingface.co/spaces/owner/demo?duplicate=true" in card
    assert "git clone https://huggingface.co/spaces/owner/demo" in card


def test_at_home_there_is_no_such_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not at_home.card()
