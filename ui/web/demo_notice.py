"""The line at the top of a shared demo: how long things are stored, and what happened
to earlier work.
"""

import os

import gradio as gr
from markupsafe import Markup

from backend.hosting.policy import Limits
from backend.hosting.visitors import Loss
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE
from ui.web.components import html
from ui.web.errors import handler
from ui.web.html import components
from ui.web.per_visitor import PerVisitor

LOST: dict[Loss, str] = {
    "restarted": "This demo was restarted, which deletes everything made before.",
    "expired": "Work is deleted here some time after the last visit.",
}


def can_sign_in() -> bool:
    """Whether this Space offers to sign in with a Hugging Face account (`hf_oauth` in
    its README).
    """
    return bool(os.environ.get("SPACE_ID") and os.environ.get("OAUTH_CLIENT_SECRET"))


def build(demo: PerVisitor, blocks: gr.Blocks) -> None:
    """Draws the line, and a button to sign in where that is possible."""
    with gr.Row(elem_id="demo-notice"):
        line = html(notice(demo.current().policy.limits, None))
        if can_sign_in():
            gr.LoginButton(
                size="sm", icon=None, scale=0, min_width=240
            )  # a demo serves none of gradio's files

    @handler
    def tell() -> Markup:
        return notice(demo.current().policy.limits, demo.loss())

    blocks.load(tell, None, line, **PRIVATE)


def notice(limits: Limits, loss: Loss | None) -> Markup:
    """The line. loss: why the visitor's earlier work is gone."""
    lost = (
        components.alert("warn", "Your earlier work is gone.", LOST[loss])
        if loss
        else components.EMPTY
    )
    lifetime, training = fmt.duration(limits.lifetime), fmt.duration(limits.training)
    own = (
        "This is a shared demo. Nobody else sees what you make here. It is deleted "
        f"{lifetime} after your last visit, and when the demo restarts. A training run "
        f"can use at most {fmt.number(limits.rows)} examples and take at most "
        f"{training}. On your own computer, Apprentice has no such limits."
    )
    return lost + components.text(own, "small")
