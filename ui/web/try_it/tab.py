"""Try: the model and the one it came from, answering the same question side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.components import LISTEN, STORAGE_KEY, Given, Kept, Updates, button, clickable, drawn, pressed, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it import ready_models
from ui.web.try_it.ready_models import no_model
from ui.web.try_it.views import PANES, base_check, conversation, suggestions

LONGEST_QUESTION = 20_000  # characters
CHANCE = "Number that chance begins with"
WHOLE = f"It must be a whole number from 0 to {2**31 - 1:,}. It stands under “How they answer”."
TURNS_KEPT = 40  # by the browser
# In the browser, as the question leaves: what is written into the box from then on is the next one.
_SENT = f"""(...given) => {{
  const box = document.querySelector('#question textarea');
  if (box.value.length <= {LONGEST_QUESTION} && !document.querySelector('#ask').disabled) {{
    window.keepSent(box.value);
    box.value = '';
    box.dispatchEvent(new Event('input', {{ bubbles: true }}));
  }}
  return given;
}}"""
# Where that question got no answer: it is put back, unless the next one is being written.
_BACK = """(now) => {
  const sent = window.sent || '';
  window.keepSent('');
  return now || sent;
}"""


@dataclass
class TryTab:
    app: App
    line: gr.HTML
    offered: gr.HTML
    proof: gr.HTML
    talk: gr.BrowserState
    shown: gr.HTML
    suggested: gr.HTML
    ask: gr.Button
    why_not: gr.HTML
    forward: gr.Button

    @property
    def outputs(self) -> list[Any]:
        answers = [self.proof, self.shown, self.suggested]
        return [self.line, self.offered, *answers, self.ask, self.why_not, self.forward]

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        now = "There is nothing to try here yet." if why_not else "Ask both the same."
        then = "" if why_not else "When you like it, take it with you in step 5."
        return {
            self.line: components.guide(4, now, then) + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.proof: "" if why_not else base_check(self.app.results.chat_check(choice.run_id)),
            self.suggested: "" if why_not else suggestions(self.app.results.unseen_questions(choice.run_id)),
            self.ask: gr.update(interactive=not why_not and not self.app.results.is_answering()),
            self.why_not: why_not,
            self.forward: gr.update(interactive=not why_not),
        }

    def restore(self, choice: Choice, given: Given) -> Updates:
        """The conversation with this model so far, unless an answer is being written into it."""
        turns = turns_with(choice.run_id, given[self.talk])
        return {} if turns and self.app.results.is_answering() else {self.shown: conversation(turns)}

    def signature(self, choice: Choice) -> Hashable:
        why_not = no_model(self.app, choice)
        asked = not why_not and self.app.results.was_tried(choice.run_id)
        return why_not, asked, self.app.results.is_answering(), repr(ready_models.offered(self.app, choice))


def build(app: App, kept: Kept) -> TryTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(components.guide(4, "One moment.", ""), elem_classes="guide")
    talk = gr.BrowserState(kept_talk("", []), storage_key=f"{STORAGE_KEY}-talk", secret=STORAGE_KEY)
    offered = clickable(elem_id="ready-to-try")
    proof = drawn()
    shown = drawn(conversation([]), elem_classes="talk", elem_id="talk")
    suggested = clickable()
    with gr.Column(elem_classes="ask-box"):
        question = gr.Textbox(
            label="Your question to both",
            placeholder="Write what a customer would write; Shift and Enter asks",
            lines=2,
            max_lines=8,
            elem_id="question",
        )
        with gr.Row(elem_classes="actions"):
            ask = primary("Ask both", interactive=False, elem_id="ask")
            stop = button("Stop", visible=False, elem_id="stop-answer")
            clear = button("Start over", elem_id="clear")
            why_not = drawn(elem_classes="reason")
        with gr.Accordion("How they answer", open=False, elem_classes="fold-block"), gr.Row(elem_classes="settings"):
            temperature = gr.Slider(
                0,
                1.5,
                0,
                step=0.1,
                label="Freedom",
                info="0 gives the likeliest answer every time; higher varies more. (temperature)",
            )
            longest = gr.Slider(
                16,
                1024,
                256,
                step=16,
                label="Longest answer",
                info="In tokens; one is about three quarters of a word.",
            )
            seed = gr.Number(
                0,
                label=CHANCE,
                info="The same number gives the same answer again. (seed)",
            )
    with gr.Row(elem_classes="actions end"):
        forward = button("Go on to sharing", interactive=False, elem_id="to-share")

    tab = TryTab(app, line, offered, proof, talk, shown, suggested, ask, why_not, forward)

    @handler
    def answer(given: Given) -> Iterator[Updates]:
        choice, words = kept.choice(given), (given[question] or "").strip()
        turns = turns_with(choice.run_id, given[talk])
        if why_not := no_model(app, choice):
            raise BadInput("There is no model to ask.", "", why_not)
        if not words:
            raise BadInput("There is no question.", "", "Write one into the box.")
        if len(words) > LONGEST_QUESTION:
            raise BadInput(
                "The question is too long.", f"It has more than {LONGEST_QUESTION:,} characters.", "Shorten it."
            )
        chance = given[seed] or 0
        if not (isinstance(chance, (int, float)) and chance in range(2**31)):
            raise BadInput(f"{CHANCE} can't be {fmt.setting(chance)[:40]}.", "", WHOLE)
        expected = next(
            (one.expected for one in app.results.unseen_questions(choice.run_id) if one.question == words), ""
        )
        turn: dict[str, Any] = {"question": words, "base": "", "tuned": "", "done": [], "expected": expected}
        asked = {pane: _messages(turns, pane, words) for pane in PANES}
        turns = [*turns, turn]
        busy = {ask: gr.update(interactive=False), stop: gr.update(visible=True)}
        yield {shown: conversation(turns, True), **busy}
        for pane, text, done in app.results.answers(
            choice.run_id,
            asked,
            temperature=float(given[temperature]),
            max_new_tokens=int(given[longest]),
            seed=int(chance),
        ):
            turn[pane] = text
            if done:
                turn["done"].append(pane)
            yield {shown: conversation(turns, True)}
        yield {talk: kept_talk(choice.run_id, turns)}

    @handler
    def settle(given: Given) -> Updates:
        """The tab with what is open by now, after an answer or in place of one that failed."""
        choice = kept.choice(given)
        turns = conversation(turns_with(choice.run_id, given[talk]))
        return {**tab.show(choice), shown: turns, stop: gr.update(visible=False)}

    @handler
    def over(given: Given) -> Updates:
        app.results.stop_chat()
        return {talk: kept_talk("", []), **settle({**given, talk: kept_talk("", [])})}

    @handler
    def suggest(event: gr.EventData, given: Given) -> Any:
        do, at = pressed(event)
        known = app.results.unseen_questions(kept.choice(given).run_id)
        return known[int(at)].question if do == "suggest" and at.isdecimal() and int(at) < len(known) else gr.skip()

    def opened(choice: Choice, given: Given) -> Updates:
        return {**tab.show(choice), **tab.restore(choice, given)}

    asking = gr.on(
        [ask.click, question.submit],
        answer,
        kept.inputs(talk, question, temperature, longest, seed),
        [talk, stop, *tab.outputs],
        js=_SENT,
        concurrency_limit=1,
        concurrency_id="chat",
        **LISTEN,
    )
    asking.failure(None, [question], [question], js=_BACK, **LISTEN)
    asking.success(None, None, None, js="() => window.keepSent('')", **LISTEN)
    for ended in (asking.success, asking.failure):
        ended(settle, kept.inputs(talk), [stop, *tab.outputs], **LISTEN)
    stop.click(handler(app.results.stop_chat), None, None, queue=False, **LISTEN)
    clear.click(over, kept.inputs(), [talk, stop, *tab.outputs], cancels=[asking], **LISTEN)
    suggested.click(suggest, kept.inputs(), [question], **LISTEN)
    ready_models.listen(offered, app, kept, opened, tab.outputs, talk)
    return tab


def kept_talk(run_id: str, turns: list[Any]) -> dict[str, Any]:
    """What the browser keeps of a conversation with a run's model."""
    return {"run": run_id, "turns": turns[-TURNS_KEPT:]}


def turns_with(run_id: str, kept: object) -> list[Any]:
    """The turns that the browser kept, if they were with this run; what does not look right is left out."""
    turns = kept.get("turns") if isinstance(kept, dict) and run_id and kept.get("run") == run_id else None
    texts = ("question", "expected", *PANES)
    return [
        {**{name: turn[name] for name in texts}, "done": list(PANES)}
        for turn in (turns if isinstance(turns, list) else [])[-TURNS_KEPT:]
        if isinstance(turn, dict) and all(isinstance(turn.get(name), str) for name in texts)
    ]


def _messages(turns: list[Any], pane: str, words: str) -> list[dict[str, str]]:
    """The conversation so far as one pane saw it, with the new question."""
    told = []
    for turn in turns:
        told += [{"role": "user", "content": turn["question"]}, {"role": "assistant", "content": turn[pane]}]
    return [*told, {"role": "user", "content": words}]
