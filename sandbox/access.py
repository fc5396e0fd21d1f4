"""Access to the sandbox: it deploys for anyone who reaches it, so it listens on this machine and needs a token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets

from aiohttp import web

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def bindable(host: str) -> str:
    """Return the address to bind to, refusing all that the world could reach."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ValueError(f"the sandbox binds to an address, not to a name: {host!r}") from error
    if address.is_unspecified or not (address.is_loopback or address.is_private):
        raise ValueError(f"the sandbox binds to loopback or to a bridge's private address only, not to {host}")
    return host


class AccessControl:
    """Checks Host, Origin and the token of every request that may steer the sandbox."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._page_secret = secrets.token_urlsafe(32)
        self._hosts: set[str] = set()
        self._cookie = "sandbox"

    def listen_on(self, host: str, port: int) -> None:
        """Learn the address once it is known."""
        shown = f"[{host}]" if ":" in host else host
        self._hosts = {f"{name}:{port}" for name in (*LOCAL_NAMES, shown)}
        self._cookie = f"sandbox_{port}"  # Browsers do not keep the cookies of two ports apart.

    def check_place(self, request: web.Request) -> None:
        """Refuse a foreign Host (DNS rebinding) or Origin (another page in the same browser)."""
        if request.headers.get("Host", "") not in self._hosts:
            raise web.HTTPForbidden(text="wrong Host")
        origin = request.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            raise web.HTTPForbidden(text="wrong Origin")

    def check_control(self, request: web.Request) -> None:
        """Accept a bearer of the token, or the page that was opened with it."""
        self.check_place(request)
        given = request.headers.get("Authorization", "")
        if _equal(given, f"Bearer {self._token}"):
            return
        if not self.knows_page(request):
            raise web.HTTPUnauthorized(text="wrong or missing token")
        if request.method != "GET" and "Origin" not in request.headers:
            raise web.HTTPForbidden(text="missing Origin")

    def check_file(self, request: web.Request, signature: str) -> None:
        """Accept requests with the token, and those whose address holds its own signature, as Discord's do."""
        if _equal(request.query.get("hm", ""), signature):
            self.check_place(request)
        else:
            self.check_control(request)

    def knows_page(self, request: web.Request) -> bool:
        """Return whether the request has the page's cookie."""
        return _equal(request.cookies.get(self._cookie, ""), self._page_secret)

    def admit_page(self, request: web.Request) -> web.Response | None:
        """Exchange the token in the page's address for a cookie, so that it leaves the address bar."""
        if not _equal(request.query.get("token", ""), self._token):
            return None
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(self._cookie, self._page_secret, httponly=True, samesite="Strict", path="/")
        return response


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
