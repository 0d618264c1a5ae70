"""Every benchmark still runs: its smoke mode measures next to nothing, but prints the
result in the promised form.
"""

import ast
import json
import multiprocessing
import runpy
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from backend.settings import HOME_VARIABLE

FOLDER = Path(__file__).parent
OF_OTHERS = "other_trainers"  # run by the Python of another environment
USUAL = {"checking", "training_speed", "runner_tick"}  # the others are slow
MEASURED = ("ours", "peer", "ratio")
PRELOADED = [
    "trl.trainer.sft_trainer",
    "peft",
    "transformers.models.llama.modeling_llama",
    "backend.training.run",
]


def can_run(path: Path) -> bool:
    """Whether the file is a program: it has an `if __name__ == "__main__"`."""
    tree = ast.parse(path.read_text("utf-8"))
    return any(
        isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
        for node in tree.body
    )


def benchmarks() -> list[str]:
    return sorted(
        path.stem
        for path in FOLDER.glob("*.py")
        if can_run(path) and path.stem != OF_OTHERS
    )


def test_every_file_here_is_a_benchmark_or_used_by_one() -> None:
    names = {
        path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("test_")
    } - {"__init__"}
    text = "\n".join(
        (FOLDER / f"{name}.py").read_text("utf-8") for name in benchmarks()
    )
    assert [
        name for name in sorted(names - set(benchmarks())) if name not in text
    ] == []
    assert set(benchmarks()) >= USUAL


@pytest.fixture(scope="module")
def forked(
    bundled_model: Path, bundled_gguf: Path | None
) -> Iterator[ForkServerContext]:
    """Processes that are forks of one that has imported the slow packages. The bundled
    model is unpacked and converted beforehand, so that no benchmark does it again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(bundled_model.parent.parent))
        patch.setenv("OMP_NUM_THREADS", "1")  # a fork has no other threads
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        yield context


def smoke(name: str, output: Path) -> None:
    sys.stdout = sys.stderr = output.open("w", buffering=1)
    sys.argv = [name, "--smoke"]
    runpy.run_module(f"tests.benchmarks.{name}", run_name="__main__", alter_sys=True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in USUAL else pytest.mark.slow)
        for name in benchmarks()
    ],
)
def test_a_smoke_run_prints_its_result(
    name: str, forked: ForkServerContext, tmp_path: Path
) -> None:
    output = tmp_path / "output.txt"
    process = forked.Process(target=smoke, args=(name, output))
    process.start()
    process.join()
    lines = output.read_text("utf-8").splitlines()
    assert process.exitcode == 0, lines[-40:]
    result = json.loads(lines[-1])
    assert (result["name"], type(result["unit"])) == (name, str)
    measured = [result[key] for key in MEASURED]
    if "no_peer" in result:  # says why there is none
        assert measured[1:] == [None, None]
        measured = measured[:1]
    assert all(type(value) in (int, float) for value in measured), result
