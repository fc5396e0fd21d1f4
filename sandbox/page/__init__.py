"""The web page of the channel: served here, drawn in the browser, steered by the control API."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from sandbox.access import AccessControl

_FOLDER = Path(__file__).parent
_FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "command.js": "text/javascript",
    "draw.js": "text/javascript",
    "forms.js": "text/javascript",
    "markdown.js": "text/javascript",
    "popup.js": "text/javascript",
    "start.js": "text/javascript",
    "words.js": "text/javascript",
    "vendor/discord-components.js": "text/javascript",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Page:
    """Serves the page's files to clients with the token."""

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the page."""
        return [web.get("/", self._index), web.get("/page/{name:.*}", self._file)]

    async def _index(self, request: web.Request) -> web.StreamResponse:
        self._access.check_place(request)
        admitted = self._access.admit_page(request)
        if admitted is not None:
            return admitted
        if not self._access.knows_page(request):
            raise web.HTTPUnauthorized(text="Open the page by the address that the sandbox printed.")
        return web.FileResponse(_FOLDER / "index.html", headers=_HEADERS)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self._access.check_place(request)
        name = request.match_info["name"]
        if name not in _FILES:
            raise web.HTTPNotFound
        return web.FileResponse(_FOLDER / name, headers={**_HEADERS, "Content-Type": _FILES[name]})
