"""The fold “Answer settings” on Try: what both models read first, and how their answers are sampled."""

from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE, Inputs

TITLE = "Answer settings"
SEED = "Random seed"
IN_FORM = "Keep answers to the form of your examples' answers (JSON schema)"
LONGEST_PROMPT = 20_000  # characters
_SEEDS = range(2**31)


class AnswerSettings:
    """carried: the instruction in the run's examples, which fills `system` when it changes."""

    def __init__(self) -> None:
        self.carried = gr.Textbox("", label="Instruction in the examples", visible=False)
        with gr.Accordion(TITLE, open=False, elem_classes="fold-block"):
            self.system = gr.Textbox(
                label="System prompt",
                info="Both models read this before the question. It starts as the instruction in your examples.",
                placeholder="None: the model's own default",
                lines=2,
                max_lines=8,
                elem_id="system-prompt",
            )
            with gr.Row(elem_classes="settings"):
                vary = "0 gives the most likely answer every time; higher values vary more."
                self.temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", info=vary)
                likely = "Lower values exclude unlikely words. Has no effect at temperature 0."
                self.top_p = gr.Slider(0.05, 1, 0.95, step=0.05, label="Top-p", info=likely)
                same = "The same number gives the same answer again."
                self.seed = gr.Number(0, label=SEED, info=same, elem_id="chat-seed")
                tokens = "In tokens; one is about three quarters of a word."
                self.longest = gr.Slider(16, 1024, 256, step=16, label="Longest answer", info=tokens)
            self.in_form = gr.Checkbox(False, label=IN_FORM, visible=False, elem_id="chat-form")
        self.carried.change(None, self.carried, self.system, js="(words) => words", **PRIVATE)
        self.inputs: list[Any] = [self.system, self.temperature, self.top_p, self.longest, self.seed, self.in_form]

    def instruction(self, inputs: Inputs) -> str:
        """The system prompt. Raises BadInput for one that is too long."""
        text = str(inputs[self.system] or "").strip()
        if len(text) > LONGEST_PROMPT:
            raise BadInput("The system prompt is too long.", f"It has over {LONGEST_PROMPT:,} characters.", "Cut it.")
        return text

    def sampling(self, inputs: Inputs) -> dict[str, Any]:
        """The sampling settings. Raises BadInput for an invalid seed."""
        number = inputs[self.seed] or 0
        if not (isinstance(number, (int, float)) and number in _SEEDS):
            whole = f"Enter a whole number from 0 to {_SEEDS[-1]:,}, under “{TITLE}”."
            raise BadInput(f"{SEED} can't be {fmt.setting(number)[:40]}.", "", whole)
        vary, longest = float(inputs[self.temperature]), int(inputs[self.longest])
        likely = float(inputs[self.top_p])
        return {"temperature": vary, "top_p": likely, "max_new_tokens": longest, "seed": int(number)}
