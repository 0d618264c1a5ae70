"""The section of Share that uploads a model to Hugging Face, once a person has seen what is sent and agreed."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from backend.export.hub_push import FORMS, Form
from backend.hosting.policy import Feature
from backend.records.units import MIB
from backend.settings import PROGRAM
from ui.records.share import HubPush, HubUpload
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, html
from ui.web.errors import handler
from ui.web.html import components

LEAD = (
    "Puts the model into your own Hugging Face account, private unless you say otherwise. You need an access "
    f"token with write access, saved with {PROGRAM} models --token."
)
NO_EXPORT = "First make a file above: what it learned, the whole model, or one file for any computer."
TITLES: dict[Form, str] = {
    "adapter": "Only what it learned (adapter)",
    "merged": "The whole model (merged)",
    "gguf": "The file for any computer (GGUF)",
    "space": "A small app with the whole model (Space)",
}


@dataclass
class HubCard:
    """The components of the section. seen: the mark of the list that is shown (`HubUpload.mark`)."""

    app: App
    form: gr.Radio
    repo: gr.Textbox
    public: gr.Checkbox
    look: gr.Button
    seen: gr.Textbox
    agreed: gr.Checkbox
    send: gr.Button
    stop: gr.Button
    offer: gr.HTML
    pushes: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        asked = [self.form, self.repo, self.public, self.look, self.seen, self.agreed, self.send]
        return [*asked, self.stop, self.offer, self.pushes]

    def show(self, choice: Choice) -> Updates:
        """The section as it is now, except for fields in which the person types."""
        if why_not := self.app.policy.why_not(Feature.PUSH):
            return {self.look: gr.update(interactive=False), self.offer: components.text(why_not, "small")}
        forms = self.app.hub_pushes.forms(choice.run_id) if choice.run_id else []
        uploads = self.app.hub_pushes.all(choice.run_id) if choice.run_id else []
        active = any(upload.active for upload in uploads)
        updates: Updates = {
            self.form: gr.update(choices=[(TITLES[form], form) for form in forms], visible=bool(forms)),
            self.look: gr.update(interactive=bool(forms) and not active),
            self.stop: gr.update(visible=active),
            self.pushes: pushes(uploads) + (components.EMPTY if forms else components.text(NO_EXPORT, "small")),
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
        return repr((self.app.hub_pushes.all(choice.run_id), self.app.hub_pushes.forms(choice.run_id)))


def build(app: App, state: BrowserState) -> HubCard:
    """Draws the section."""
    with gr.Accordion("Put it on Hugging Face", open=False, elem_classes="fold-block"):
        html(components.text(LEAD))
        form = gr.Radio([(TITLES[key], key) for key in FORMS], label="What to upload", elem_id="hub-form")
        repo = gr.Textbox(
            label="Its name there", placeholder="my-model", max_lines=1, max_length=200, elem_id="hub-repo"
        )
        public = gr.Checkbox(label="Anyone can see it (public)", elem_id="hub-public")
        look = button("See what is uploaded", interactive=False, elem_id="hub-look")
        offer_html = html()
        seen = gr.Textbox("", label="Listed", visible=False, elem_id="hub-seen")
        agreed = gr.Checkbox(label="I agree to this upload", visible=False, elem_id="hub-agree")
        with gr.Row(elem_classes="actions"):
            send = button("Upload it", interactive=False, visible=False, elem_id="hub-send")
            stop = button("Stop the upload", visible=False, elem_id="hub-stop")
        sent = html()
    card = HubCard(app, form, repo, public, look, seen, agreed, send, stop, offer_html, sent)

    def form_of(inputs: Inputs) -> Form:
        if inputs[form] not in FORMS:
            raise BadInput("Nothing is chosen yet.", "", "Choose what to upload.")
        chosen: Form = inputs[form]
        return chosen

    @handler
    def look_up(inputs: Inputs) -> Updates:
        run_id, name = state.choice(inputs).run_id, str(inputs[repo] or "")
        listed = app.hub_pushes.offer(run_id, form_of(inputs), name, private=not inputs[public])
        return {
            seen: listed.mark,
            offer_html: offer(listed),
            agreed: gr.update(value=False, visible=True),
            send: gr.update(visible=True, interactive=False),
        }

    @handler
    def changed(_: Inputs) -> Updates:
        """A changed choice withdraws the agreement: the person must look and agree again."""
        return card._without_offer()

    @handler
    def agree(inputs: Inputs) -> Updates:
        return {send: gr.update(interactive=bool(inputs[agreed]))}

    @handler
    def upload(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        if not inputs[agreed]:
            raise BadInput("Nothing was uploaded.", "", "Agree to the upload first.")
        app.hub_pushes.start(
            choice.run_id,
            form_of(inputs),
            str(inputs[repo] or ""),
            private=not inputs[public],
            agreed=str(inputs[seen] or ""),
        )
        return {**card.show(choice), **card._without_offer()}

    @handler
    def end(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        for push in app.hub_pushes.all(choice.run_id):
            if push.active:
                app.hub_pushes.stop(push.id)
        return card.show(choice)

    state.listen(look.click, look_up, card.outputs, form, repo, public)
    for part in (form, repo, public):
        state.listen(part.input, changed, card.outputs, part)
    state.listen(agreed.input, agree, card.outputs, agreed)
    state.listen(send.click, upload, card.outputs, form, repo, public, seen, agreed)
    state.listen(stop.click, end, card.outputs)
    return card


def offer(upload: HubUpload) -> Markup:
    """Everything that leaves this computer, and who can see it there."""
    files = fmt.listed([f"{name} ({fmt.bytes_of(round(size * MIB))})" for name, size in upload.sizes.items()])
    quoted = "the instruction of your examples, and no example" if upload.instruction else "none of your examples"
    seen = "only you, and people to whom you give access there" if upload.private else "anyone"
    where = upload.repo if "/" in upload.repo else f"{upload.repo}, in your own account"
    return components.join(
        [
            components.rows(
                [
                    ("Where", where, "a repository that exists already gets a new version"),
                    ("What is uploaded", files, f"and {fmt.listed(list(upload.written))}, written for it"),
                    ("Who can see it", seen, f"its card quotes {quoted}"),
                ]
            ),
            components.fold("The card", components.code(upload.card), key="hub-card"),
        ]
    )


def pushes(uploads: Iterable[HubPush]) -> Markup:
    """How each upload is doing, or where the model is now."""
    return components.join(map(_push, uploads))


def _push(upload: HubPush) -> Markup:
    if upload.failure:
        return components.problem_alert(upload.failure)
    if upload.active:
        return components.text(f"{upload.phase}.")
    if not upload.url:
        return components.text("The upload was stopped. Upload it again to continue where it stopped.", "small")
    who = "private" if upload.private else "public"
    return Markup("<p>{} ({}): {}</p>").format(upload.repo, who, components.external_link(upload.url, "open it"))
