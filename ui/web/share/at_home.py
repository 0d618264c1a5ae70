"""The card on Share that a Space shows: how to continue without it."""

from __future__ import annotations

from markupsafe import Markup

from backend.export import space
from ui.web.html import components


def card() -> Markup:
    """How to copy the Space and how to start its program at home; nothing outside of a Space."""
    address = space.address()
    if not address:
        return components.EMPTY
    return components.card(
        "Continue at home",
        components.text("These two commands start Apprentice on your own computer (it needs Python and git):"),
        components.code("\n".join(space.commands_at_home())),
        Markup('<p class="small">{}</p>').format(
            components.external_link(f"{address}?duplicate=true", "Or make your own copy: duplicate this Space")
        ),
        lead="Nothing stays here. “Everything in one file” contains everything that you made.",
    )
