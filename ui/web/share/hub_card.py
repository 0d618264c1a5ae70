"""The section of Share that uploads a model to Hugging Face, once a person has seen
what is sent and agreed.
"""

from collections.abc import Hashable
from typing import Any, cast

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from backend.export.hub_push import FORMS, Form
from backend.hosting.policy import Feature
from backend.records.exports import PushResult
from backend.records.units import MIB
from jobs.records import Job
from ui.records.share import HubUpload
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html
from ui.web.html import components
from ui.web.start import download_card

HUB = (
    "Puts the model into your own Hugging Face account, private unless you say "
    "otherwise. You need an access token with write access."
)
NO_EXPORT = "First make a file above: any but the script and everything in one file."
TITLES: dict[Form, str] = {
    "adapter": "Only what it learned (adapter)",
    "merged": "The whole model (merged)",
    "gguf": "The file for any computer (GGUF)",
    "page": "The page with the model in it (static Space, free)",
}


class HubCard:
    """seen: the mark of the list that is shown (`HubUpload.mark`)."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Accordion(
            "Put it on Hugging Face", open=False, elem_classes="fold-block"
        ):
            html(components.text(HUB))
            self.token = clickable(elem_id="hub-token")
            self.form = gr.Radio(
                [(TITLES[key], key) for key in FORMS],
                label="What to upload",
                elem_id="hub-form",
            )
            name: dict[str, Any] = {
                "label": "Its name there",
                "placeholder": "my-model",
            }
            self.repo = gr.Textbox(
                max_lines=1, max_length=200, elem_id="hub-repo", **name
            )
            self.public = gr.Checkbox(
                label="Anyone can see it (public)", elem_id="hub-public"
            )
            self.look = button(
                "See what is uploaded", interactive=False, elem_id="hub-look"
            )
            self.offer = html()
            self.seen = gr.Textbox(
                "", label="Listed", visible=False, elem_id="hub-seen"
            )
            self.agreed = gr.Checkbox(
                label="I agree to this upload", visible=False, elem_id="hub-agree"
            )
            with gr.Row(elem_classes="actions"):
                self.send = button(
                    "Upload it", interactive=False, visible=False, elem_id="hub-send"
                )
                self.stop = button("Stop the upload", visible=False, elem_id="hub-stop")
            self.pushes = html()
        wanted = (self.form, self.repo, self.public)
        asked = [*wanted, self.look, self.seen, self.agreed, self.send]
        self.outputs: list[Any] = [
            *asked,
            self.stop,
            self.offer,
            self.pushes,
            self.token,
        ]
        state.listen(self.look.click, self._look_up, self.outputs, *wanted)
        for part in wanted:  # a changed choice withdraws the agreement: the person must look and agree again
            state.listen(
                part.input, lambda _: self._without_offer(), self.outputs, part
            )
        state.listen(self.agreed.input, self._agree, self.outputs, self.agreed)
        state.listen(
            self.send.click, self._upload, self.outputs, *wanted, self.seen, self.agreed
        )
        stop = state.acting(
            lambda choice: app.runner.stop_unfinished("push", choice.run_id), self.show
        )
        state.listen(self.stop.click, stop, self.outputs)
        state.listen(self.token.click, self._keep_token, [self.token])

    def show(self, choice: Choice) -> Updates:
        """The section as it is now, except for fields in which the person types."""
        if why_not := self.app.policy.why_not(Feature.PUSH):
            return {
                self.look: gr.update(interactive=False),
                self.offer: components.text(why_not, "small"),
            }
        forms = self.app.hub_pushes.forms(choice.run_id) if choice.run_id else []
        uploads = self.app.hub_pushes.all(choice.run_id) if choice.run_id else []
        active = any(not upload.state.is_terminal for upload in uploads)
        updates: Updates = {
            self.form: gr.update(
                choices=[(TITLES[form], form) for form in forms], visible=bool(forms)
            ),
            self.look: gr.update(interactive=bool(forms) and not active),
            self.stop: gr.update(visible=active),
            self.token: download_card.token(self.app.downloads.token(), "Write"),
            self.pushes: components.join(map(push, uploads))
            + (components.EMPTY if forms else components.text(NO_EXPORT, "small")),
        }
        return updates if forms else updates | self._without_offer()

    def _without_offer(self) -> Updates:
        return {
            self.agreed: gr.update(value=False, visible=False),
            self.send: gr.update(visible=False, interactive=False),
            self.offer: components.EMPTY,
        }

    def signature(self, choice: Choice) -> Hashable:
        if not choice.run_id:
            return ""
        pushes = self.app.hub_pushes
        return repr(
            (
                pushes.all(choice.run_id),
                pushes.forms(choice.run_id),
                self.app.downloads.token(),
            )
        )

    def _form_of(self, inputs: Inputs) -> Form:
        if inputs[self.form] not in FORMS:
            raise BadInput("Nothing is chosen yet.", "", "Choose what to upload.")
        return cast(Form, inputs[self.form])

    def _keep_token(self, event: gr.EventData, _: Inputs) -> Updates:
        do, value = clicked(event)
        if do in ("token", "forget-token"):
            download_card.act(self.app, do, value)
        return {self.token: download_card.token(self.app.downloads.token(), "Write")}

    def _look_up(self, inputs: Inputs) -> Updates:
        run_id, name = self._state.choice(inputs).run_id, str(inputs[self.repo] or "")
        listed = self.app.hub_pushes.offer(
            run_id, self._form_of(inputs), name, private=not inputs[self.public]
        )
        ask = {
            self.agreed: gr.update(value=False, visible=True),
            self.send: gr.update(visible=True, interactive=False),
        }
        return {self.seen: listed.mark, self.offer: offer(listed), **ask}

    def _agree(self, inputs: Inputs) -> Updates:
        return {self.send: gr.update(interactive=bool(inputs[self.agreed]))}

    def _upload(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        if not inputs[self.agreed]:
            raise BadInput("Nothing was uploaded.", "", "Agree to the upload first.")
        repo, seen = str(inputs[self.repo] or ""), str(inputs[self.seen] or "")
        form, private = self._form_of(inputs), not inputs[self.public]
        self.app.hub_pushes.start(
            choice.run_id, form, repo, private=private, agreed=seen
        )
        return {**self.show(choice), **self._without_offer()}


def offer(upload: HubUpload) -> Markup:
    """Everything that leaves this computer, and who can see it there."""
    files = fmt.listed(
        [
            f"{name} ({fmt.bytes_of(round(size * MIB))})"
            for name, size in upload.sizes.items()
        ]
    )
    quoted = (
        "its card quotes the instruction of your examples, and no example"
        if upload.instruction
        else "its card quotes none of your examples"
    )
    if upload.form == "page":
        quoted = "it shows the instruction of your examples, and up to three of their questions"
    seen = (
        "only you, and people to whom you give access there"
        if upload.private
        else "anyone"
    )
    where = upload.repo if "/" in upload.repo else f"{upload.repo}, in your own account"
    lines = [
        ("Where", where, "a repository that exists already gets a new version"),
        ("What is uploaded", files, "and a card, written for it"),
        ("Who can see it", seen, quoted),
    ]
    return components.rows(lines) + components.fold(
        "The card", components.code(upload.card), key="hub-card"
    )


def push(job: Job) -> Markup:
    """How an upload is doing, or where the model is now."""
    made = job.result_as(PushResult) or PushResult()
    if job.failure:
        return components.problem_alert(job.failure)
    if not job.state.is_terminal:
        return components.text(f"{fmt.progress(job.progress)[0]}.")
    if not made.url.startswith("https://"):
        return components.text(
            "The upload was stopped. Upload it again to continue where it stopped.",
            "small",
        )
    who = "private" if made.private else "public"
    return Markup("<p>{} ({}): {}</p>").format(
        made.repo, who, components.external_link(made.url, "open it")
    )
