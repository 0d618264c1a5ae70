"""The programs that time Unsloth and LLaMA-Factory, against stand-ins with the calls
that those two document.
"""

import sys
from pathlib import Path

import pytest

from tests.backend.tiny_run import make_model
from tests.benchmarks import trainers
from tests.benchmarks.gpu_training_speed import TINY_RUN, compared
from tests.gpu.place import TINY

UNSLOTH = """
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

class FastLanguageModel:
    @staticmethod
    def from_pretrained(model_name, max_seq_length, dtype, load_in_4bit):
        assert not load_in_4bit
        return AutoModelForCausalLM.from_pretrained(model_name), AutoTokenizer.from_pretrained(model_name)

    @staticmethod
    def get_peft_model(
        model, r, target_modules, lora_alpha, lora_dropout, bias, use_gradient_checkpointing, random_state
    ):
        return get_peft_model(model, LoraConfig(r=r, lora_alpha=lora_alpha, target_modules=target_modules))
"""
TRAINER = """
from transformers import Seq2SeqTrainer

class CustomSeq2SeqTrainer(Seq2SeqTrainer): ...
"""
TUNER = """
from dataclasses import fields
from datasets import load_from_disk
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Seq2SeqTrainingArguments
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

def run_exp(args, callbacks):
    known = {field.name for field in fields(Seq2SeqTrainingArguments)}
    tokenizer = AutoTokenizer.from_pretrained(args["model_name_or_path"])
    CustomSeq2SeqTrainer(
        AutoModelForCausalLM.from_pretrained(args["model_name_or_path"]),
        Seq2SeqTrainingArguments(**{name: value for name, value in args.items() if name in known}),
        DataCollatorForSeq2Seq(tokenizer),
        load_from_disk(args["tokenized_path"])["train"],
        callbacks=callbacks,
    ).train()
"""
STAND_INS = {
    "unsloth/__init__.py": UNSLOTH, "llamafactory/__init__.py": "", "llamafactory/train/__init__.py": "",
    "llamafactory/train/sft/__init__.py": "", "llamafactory/train/sft/trainer.py": TRAINER,
    "llamafactory/train/tuner.py": TUNER,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("who", trainers.PYTHONS)
def test_its_steps_tokens_and_losses_come_back(
    who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in STAND_INS.items():
        file = tmp_path / "packages" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv(trainers.PYTHONS[who], sys.executable)
    model = make_model(tmp_path / "model", vocab_size=TINY.shape["vocab_size"])
    [found] = compared("tiny", [who], model, 44, TINY_RUN, tmp_path / "run").values()
    assert found["tokens_per_second"] > 0
    assert found["peak_mib"] == 0
    assert 0 < found["last_loss"] < found["first_loss"] + 1
