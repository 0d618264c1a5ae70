"""Downloads from a local stand-in for the hub: complete, resumed, stopped, denied, and
never more than needed.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ApprenticeError, BadInput, MissingPart, NotEnough, Stopped
from backend.models import catalogue, download, local
from backend.models.catalogue import Entry
from tests.backend.models.model_hub import COMMIT, MODEL, WEIGHTS, FakeWork, Hub, pin

FIND = catalogue.find
CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 100,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024,
}  # fmt: skip


def test_a_model_is_downloaded_completely_and_nothing_else(
    hub: Hub, work: FakeWork
) -> None:
    result = download.run(work)
    place = local.folder(work.workspace, MODEL)
    assert sorted(path.name for path in place.iterdir()) == [
        "MANIFEST.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert (place / "model.safetensors").read_bytes() == WEIGHTS
    assert (
        result["revision"] == COMMIT == local.reference(work.workspace, MODEL).revision
    )
    assert local.downloaded(work.workspace, [MODEL]) == {MODEL}
    assert work.reached[-2] == (3, 3)  # MiB
    assert (
        hub.file_names()[-1] == "model.safetensors"
    )  # the small files come first and are checked


def test_an_installed_model_is_not_downloaded_again(hub: Hub, work: FakeWork) -> None:
    download.run(work)
    hub.requests.clear()
    assert (download.run(work)["revision"], hub.requests) == (COMMIT, [])


def test_a_stopped_download_resumes_at_its_last_byte(hub: Hub, work: FakeWork) -> None:
    work.stop_at = 1
    with pytest.raises(Stopped):
        download.run(work)
    assert not local.is_ready(work.workspace, MODEL)
    assert download.has_partial(work.workspace, MODEL)
    work.stop_at, hub.requests[:] = None, []
    download.run(work)
    assert not download.has_partial(work.workspace, MODEL)
    ranges = [
        request.range
        for request in hub.requests
        if request.path.endswith("model.safetensors")
    ]
    assert ranges == ["bytes=2097152-"]
    assert (
        local.folder(work.workspace, MODEL) / "model.safetensors"
    ).read_bytes() == WEIGHTS


def test_a_stop_during_the_check_takes_effect_and_nothing_is_downloaded_again(
    hub: Hub, work: FakeWork
) -> None:
    checking = (0, 0)  # the progress of a phase without a count
    work.should_stop = lambda: len(work.reached) > 1 and work.reached[-1] == checking  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        download.run(work)
    assert not local.is_ready(work.workspace, MODEL)
    work.should_stop, hub.requests[:] = lambda: False, []  # type: ignore[method-assign]
    assert (download.run(work)["revision"], hub.file_names()) == (COMMIT, [])


@pytest.mark.parametrize("stop_at", [1, None])
def test_a_complete_or_partial_download_can_be_deleted(
    hub: Hub, work: FakeWork, stop_at: int | None
) -> None:
    work.stop_at = stop_at
    with suppress(Stopped):
        download.run(work)
    assert download.delete(work.workspace, MODEL) > 1
    assert not local.is_ready(work.workspace, MODEL)
    assert not list(work.workspace.models.rglob("*.safetensors*"))
    with pytest.raises(BadInput, match="can't be deleted"):
        download.delete(work.workspace, MODEL)


def test_a_running_download_cannot_be_deleted(hub: Hub, work: FakeWork) -> None:
    def should_stop() -> bool:
        if len(work.reached) == 2:
            with pytest.raises(BadInput, match="being downloaded"):
                download.delete(work.workspace, MODEL)
        return False

    work.should_stop = should_stop  # type: ignore[method-assign]
    download.run(work)
    assert local.is_ready(work.workspace, MODEL)


def test_another_commit_in_the_cache_is_not_the_pinned_one(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = (
        tmp_path
        / "cache"
        / f"models--{MODEL.replace('/', '--')}"
        / "snapshots"
        / ("d" * 40)
    )
    snapshot.mkdir(parents=True)
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ):
        (snapshot / name).write_bytes(hub.files[name])
    assert download.run(work)["revision"] == "d" * 40  # any commit will do
    assert hub.requests == []
    pin(monkeypatch, COMMIT)
    assert download.run(work)["revision"] == COMMIT
    assert local.folder(work.workspace, MODEL).parent == work.workspace.models


def test_a_broken_connection_is_resumed(hub: Hub, work: FakeWork) -> None:
    hub.broken = 700_000
    download.run(work)
    assert hub.file_names().count("model.safetensors") == 2
    assert (
        local.folder(work.workspace, MODEL) / "model.safetensors"
    ).read_bytes() == WEIGHTS


def test_much_more_than_announced_is_not_stored(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = hub.listing()
    short = [{**one, "size": min(one["size"], 1000)} for one in truth["siblings"]]
    monkeypatch.setattr(hub, "listing", lambda: {**truth, "siblings": short})
    with pytest.raises(MissingPart):
        download.run(work)
    [part] = work.workspace.models.rglob("model.safetensors*")
    assert part.stat().st_size <= 1 << 20


def test_a_new_version_starts_over(hub: Hub, work: FakeWork) -> None:
    work.stop_at = 1
    with pytest.raises(Stopped):
        download.run(work)
    work.stop_at, hub.commit, hub.requests[:] = None, "b" * 40, []
    assert download.run(work)["revision"] == "b" * 40
    assert [
        request.range
        for request in hub.requests
        if request.path.endswith("model.safetensors")
    ] == ["bytes=0-"]


def test_a_pinned_model_is_never_replaced(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, "c" * 40)
    with pytest.raises(MissingPart, match="different version"):
        download.run(work)
    assert hub.requests[0].path.split("?")[0].endswith(f"/revision/{'c' * 40}")
    assert hub.file_names() == []


def test_of_a_model_whose_tokenizer_fails_no_weights_are_downloaded_and_nothing_stays(
    hub: Hub, work: FakeWork
) -> None:
    hub.files["tokenizer.json"] = b"{}"
    for _ in range(2):
        with pytest.raises(MissingPart, match="Choose another model"):
            download.run(work)
    assert "model.safetensors" not in hub.file_names()
    assert not local.is_ready(work.workspace, MODEL)
    assert not download.has_partial(work.workspace, MODEL)


def test_damaged_weights_are_deleted(hub: Hub, work: FakeWork) -> None:
    hub.sha256 = "0" * 64
    with pytest.raises(MissingPart, match="damaged"):
        download.run(work)
    assert not local.is_ready(work.workspace, MODEL)


def test_custom_code_is_dropped_if_transformers_has_a_class_for_the_model(
    hub: Hub, work: FakeWork
) -> None:
    own = {"auto_map": {"AutoConfig": "configuration_own.Own"}}
    hub.files["config.json"] = json.dumps({"model_type": "phi3", **own}).encode()
    download.run(work)
    place = local.folder(work.workspace, MODEL)
    assert "auto_map" not in (place / "config.json").read_text()
    assert list(place.glob(".*.tmp")) == []


@pytest.mark.parametrize(
    ("missing", "word"),
    [("model.safetensors", "safetensors"), ("tokenizer.json", "tokenizer")],
)
def test_an_unloadable_model_is_rejected_before_a_download(
    hub: Hub, work: FakeWork, missing: str, word: str
) -> None:
    """Such as one with pickled weights only."""
    del hub.files[missing]
    with pytest.raises(MissingPart) as rejected:
        download.run(work)
    assert word in rejected.value.why
    assert hub.file_names() == []


def test_a_full_disk_is_reported_before_a_download(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_DISK_RESERVE_MIB", 1 << 40)
    with pytest.raises(NotEnough, match="disk space"):
        download.run(work)
    assert hub.file_names() == []


def test_a_missing_network_is_reported(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingPart, match="no network"):
        download.run(work)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingPart, match="no network"):
        download.run(work)
    assert not download.has_partial(work.workspace, MODEL)


NAME = "someone/Their_Model-1.5B"


@pytest.fixture
def look(
    hub: Hub, work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Entry]:
    """Looks a model of the hub up and reads what is stored of it. config: changes of
    its config.json.
    """
    monkeypatch.setattr(catalogue, "find", FIND)
    hub.facts = {
        "id": NAME,
        "cardData": {"license": "apache-2.0", "language": ["en", "de", "multilingual"]},
    }

    def look(name: str = NAME, **config: Any) -> Entry:
        hub.files["config.json"] = json.dumps({**CONFIG, **config}).encode()
        work.spec = {"model": name, "weights": False}
        return catalogue.find_or_read(work.workspace, download.run(work)["model"])

    return look


def test_what_the_hub_says_becomes_an_entry_then_a_model(
    hub: Hub, work: FakeWork, look: Callable[..., Entry]
) -> None:
    entry = look(f"https://huggingface.co/{NAME}")
    assert (entry.id, entry.licence, entry.commercial_use) == (NAME, "apache-2.0", True)
    assert (entry.languages, entry.download_mib, entry.revision) == (
        ("en", "de"),
        3,
        COMMIT,
    )
    assert (entry.context_length, entry.parameters) == (
        1024,
        entry.architecture.counted_params,
    )
    assert entry.chat_template
    assert "model.safetensors" not in hub.file_names()
    assert not local.is_ready(work.workspace, NAME)
    work.spec = {"model": NAME}
    assert (download.run(work)["revision"], hub.file_names().count("config.json")) == (
        COMMIT,
        1,
    )
    read = catalogue.find_or_read(work.workspace, NAME)
    assert (read.licence, read.languages) == ("apache-2.0", ("en", "de"))
    assert download.delete(work.workspace, NAME) > 1
    assert catalogue.looked_up(work.workspace) == [entry], "it can be downloaded again"
    assert download.delete(work.workspace, NAME) < 1
    assert catalogue.looked_up(work.workspace) == []


@pytest.mark.parametrize("more", [{}, {"num_experts": 4}])
def test_what_a_mirror_does_not_tell_is_unknown(
    hub: Hub, work: FakeWork, look: Callable[..., Entry], more: dict[str, int]
) -> None:
    hub.sizes, hub.facts = (
        False,
        {"safetensors": {"total": 12_345}, "cardData": {"license": "cc-by-nc-4.0"}},
    )
    entry = look(**more)
    known = 12_345 if more else entry.architecture.counted_params
    assert (
        entry.download_mib,
        entry.parameters,
        entry.languages,
        entry.commercial_use,
    ) == (None, known, (), False)
    work.spec, hub.broken = {"model": NAME}, 700_000
    download.run(work)
    assert (
        local.folder(work.workspace, NAME) / "model.safetensors"
    ).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "name",
    [
        "../etc/passwd",
        "a/b/c",
        "owner",
        "local/x",
        "a/..b",
        "a--b/c",
        "/a/b",
        "ä/b",
        "a/b.",
    ],
)
def test_no_other_text_is_a_name(
    hub: Hub, look: Callable[..., Entry], name: str
) -> None:
    with pytest.raises(BadInput, match="not the name of a model"):
        look(name)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"quantization_config": {"quant_method": "awq"}}, "fewer bits"), ({"model_type": "t5"}, "language model"),
        ({"model_type": "own", "auto_map": {}}, "program code"), ({"hidden_size": "wide"}, "hidden_size"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_trained_is_refused_and_nothing_stays(
    hub: Hub,
    work: FakeWork,
    look: Callable[..., Entry],
    change: dict[str, Any],
    why: str,
) -> None:
    with pytest.raises(ApprenticeError, match=why):
        look(**change)
    assert catalogue.looked_up(work.workspace) == []
    assert "model.safetensors" not in hub.file_names()


def test_a_gated_one_needs_a_token(hub: Hub, look: Callable[..., Entry]) -> None:
    hub.facts["gated"], hub.status, hub.listed = "auto", 401, True
    with pytest.raises(MissingPart, match="approve each download"):
        look()


def test_files_are_selected_by_their_published_names() -> None:
    wanted = [
        "model.safetensors", "model-00001-of-00004.safetensors", "model.safetensors.index.json",
        "model.safetensors-00001-of-00002.safetensors",  # as Qwen3.5 is published
    ]  # fmt: skip
    others = [
        "adapter_model.safetensors",
        "onnx/model.safetensors",
        "pytorch_model.bin",
        "modeling_own.py",
    ]
    assert [
        name for name in wanted + others if download._WANTED.fullmatch(name)
    ] == wanted
