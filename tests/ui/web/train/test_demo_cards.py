"""What only a demo shows on Train."""

from __future__ import annotations

from ui.services.demo.gpu_calls import GpuTime
from ui.web.train import demo_cards


def test_gpu_time_names_what_was_used_and_what_is_left_only_where_known() -> None:
    assert "43 s" in demo_cards.gpu_time(GpuTime(used=43.0))
    assert "last reported" not in demo_cards.gpu_time(GpuTime(used=43.0))
    assert "20 s" in demo_cards.gpu_time(GpuTime(used=43.0, left=20.0))


def test_the_recorded_training_is_labelled_and_shows_that_it_learned() -> None:
    shown = demo_cards.recorded()
    assert "This is not your training" in shown
    assert "same as yours" in shown
    assert "Before training" in shown
    assert 'class="line validation"' in shown
