"""Writes what the bundled model answers to general prompts, so that no run and no check
has to ask it.

python -m tests.static.make_answers rows     those to prompts.json, in transformers
python -m tests.static.make_answers check    those to check.json, in llama.cpp
"""

import json
import sys

from backend.chat import engines
from backend.evaluation import general
from backend.evaluation.answers_so_far import AnswersSoFar
from backend.evaluation.models import Models
from backend.files.json_file import read_json
from backend.models import bundled, causal_lm
from backend.records.evaluation import BASE
from backend.records.specs import TrainSettings
from backend.runs import own_answers
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device
from backend.training.samples import AT_A_TIME, usable_answers


def rows() -> None:
    import torch

    folder = bundled.ensure(Workspace.open())
    net, tokenizer = (
        causal_lm.load(folder, dtype=torch.float32),
        ChatTokenizer.load(folder),
    )
    place = device.choose(TrainSettings(precision="fp32"))
    prompts = read_json(own_answers.PROMPTS)["en"]
    answers: dict[str, str] = {}
    for start in range(0, len(prompts), AT_A_TIME):
        asked = prompts[start : start + AT_A_TIME]
        answers |= zip(asked, usable_answers(net, tokenizer, place, asked), strict=True)
    text = json.dumps(answers, ensure_ascii=False, indent=1)
    own_answers.OF_BUNDLED.write_text(text + "\n", "utf-8")
    print(f"{sum(map(bool, answers.values()))} of {len(answers)} answers can be used.")


def check() -> None:
    workspace = Workspace.open()
    folder = bundled.ensure(workspace)
    models = Models(
        engines.on_llama_cpp(workspace, folder, None, bundled.silent), folder, None
    )
    general.OF_BUNDLED.unlink(missing_ok=True)
    answers = general.ask(
        models,
        BASE,
        AnswersSoFar(general=general.OF_BUNDLED, **models.decides),
        lambda done: None,
    )
    right = sum(
        general.is_right(question, answers[n].text)
        for n, question in enumerate(general.QUESTIONS)
    )
    print(f"{right} of {len(general.QUESTIONS)} questions are answered correctly.")


if __name__ == "__main__":
    {"rows": rows, "check": check}[sys.argv[1]]()
