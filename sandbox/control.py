"""The control API's server side: what tests and the web page do in place of people, and what they see."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.access import AccessControl
from sandbox.changes import Changes
from sandbox.checks import Checks
from sandbox.errors import ApiError, ControlError
from sandbox.faults import Fault, Faults
from sandbox.gateway import Gateway
from sandbox.interactions import Interactions
from sandbox.rest import Rest
from sandbox.sessions import Sessions
from sandbox.world import LOCALES, World

LONGEST_POLL = 30.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Answers `/control/…`; every GET can wait for the next change by `since` and `wait`."""

    def __init__(
        self,
        world: World,
        interactions: Interactions,
        sessions: Sessions,
        rest: Rest,
        checks: Checks,
        faults: Faults,
        changes: Changes,
        access: AccessControl,
        gateway: Gateway,
    ) -> None:
        self._gateway = gateway
        self._world = world
        self._interactions = interactions
        self._sessions = sessions
        self._rest = rest
        self._checks = checks
        self._faults = faults
        self._changes = changes
        self._access = access

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the control API."""
        reads: dict[str, Callable[[web.Request], Any]] = {
            "state": self._state,
            "commands": lambda _: self._interactions.commands(),
            "violations": lambda _: list(self._checks.violations),
            "requests": lambda _: list(self._rest.requests),
            "messages": self._messages,
            "interactions": lambda request: self._interactions.followed(self._world.user(request.query["user"])),
            "interactions/{id}": lambda request: self._interactions.state(int(request.match_info["id"])),
        }
        writes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "say": self._say,
            "slash": self._slash,
            "autocomplete": self._autocomplete,
            "click": self._click,
            "submit": lambda body: self._started(
                self._interactions.submit(int(body["interaction_id"]), body["values"])
            ),
            "users": lambda body: {"id": str(self._world.add_user(body["name"], body["roles"]))},
            "roles": lambda body: self._world.set_roles(body["user"], body["roles"]),
            "locale": self._locale,
            "guild_locale": self._guild_locale,
            "deny": lambda body: self._world.bridge.deny_bot(
                self._world.channel(body.get("channel")), body["permissions"]
            ),
            "delete_message": lambda body: self._world.bridge.delete_message(
                self._world.channel(body.get("channel")), int(body["message_id"])
            ),
            "delete_channel": lambda body: self._world.bridge.delete_channel(self._world.channel(body.get("channel"))),
            "create_channel": lambda body: {"id": str(self._world.create_channel(body["name"]))},
            "advance": lambda body: self._interactions.advance(float(body["seconds"])),
            "faults": lambda body: self._faults.add(Fault(**body)) if body else self._faults.clear(),
            "disconnect": self._disconnect,
            "gateway": lambda body: self._gateway.be_away(away=bool(body["away"])),
        }
        routes = [web.get(f"/control/{name}", self._reading(read)) for name, read in reads.items()]
        routes += [web.post(f"/control/{name}", self._writing(write)) for name, write in writes.items()]
        return [*routes, web.get("/control/events", self._events)]

    def _reading(self, read: Callable[[web.Request], Any]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._access.check_control(request)
            since, seconds = int(request.query.get("since", -1)), float(request.query.get("wait", 0))
            version = await self._changes.wait(since, min(seconds, LONGEST_POLL))
            return self._respond(lambda: {"version": version, "data": read(request)})

        return handle

    def _writing(self, write: Callable[[dict[str, Any]], Any]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._access.check_control(request)
            body = await request.json()
            response = self._respond(lambda: {"data": write(body)})
            self._changes.bump()
            return response

        return handle

    @staticmethod
    def _respond(act: Callable[[], Any]) -> web.Response:
        try:
            return web.json_response(act())
        except ControlError as error:
            return web.json_response({"error": error.message}, status=error.status)
        except ApiError as error:
            return web.json_response({"error": error.message}, status=error.status)
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    def _state(self, _request: web.Request) -> dict[str, Any]:
        return {
            "connected": len(self._sessions.connected()),
            "identified": self._sessions.identified,
            "resumed": self._sessions.resumed,
            **self._world.describe(),
        }

    def _messages(self, request: web.Request) -> list[dict[str, Any]]:
        user_id = self._world.user(request.query["as_user"])
        channel_id = self._world.channel(request.query.get("channel"))
        after = int(request.query.get("after", 0))
        return self._world.bridge.visible_messages(channel_id, user_id, after=after)

    def _say(self, body: dict[str, Any]) -> dict[str, str]:
        channel_id, user_id = self._world.channel(body.get("channel")), self._world.user(body["user"])
        return {"id": str(self._world.bridge.say(channel_id, user_id, str(body["text"])))}

    def _slash(self, body: dict[str, Any]) -> dict[str, str]:
        return self._started(
            self._interactions.slash(
                body["user"],
                body["command"],
                body.get("options", {}),
                channel=body.get("channel"),
                locale=body.get("locale"),
                even_if_hidden=bool(body.get("even_if_hidden")),
            )
        )

    def _autocomplete(self, body: dict[str, Any]) -> dict[str, str]:
        return self._started(
            self._interactions.autocomplete(
                body["user"],
                body["command"],
                body["option"],
                body["value"],
                body.get("options", {}),
                channel=body.get("channel"),
                locale=body.get("locale"),
            )
        )

    def _click(self, body: dict[str, Any]) -> dict[str, str]:
        values, locale = body.get("values"), body.get("locale")
        message_id = int(body["message_id"])
        return self._started(self._interactions.click(body["user"], message_id, body["custom_id"], values, locale))

    @staticmethod
    def _started(interaction_id: int) -> dict[str, str]:
        return {"id": str(interaction_id)}

    def _locale(self, body: dict[str, Any]) -> None:
        self._world.locales[self._world.user(body["user"])] = _checked_locale(body["locale"])

    def _guild_locale(self, body: dict[str, Any]) -> None:
        self._world.bridge.set_guild_locale(self._world.guild_id, _checked_locale(body["locale"]))

    def _disconnect(self, body: dict[str, Any]) -> dict[str, int]:
        return {"cut": self._sessions.cut(int(body.get("code", 4000)), resumable=bool(body.get("resumable", True)))}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send every change to the page, as server-sent events, until it disconnects."""
        self._access.check_control(request)
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        version = -1
        while not self._changes.closed:
            version = await self._changes.wait(version, LONGEST_POLL)
            try:
                await response.write(f"data: {json.dumps({'version': version})}\n\n".encode())
            except ConnectionError:
                break
        return response


def _checked_locale(locale: str) -> str:
    if locale not in LOCALES:
        raise ControlError(f"the sandbox supports {', '.join(LOCALES)}, not {locale!r}")
    return locale
