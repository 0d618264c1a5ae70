"""Without a card: every proof can be imported, the cheap ones run tiny on the processor, and the table is printed."""

import importlib
from pathlib import Path

from tests.gpu.figures import Figure, table, versions
from tests.gpu.place import TINY


def test_a_table_names_each_proof_once_and_aligns_its_columns() -> None:
    lines = table([Figure("Speed", "lora", "10", "dry run 9"), Figure("Speed", "full", "2", "dry run 3")])
    assert [line.split()[0] for line in lines] == ["Proof", "Speed", "full"]
    assert (
        len({line.index(word) for line, word in zip(lines, ("Against", "dry run 9", "dry run 3"), strict=True)}) == 1
    )
    assert "torch" in versions()


def test_every_proof_is_marked_and_the_kernels_run_tiny(tmp_path: Path) -> None:
    files = [path.stem for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    modules = {name: importlib.import_module(f"tests.gpu.{name}") for name in files}
    for name, module in modules.items():
        marks = module.pytestmark if isinstance(module.pytestmark, list) else [module.pytestmark]
        assert "gpu" in [mark.name for mark in marks], name
    figures: list[Figure] = []

    def record(*fields: str) -> None:
        figures.append(Figure(*fields))

    kernels, probe = modules["test_kernels"], modules["test_probe"]
    kernels.test_fused_lora_is_as_in_peft(TINY, "fp32", True, record)
    kernels.test_the_loss_is_that_of_torch(TINY, "bf16", record)
    probe.test_the_probe_finds_the_card_that_cuda_uses(TINY, tmp_path, record)
    probe.test_the_context_takes_what_the_estimate_allows_for_it(TINY, record)
    assert len(table(figures)) == len(figures) + 1
