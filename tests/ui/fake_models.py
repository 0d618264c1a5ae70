"""Invented models and advice."""

from __future__ import annotations

from pathlib import Path

from backend.advice.recommend import Option, Recommendation
from backend.advice.settings import ChosenSettings
from backend.errors import BadInput
from backend.export.hub_push import Form
from backend.hardware import Probe, describe
from backend.models import catalogue
from backend.models.hub_token import TokenSource
from backend.records.machine import Cpu, Gpu, Hardware
from backend.records.specs import Trainer
from jobs.records import Job, State
from tests.ui.fake_records import (
    MODEL,
    option,
)
from ui.records.models import DownloadStatus, TokenStatus
from ui.records.runs import ImportedModel
from ui.records.share import HubPush, HubUpload


class FakeModels:
    def __init__(self) -> None:
        self.simulated: Hardware | None = None
        self.open_to_network = False

    def probe(self) -> Probe:
        gpu = Gpu(name="NVIDIA GeForce RTX 3060", memory_total_mib=12288, memory_free_mib=11878)
        memory = {"memory_total_mib": 32768, "memory_available_mib": 28000, "disk_free_mib": 194560}
        hardware = Hardware(gpus=(gpu,), cpu=Cpu(cores=8), **memory)
        return Probe(hardware=hardware, sentences=tuple(describe(hardware)))

    def hardware(self) -> Hardware:
        return self.probe().hardware

    def probe_again(self) -> None:
        pass

    def downloads(self) -> dict[str, Job]:
        return {}

    def size_mib(self, model_id: str) -> float | None:
        return 258.0 if self.is_ready(model_id) else None

    def is_ready(self, model_id: str) -> bool:
        return model_id in ("", f"HuggingFaceTB/{MODEL}", "meta-llama/Llama-3.2-1B-Instruct")

    def why_not_ready(self, model_id: str = "") -> str:
        return "" if self.is_ready(model_id) else "This model is not on this computer. Choose one that is ready."

    def unpacking(self) -> Job | None:
        return None


class FakeDownloads:
    def __init__(self) -> None:
        self.token: TokenSource = ""

    def cancel(self, model_id: str) -> None:
        pass

    def start(self, model_id: str) -> str:
        return "download-1"

    def status(self, model_id: str) -> DownloadStatus:
        entry = catalogue.find(model_id)
        return DownloadStatus(entry, None, False, TokenStatus(self.token, "keyring") if entry.gated else None)

    def save_token(self, typed: str) -> TokenSource:
        if not typed.startswith("hf_"):
            raise BadInput("This is not an access token of Hugging Face.")
        self.token = "keyring"
        return self.token

    def delete_token(self) -> None:
        self.token = ""


class FakeAdvice:
    def __init__(self, models: FakeModels) -> None:
        self._models = models

    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Recommendation:
        why = "The smallest model that handles your longest example and already knows how to chat."
        needs = {"Llama-3.2-1B-Instruct": 3100.0, "Llama-3.2-3B-Instruct": 10300.0, "gemma-2-9b-it": 22000.0}
        name = model_id.rpartition("/")[2]
        chosen = (name, needs[name], "Knows more and takes longer.") if name in needs else (MODEL, 1200.0, why)
        return Recommendation(
            **option(*chosen),
            why={"lora_rank": "Rank 8 suits up to 1,000 examples.", "learning_rate": "Measured best on this model."},
            hardware=self._models.hardware(),
            least_mib=chosen[1],
            assumed=None if data_id else 512,
            others=tuple(Option(**option(name, mib, "Knows more and takes longer.")) for name, mib in needs.items()),
        )

    def options(self, task: str = "", data_id: str = "") -> tuple[Option, ...]:
        found = self.recommendation(task, data_id)
        return (found, *found.others)

    def better(self, task: str = "", data_id: str = "") -> Recommendation | None:
        return None

    def settings(
        self, task: str = "", data_id: str = "", model_id: str = "", trainer: Trainer = "sft"
    ) -> ChosenSettings:
        found = self.recommendation(task, data_id, model_id)
        return ChosenSettings(settings=found.settings, estimate=found.estimate, why=found.why)


class FakeModelImports:
    def add(self, path: Path) -> ImportedModel:
        return ImportedModel("run-a", path.stem, "It needs its base model.")


class FakeHubPushes:
    def __init__(self) -> None:
        self.pushed: dict[str, HubPush] = {}

    def forms(self, run_id: str) -> list[Form]:
        return ["adapter", "gguf"]

    def offer(self, run_id: str, form: Form, repo: str, *, private: bool = True) -> HubUpload:
        files = {"adapter_model.safetensors": 18.5, "tokenizer.json": 3.4}
        return HubUpload(form, repo, private, files, ("README.md",), "", "# orders\n\nA LoRA adapter.", "mark")

    def start(self, run_id: str, form: Form, repo: str, *, private: bool = True, agreed: str) -> str:
        where = "https://huggingface.co/ana/orders"
        self.pushed[run_id] = HubPush("push-1", form, State.COMPLETED, False, "", None, where, repo, private)
        return "push-1"

    def stop(self, push_id: str) -> None: ...

    def all(self, run_id: str) -> list[HubPush]:
        return [self.pushed[run_id]] if run_id in self.pushed else []
