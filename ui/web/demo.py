"""The page as a shared demo: built over the visitors' own services, behind the gate."""

import os
from typing import Any, cast

import gradio as gr

from backend.hosting.policy import Policy
from backend.records.machine import Hardware
from backend.settings import Workspace
from ui.services.app import App
from ui.services.demo.visitor_apps import VisitorApps
from ui.web import page as web_page
from ui.web.demo_notice import can_sign_in
from ui.web.gate import Door
from ui.web.launch import launch_arguments
from ui.web.per_visitor import PerVisitor
from ui.web.session_memory import QueuedEvents

_HANDLERS = 8  # calls of one handler at the same time


def demo_page(
    workspace: Workspace,
    policy: Policy,
    hosts: tuple[str, ...] = (),
    simulated: Hardware | None = None,
) -> tuple[VisitorApps, gr.Blocks, dict[str, Any]]:
    """The visitors' services, the page, and the arguments to launch it with.

    hosts: further names by which the page is reached
    simulated: another machine to show the page for
    """
    apps = VisitorApps(workspace, policy, simulated, workspace.uploads)
    demo = PerVisitor(apps)
    page = web_page.build(cast(App, demo), demo)
    blocks = page.blocks
    blocks.queue(default_concurrency_limit=_HANDLERS, api_open=False)
    demo.built()
    space = os.environ.get("SPACE_HOST", "")
    events = QueuedEvents(blocks)
    door = Door(
        apps.visitors,
        policy.limits,
        workspace.uploads,
        events,
        https=bool(space),
        accounts=can_sign_in(),
    )
    return (
        apps,
        blocks,
        launch_arguments(apps.visitors.root, page.sent_signature, hosts, space, door),
    )
