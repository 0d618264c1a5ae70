"""The page as a shared demo: built over the visitors' own services, behind the gate."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr

from backend.hosting.policy import Policy
from backend.records.specs import Hardware
from backend.settings import Workspace
from ui.services.visitor_apps import VisitorApps
from ui.web import page as web_page
from ui.web.demo_notice import can_sign_in
from ui.web.gate import Door
from ui.web.per_visitor import PerVisitor

_OWNER_ONLY = 0o077  # umask: what is written is readable by its owner only


def demo_page(
    workspace: Workspace, policy: Policy, hosts: tuple[str, ...] = (), simulated: Hardware | None = None
) -> tuple[VisitorApps, gr.Blocks, dict[str, Any]]:
    """The visitors' services, the page, and the arguments to launch it with."""
    os.umask(_OWNER_ONLY)
    uploads = workspace.root / "uploads"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    apps = VisitorApps(workspace, policy, simulated)
    blocks = web_page.build_demo(PerVisitor(apps))
    space = os.environ.get("SPACE_HOST", "")

    def pending() -> dict[str, set[str]]:
        return blocks._queue.pending_event_ids_session

    door = Door(apps.visitors, policy.limits, uploads, pending, https=bool(space), accounts=can_sign_in())
    return apps, blocks, web_page.launch_arguments(apps.visitors.root, hosts, space, door)
