"""The rows that keep what the base model knew: everyday prompts with its own answers (`backend.runs.own_answers`).

A few examples of one task make a small model answer everything in the task's form. One row in five of its own
earlier answers prevents that (docs/recipes.md); its own answers do so better than texts by others (arXiv:2605.26097,
figure `experiments/instruct` of its repository)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.records.encoded import Encoded
from backend.records.specs import RunSpec
from backend.runs import own_answers
from backend.text.signs import repeats
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.training.samples import answer_prompts

LONGEST = 64  # tokens of an answer; one that is longer is not used, since its end would be missing
AT_A_TIME = 16  # prompts
_MOST_ASKED = 4  # times as many prompts as answers are wanted; a model that thinks aloud never ends in time


def general_rows(
    run_folder: Path,
    spec: RunSpec,
    net: Any,
    tokenizer: ChatTokenizer,
    device: Device,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> list[Encoded]:
    """The general rows to train besides the examples; none where the base model answers no prompt. run_folder: where
    the answers are stored, so that a resumed run has the same ones. spec: of the run. net: the model before its first
    step, when it still answers as its base does. tokenizer: of the model. device: where it is. progress: called with
    the number of usable answers so far, and of those wanted. should_stop: whether the run was asked to stop."""
    wanted = spec.settings.general_rows(spec.data.train_rows)
    if not wanted or not tokenizer.chat_template:
        return []
    answers, order = own_answers.read(run_folder), own_answers.prompts(spec.data.general_language, spec.settings.seed)
    known = len(answers)
    unasked = [prompt for prompt in order[: _MOST_ASKED * wanted] if prompt not in answers]
    while unasked and not should_stop() and (usable := sum(map(bool, answers.values()))) < wanted:
        progress(usable, wanted)
        asked, unasked = unasked[:AT_A_TIME], unasked[AT_A_TIME:]
        answers |= zip(asked, usable_answers(net, tokenizer, device, asked), strict=True)
    if len(answers) > known:
        own_answers.write(run_folder, answers)
    return own_answers.rows(run_folder, spec, tokenizer)


def usable_answers(net: Any, tokenizer: ChatTokenizer, device: Device, prompts: list[str]) -> list[str]:
    """The greedy answer to each prompt; "" where it is cut, empty, or stuck in a loop."""
    opening = tokenizer.opening()
    asked = [[*tokenizer.prompt_ids([{"role": "user", "content": prompt}]), *opening] for prompt in prompts]
    answers = []
    for answered in answer_prompts(net, tokenizer, device, asked, LONGEST):
        answer = tokenizer.decode(list(answered.ids)).strip() if answered.ended else ""
        answers.append("" if repeats(answer) else answer)
    return answers
