"""Permissions and limits for visitors of the page: everything at home, little in a
shared demo. The command line always has the policy for home. On a Hugging Face Space
the demo policy applies automatically and can't be switched off.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from backend.errors import NotInDemo
from backend.settings import PROGRAM

DEMO_VARIABLE = "APPRENTICE_DEMO"


class Feature(Enum):
    """A feature that a policy can switch off: a sentence that says so, and how to do it
    at home.
    """

    DOWNLOAD = (
        "Other models can't be downloaded in this demo.",
        "choose the model on Start and download it",
    )
    DELETE_MODEL = "Models can't be deleted in this demo.", "delete it on Start"
    HUB_DATA = (
        "Datasets from the Hugging Face hub can't be downloaded in this demo.",
        "paste its name on Data",
    )
    TOKEN = "This demo doesn't accept access tokens.", f"type {PROGRAM} models --token"
    PUSH = (
        "This demo can't upload models to Hugging Face.",
        "open Share and choose to upload it",
    )
    ANSWER_TABLE = (
        "This demo doesn't answer spreadsheets.",
        "open Share and upload one there",
    )
    ADD = (
        "This demo can't add models to programs of yours.",
        "open Share and press the button at the file",
    )
    SERVE = (
        "This demo doesn't open endpoints for other programs.",
        "open Share and press Start there",
    )
    IMPORT_MODEL = (
        "This demo doesn't import models from other computers.",
        "add the zip file on My models",
    )
    MEASURE = (
        "The speed of this computer isn't measured again in a demo.",
        "press the same button",
    )

    @property
    def refusal(self) -> NotInDemo:
        """Why a demo has this switched off and how to do it at home."""
        what, at_home = self.value
        return NotInDemo(
            what,
            "Many people share this server.",
            f"On your own computer you can: {at_home}.",
        )


@dataclass(frozen=True)
class Limits:
    """How much a visitor may use, and all of them together. Sizes in MiB, times in
    seconds.

    unpacked: of a packed file. parsing: memory for parsing a document. imports: of one
    visitor at the same time. rows: of a dataset. tokens: that a run sees, all epochs
    together. training: seconds that it may take.
    waiting: jobs of one visitor that wait or run in one lane; queue: of all visitors.
    chats: answered at the same time. visitors: workspaces, and as many more of people
    who signed in. disk: of all workspaces; visitor_disk: of one; visitor_folders:
    datasets and jobs of one; uploads: of files just uploaded; visitor_uploads: of one
    visitor. lifetime: since the last visit.
    """

    upload: float = 1024.0
    unpacked: float = 1024.0
    parsing: float = 2048.0
    imports: float = math.inf
    rows: float = math.inf
    tokens: float = math.inf
    training: float = math.inf
    waiting: float = math.inf
    queue: float = math.inf
    chats: int = 1
    visitors: float = math.inf
    disk: float = math.inf
    visitor_disk: float = math.inf
    visitor_folders: float = math.inf
    uploads: float = math.inf
    visitor_uploads: float = math.inf
    lifetime: float = math.inf


@dataclass(frozen=True)
class Policy:
    """demo: whether strangers share this page; then each has a workspace of their own."""

    demo: bool
    off: frozenset[Feature]
    limits: Limits

    def why_not(self, feature: Feature) -> str:
        """Why this is off and how to do it at home; "" where it is allowed."""
        return str(feature.refusal) if feature in self.off else ""

    def require(self, feature: Feature) -> None:
        """Raises NotInDemo where this is off."""
        if feature in self.off:
            raise feature.refusal


def require_rows(rows: int, allowed: float) -> None:
    """Raises NotInDemo for a dataset with more rows than a demo allows."""
    if rows > allowed:
        raise NotInDemo(
            "That is more examples than the demo allows.",
            f"There are more than {allowed:,g} of them.",
            "Use a smaller file. On your own computer there is no such limit.",
        )


HOME = Policy(False, frozenset(), Limits())
DEMO = Policy(
    True,
    frozenset(Feature),
    Limits(
        upload=5.0, unpacked=50.0, parsing=512.0, imports=1, rows=2_000, tokens=2_000_000, training=900.0,
        waiting=2, queue=20, chats=4, visitors=200, lifetime=2 * 3600.0,
        disk=20_000.0, visitor_disk=600.0, visitor_folders=200, uploads=1_000.0, visitor_uploads=20.0,
    ),
)  # fmt: skip


def chosen(environment: Mapping[str, str] = os.environ) -> Policy:
    """The policy for the page: DEMO on a Hugging Face Space, which sets SPACE_ID or
    SYSTEM, or with APPRENTICE_DEMO=1; else HOME.
    """
    on_a_space = environment.get("SPACE_ID") or environment.get("SYSTEM") == "spaces"
    return DEMO if environment.get(DEMO_VARIABLE) == "1" or on_a_space else HOME
