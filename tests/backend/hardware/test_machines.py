"""docs/hardware.md tells what the program decides."""

import pytest

from tests.backend.hardware.machines import DOCUMENT, document


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    assert document() == DOCUMENT.read_text("utf-8"), (
        "run: python -m tests.backend.hardware.machines"
    )
