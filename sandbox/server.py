"""The sandbox as a whole: one HTTP server for REST, gateway, control API, attachments and page."""

from __future__ import annotations

import base64
import os
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from sandbox.access import AccessControl, bindable
from sandbox.changes import Changes
from sandbox.checks import Checks
from sandbox.control import Control
from sandbox.faults import Faults
from sandbox.gateway import Gateway
from sandbox.interactions import Interactions
from sandbox.openapi import OpenApi
from sandbox.page import Page
from sandbox.rest import Rest
from sandbox.sessions import Sessions
from sandbox.simcord_bridge import Bridge
from sandbox.world import World

BOT_NAME = "ROAS Bot"
BODY_LIMIT = 32 * 1024 * 1024
SHUTDOWN_SECONDS = 1.0


class Sandbox:
    """A Discord of one's own: `async with Sandbox() as sandbox:`."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        openapi: str | Path | None = None,
        *,
        privileged_intents: bool = False,
    ) -> None:
        self._host = bindable(host)
        self._port = port
        named = openapi or os.environ.get("DISCORD_OPENAPI")
        self._openapi = OpenApi(Path(named)) if named else None
        self._privileged = privileged_intents
        self.control_token = secrets.token_urlsafe(32)

    async def __aenter__(self) -> Self:
        """Bind, build what needs the address, then serve."""
        self._socket = _bind(self._host, self._port)
        address, port = self._socket.getsockname()[:2]
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.api_url = f"http://{place}/api/v10"
        self.gateway_url = f"ws://{place}/gateway/"
        self.control_url = f"http://{place}/control"
        self.page_url = f"http://{place}/?token={self.control_token}"
        application = self._build(f"http://{place}")
        self._access.listen_on(address, port)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        return self

    def _build(self, base: str) -> web.Application:
        bridge = Bridge(base, BOT_NAME)
        world = World(bridge)
        self.application_id = bridge.application_id
        self.bot_token = bot_token(bridge.application_id)
        self.guild_id, self.ops_channel_id = world.guild_id, world.ops_channel_id
        self.roles, self.users = world.roles, world.users
        self._changes = Changes()
        self._access = AccessControl(self.control_token)
        sessions = Sessions(bridge, self._changes)
        self._gateway = Gateway(bridge, sessions, self.bot_token, self.gateway_url, privileged=self._privileged)
        bridge.listen(sessions.broadcast)
        self._interactions = Interactions(world, sessions.broadcast, self._changes)
        checks, faults = Checks(self._openapi), Faults()
        rest = Rest(bridge, self._interactions, checks, faults, self._changes, self.bot_token, self.gateway_url)
        control = Control(
            world, self._interactions, sessions, rest, checks, faults, self._changes, self._access, self._gateway
        )
        application = web.Application(client_max_size=BODY_LIMIT)
        application.add_routes(
            [
                web.route("*", "/api/v10/{path:.*}", rest.handle),
                web.get("/gateway/", self._gateway.handle),
                web.get("/attachments/{path:.*}", _attachments(bridge, self._access)),
                *control.routes(),
                *Page(self._access).routes(),
            ]
        )
        return application

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send everybody home and stop listening."""
        self._changes.close()
        self._interactions.close()
        await self._gateway.close()
        await self._runner.cleanup()
        self._socket.close()

    def describe(self) -> dict[str, Any]:
        """Return all that a bot or a test must know, as plain JSON values."""
        return {
            "api_url": self.api_url,
            "gateway_url": self.gateway_url,
            "page_url": self.page_url,
            "control_url": self.control_url,
            "control_token": self.control_token,
            "bot_token": self.bot_token,
            "application_id": self.application_id,
            "guild_id": self.guild_id,
            "ops_channel_id": self.ops_channel_id,
            "roles": self.roles,
            "users": self.users,
        }


def bot_token(application_id: int) -> str:
    """Create a token of the shape that Discord issues: the bot's id, a time, a secret."""
    identity = base64.urlsafe_b64encode(str(application_id).encode()).decode().rstrip("=")
    return f"{identity}.{secrets.token_urlsafe(6)[:6]}.{secrets.token_urlsafe(30)[:38]}"


def _bind(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _attachments(bridge: Bridge, access: AccessControl) -> Any:
    async def handle(request: web.Request) -> web.Response:
        path = request.match_info["path"]
        access.check_file(request, bridge.signature(path))
        stored = bridge.attachment(path)
        if stored is None:
            raise web.HTTPNotFound
        data, content_type = stored
        # Never rendered by a browser: a file comes from the bot, and this origin steers it.
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        if content_type in ("image/png", "image/jpeg", "image/gif", "image/webp"):
            headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(body=data, content_type=content_type, headers=headers)

    return handle
