"""Who may talk to the server: a browser that shows our own page, and programs on this
computer.

Any other web page could reach a server on loopback, through a name that resolves to
127.0.0.1 (DNS rebinding) or by a plain cross-site request. So every request, whatever
its method, and every websocket must name us as its host and must not come from another
origin. When in doubt, the request is refused.

    Host        one of our own names with our port                                 else 400
                (with the page open to the network, also the address of the connection:
                it is not a name, so
                no name server can point it at us)
    Origin      if sent, our own                                                   else 403
    no Origin   Sec-Fetch-Site is same-origin or none; or neither header is sent and the method is safe (a
                program, not a browser); or a person follows a link to the page    else 403
"""

import ipaddress
import math
import time
from collections import deque
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.records.units import KIB, MIB

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = {"GET", "HEAD"}

# Nothing is loaded from other servers. Gradio needs inline and evaluated scripts.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
)
WINDOW = 900.0  # seconds for which a wrong password counts
FROM_ONE = 10  # wrong passwords in that time, of one address
_REMEMBERED = 10_000  # wrong passwords of all addresses
_LONGEST_LOGIN, _LONGEST_DROPPED = (
    16 * KIB,
    8 * MIB,
)  # bytes; the latter of a refused body that is read
_RIGHT = 200  # gradio's answer to a right password; whatever else it answers counts as a wrong one


class Guard:
    """ASGI middleware that refuses all other requests. hosts: further names of ours,
    such as a --host. If there is one, the page is open to the network. space: the name
    of the Space that the page is on; huggingface.co may frame it.
    """

    def __init__(
        self, app: ASGIApp, hosts: Sequence[str] = (), space: str = ""
    ) -> None:
        self.app = app
        self.spaces = {
            name.strip() for name in space.lower().split(",") if name.strip()
        }  # two with an own domain
        self.hosts = (*LOOPBACK, *map(str.lower, hosts))
        self.open = bool(hosts)
        ancestors = "https://huggingface.co" if self.spaces else "'none'"
        self.headers = [
            (
                b"content-security-policy",
                (POLICY + f"frame-ancestors {ancestors}").encode(),
            ),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = (
            self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        )
        if refusal is None:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message = {
                        **message,
                        "headers": [*message.get("headers", ()), *self.headers],
                    }
                await send(message)

            await self.app(scope, receive, sending)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(refusal[1], refusal[0], ending(scope))(
                scope, receive, send
            )

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        ours = self._our_names(scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in ours:
            return (
                400,
                "Unknown host. Open the page at the address shown in the terminal.",
            )
        if not self._may_request(scope, headers, ours):
            return 403, "Requests from other sites are refused."
        return None

    def _our_names(self, scope: Scope) -> set[str]:
        address, port = scope.get("server") or ("", None)
        hosts = {*self.hosts, *(literals(address) if self.open else ())}
        names = {f"{host}:{port}" for host in hosts}
        if port in (80, 443):
            names.update(hosts)
        return names | self.spaces

    def _may_request(self, scope: Scope, headers: Headers, ours: set[str]) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, name = origin.lower().partition("://")
            return name in ours and scheme == (
                "https" if name in self.spaces else "http"
            )
        site = headers.get("sec-fetch-site")
        if scope["type"] == "websocket":
            return False
        if site in ("same-origin", "none"):
            return True
        if site is None:
            return scope["method"] in SAFE_METHODS
        return self._opens_the_page(scope, headers)

    def _opens_the_page(self, scope: Scope, headers: Headers) -> bool:
        """Whether a person follows a link from another site to our front page, or a
        Space's page frames it or leads back from signing in.
        """
        paths = {"/", "/login/callback"} if self.spaces else {"/"}
        destinations = {"document", "iframe"} if self.spaces else {"document"}
        return (
            scope["method"] == "GET"
            and scope["path"] in paths
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") in destinations
        )


def cookie(scope: Scope, name: str) -> str:
    """The value of a cookie that a request carries, whatever cookies other programs
    have left; "" without it.
    """
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(name, "")


def body_length(scope: Scope) -> float:
    """Bytes of a request's body; infinite where it does not say so, or comes in chunks,
    whatever else it says.
    """
    headers = Headers(scope=scope)
    text = "" if "transfer-encoding" in headers else headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else math.inf


def ending(scope: Scope) -> dict[str, str]:
    """Headers of a refusal. Of a long body, the rest is not read: the connection ends.
    Who still sends may then see that instead of the answer, so the server reads others,
    only to drop them (3 ms of its processor for 5 MB).
    """
    return {"Connection": "close"} if body_length(scope) > _LONGEST_DROPPED else {}


def subscriber(host: str) -> str:
    """The address for which limits count: of IPv6 the network (/64), all of whose
    addresses one subscriber has; "" of this computer, as of a proxy on it.

    >>> subscriber("2001:db8:1:2:3:4:5:6"), subscriber("::ffff:192.0.2.7"),
    subscriber("::1")
    ('2001:db8:1:2::', '192.0.2.7', '')
    """
    address = _parsed(host)
    if address is None:
        return host
    prefix = 64 if address.version == 6 else 32
    return (
        ""
        if address.is_loopback
        else str(ipaddress.ip_network((address, prefix), strict=False).network_address)
    )


def is_loopback(host: str) -> bool:
    address = _parsed(host)
    return host == "localhost" if address is None else address.is_loopback


def is_public(host: str) -> bool:
    """Whether it is an address of the internet: not a name, and not of this computer or
    of a local network.
    """
    return bool((address := _parsed(host)) and address.is_global)


def literals(host: str) -> set[str]:
    """How a browser writes an address: IPv6 in brackets; nothing for a name.

    >>> literals("192.168.1.5"), literals("fd00::5%eth0")
    ({'192.168.1.5'}, {'[fd00::5]'})
    """
    address = _parsed(host)
    return {in_url(str(address))} if address else set()


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address without its zone, as IPv4 if it is mapped to IPv6; None for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class LoginLimit:
    """ASGI middleware that keeps a password from being guessed: it answers a login with
    429 while its address has to wait. Nobody else has to, or anybody could lock the
    owner out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._wrong: deque[tuple[float, str]] = deque(
            maxlen=_REMEMBERED
        )  # when, and from which address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or scope["path"].rstrip("/") != "/login"
        ):
            await self.app(scope, receive, send)
            return
        if body_length(scope) > _LONGEST_LOGIN:  # gradio would read it all into memory
            await PlainTextResponse("This is too large.", 413)(scope, receive, send)
            return
        address = subscriber(str((scope.get("client") or ("", 0))[0]))
        since = time.monotonic() - WINDOW
        if (
            sum(at > since and sender == address for at, sender in self._wrong)
            >= FROM_ONE
        ):
            why = "Too many wrong passwords. Wait a quarter of an hour, then try again."
            await PlainTextResponse(why, 429, {"retry-after": f"{WINDOW:.0f}"})(
                scope, receive, send
            )
            return
        self._wrong.append(
            (time.monotonic(), address)
        )  # counted before it is checked: many may arrive at once

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _RIGHT:
                self._wrong = deque(
                    (attempt for attempt in self._wrong if attempt[1] != address),
                    maxlen=_REMEMBERED,
                )
            await send(message)

        await self.app(scope, receive, sending)
