"""The choices made on an open page are held by its browser, not by the server
(static/js/store.js).

The browser fills them in the moment an event leaves, so a handler sees what the person
sees. A handler answers with the fields that change; the browser applies them one by
one, so two answers that cross never undo each other. What the server corrects by
itself, such as an id that is gone, never undoes a newer choice. A `gr.State` would keep
a connection open for every page, and a browser has six of them for all its pages here.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gradio as gr

from ui.services.selection import Choice
from ui.web import errors

Inputs = dict[
    Any, Any
]  # component -> its value, as a handler with a set of inputs gets them
Updates = dict[Any, Any]  # component -> its new value or gr.update
PRIVATE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
}  # for every listener


class BrowserState:
    """The `Choice` of the page, and more that its browser holds. talk: the conversation
    on Try, which a handler may answer with. table: the typed examples. open_tab: its
    name. It is the first thing that a page draws: what the browser fills comes first
    among the inputs of a listener.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks
        self._choice = gr.JSON(visible=False)
        self.talk = gr.JSON(visible=False)
        self.table = gr.JSON(visible=False)
        self.open_tab = gr.JSON(visible=False)
        self._filled = {
            self._choice: "choice",
            self.talk: "talk",
            self.table: "table",
            self.open_tab: "tab",
        }
        self._patch, self._correction = gr.JSON(visible=False), gr.JSON(visible=False)
        for part, how in (
            (self._patch, "patch(sent.fields)"),
            (self._correction, "correct(sent.before, sent.fields)"),
        ):
            part.change(
                None, part, None, js=f"(sent) => apprentice.store.{how}", **PRIVATE
            )
        self.talk.change(
            None,
            self.talk,
            None,
            js="(talk) => apprentice.store.setValue('talk', talk)",
            **PRIVATE,
        )

    def choice(self, inputs: Inputs) -> Choice:
        """The choice as the browser sent it."""
        return Choice.from_browser(inputs[self._choice])

    def change(self, before: Choice, after: Choice) -> Updates:
        """The update by which the browser changes its choice: only the fields that
        differ.
        """
        old, new = asdict(before), asdict(after)
        fields = {name: value for name, value in new.items() if value != old[name]}
        return (
            {self._patch: {"fields": fields, "id": secrets.token_hex(8)}}
            if fields
            else {}
        )

    def correct(self, before: Choice, after: Choice) -> Updates:
        """As `change`, unless the browser has other values than `before` in these
        fields by then.
        """
        sent = self.change(before, after)
        return (
            {self._correction: {**sent[self._patch], "before": asdict(before)}}
            if sent
            else {}
        )

    def changed(self, answer: Updates) -> dict[str, Any]:
        """The fields of the choice that an answer changes."""
        sent = answer.get(self._patch) or answer.get(self._correction) or {}
        return dict(sent.get("fields", {}))

    def inputs(self, choice: Choice, **values: Any) -> Inputs:
        """The inputs that a browser with this choice sends. values: of `talk`, `table`
        and `open_tab`.
        """
        named = {getattr(self, name): value for name, value in values.items()}
        return {
            self._choice: asdict(choice),
            self.talk: None,
            self.table: None,
            self.open_tab: None,
            **named,
        }

    def listen(
        self,
        trigger: Callable[..., Any],
        handler: Any,
        outputs: list[Any],
        *inputs: Any,
        before: str = "",
        **more: Any,
    ) -> Any:
        """Has a handler answer an event, its errors shown in plain words. Returns the
        event, for `.then` and the like.

        trigger: of a component, such as `button.click`
        handler: gets the choice and `inputs`
        outputs: the components that it may update
        inputs: the components whose values it gets
        before: what the browser does first (a JavaScript expression)
        more: as for gradio's own listeners
        """
        sent = {**self.sending(*inputs, before=before), **more}
        return trigger(
            errors.handler(handler),
            outputs=[self._patch, self._correction, *outputs],
            **sent,
        )

    def acting(
        self,
        act: Callable[[Choice], Choice | None],
        show: Callable[[Choice], Updates] = lambda choice: {},
    ) -> Callable[[Inputs], Updates]:
        """A handler: `act` does something for the choice and may return another one,
        which `show` then draws.
        """

        def handler(inputs: Inputs) -> Updates:
            before = self.choice(inputs)
            choice = act(before) or before
            return {**self.change(before, choice), **show(choice)}

        return handler

    def sending(self, *inputs: Any, before: str = "") -> dict[str, Any]:
        """The arguments by which a gradio listener sends the choice and `inputs`."""
        together = {self._choice, *inputs}
        names = [name for part, name in self._filled.items() if part in together]
        send = f"apprentice.send({json.dumps(names)}, inputs)"
        js = (
            f"(...inputs) => ({before}, {send})" if before else f"(...inputs) => {send}"
        )
        return {"inputs": together, "js": js, **PRIVATE}

    def on_load(self, js: str, inputs: list[Any], outputs: list[Any]) -> None:
        """Has the browser itself fill `outputs`, from `inputs` and the choice it
        stored, as the page is loaded.
        """
        self._blocks.load(None, inputs, outputs, js=js, **PRIVATE)

    def on_change(self, js: str, inputs: list[Any], outputs: list[Any]) -> None:
        """As `on_load`, and again whenever an answer has changed the choice."""
        self.on_load(js, inputs, outputs)
        for part in (self._patch, self._correction):
            part.change(None, inputs, outputs, js=js, **PRIVATE)
