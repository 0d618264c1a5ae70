"""The app as the page uses it in a shared demo: every handler works with the services
of the visitor who sent it.
"""

import os
from typing import Any, cast

from gradio.context import LocalContext

from backend.errors import NotInDemo
from backend.hosting.visitors import Loss
from ui.services.app import App
from ui.services.demo.visitor_apps import VisitorApps
from ui.web.gate import VISITOR, WHY_NONE

_APP = "apprentice.app"  # in the scope of a request, once it was asked for


def _scope() -> dict[str, Any]:
    request = LocalContext.request.get(None)
    return getattr(getattr(request, "request", request), "scope", {})


class PerVisitor:
    """Stands for an `App`. Outside of a request there is none, except while the page is
    built: then it is the base, which no visitor can change.
    """

    def __init__(self, apps: VisitorApps) -> None:
        self._apps = apps
        self._built = False
        self._services = {
            name
            for name in vars(apps.base)
            if not name.startswith("_") and name != "policy"
        }

    def built(self) -> None:
        """Called when the page is built: from now on nothing is read without a visitor."""
        self._built = True

    def loss(self) -> Loss | None:
        """Why this visitor's earlier work is gone; reported once."""
        return self._apps.visitors.loss(self._visitor())

    def current(self) -> App:
        """The services of the visitor who sent the current request. Raises NotInDemo
        without one.
        """
        if not self._built:
            return self._apps.base
        scope = _scope()
        if (
            _APP not in scope
        ):  # a tick asks for dozens of services, and each would look for the visitor's folder
            scope[_APP] = self._apps.app(self._visitor())
        return cast(App, scope[_APP])

    def _visitor(self) -> str:
        scope = _scope()
        visitor: str | None = scope.get(VISITOR)
        if visitor is None and scope.get(WHY_NONE) == "restarted":
            raise NotInDemo(
                "This demo was restarted.",
                "Your earlier work here was deleted.",
                "Reload the page.",
            )
        if visitor is None:
            space = os.environ.get("SPACE_HOST", "").partition(",")[0]
            own = (
                f"Open https://{space} in a tab of its own"
                if space
                else "Open the demo in a tab of its own"
            )
            raise NotInDemo(
                "Your browser sent no cookie.",
                "This demo tells its visitors apart by one, and a browser may refuse it inside another page.",
                f"{own}, or allow its cookies and reload the page.",
            )
        return visitor

    def __getattr__(self, name: str) -> Any:
        if name == "policy":  # the same for all
            return getattr(self._apps.base, name)
        return (
            _Service(self, name)
            if name in self._services
            else getattr(self.current(), name)
        )


class _Service:
    """One of the services, looked up at every use: a handler may have captured it while
    the page was built.
    """

    def __init__(self, app: PerVisitor, name: str) -> None:
        self._app, self._name = app, name

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._app.current(), self._name), name)
