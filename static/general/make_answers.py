"""Writes SmolLM2-135M-Instruct.json: what the bundled model answers to prompts.json, so that no run has to ask it.

python -m static.general.make_answers
"""

from __future__ import annotations

import json

from backend.files.json_file import read_json
from backend.models import bundled, causal_lm
from backend.records.specs import TrainSettings
from backend.runs import own_answers
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device
from backend.training.general_rows import AT_A_TIME, usable_answers


def main() -> None:
    import torch

    folder = bundled.ensure(Workspace.open())
    net, tokenizer = causal_lm.load(folder, dtype=torch.float32), ChatTokenizer.load(folder)
    place = device.choose(TrainSettings(precision="fp32"))
    prompts = read_json(own_answers.PROMPTS)["en"]
    answers: dict[str, str] = {}
    for start in range(0, len(prompts), AT_A_TIME):
        asked = prompts[start : start + AT_A_TIME]
        answers |= zip(asked, usable_answers(net, tokenizer, place, asked), strict=True)
    text = json.dumps(answers, ensure_ascii=False, indent=1)
    own_answers.OF_BUNDLED.write_text(text + "\n", "utf-8")
    print(f"{sum(map(bool, answers.values()))} of {len(answers)} answers can be used.")


if __name__ == "__main__":
    main()
