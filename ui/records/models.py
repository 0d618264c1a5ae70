"""Records about models and the access token."""

from dataclasses import dataclass

from backend.models.catalogue import Entry
from backend.models.hub_token import TokenSource
from jobs.records import Job


@dataclass(frozen=True)
class TokenStatus:
    """The access token for gated models; never the token itself. source: where a token
    was found, "" for none. storage: where a new one would be saved, "" when this page
    can't download gated models. why_not: why this page does not ask for one, "" when it
    does.
    """

    source: TokenSource
    storage: TokenSource
    why_not: str = ""


@dataclass(frozen=True)
class DownloadStatus:
    """A model that is not on this computer.
    job: its latest download, if any. has_partial: whether a part of it is here. token:
    None for an open model. why_not: why this page downloads no models, "" if it does.
    """

    model: Entry
    job: Job | None
    has_partial: bool
    token: TokenStatus | None
    why_not: str = ""
