"""The REST side: from an HTTP request of the bot to SimCord and back, as Discord would answer."""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import logging
import re
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from sandbox.changes import Changes
from sandbox.checks import Checks
from sandbox.errors import ApiError
from sandbox.faults import Faults
from sandbox.interactions import Interactions
from sandbox.registration import Registration
from sandbox.replies import reply
from sandbox.simcord_bridge import Bridge, Upload

_log = logging.getLogger(__name__)

UPLOAD_LIMIT = 10 * 1024 * 1024
KEPT_REQUESTS = 2000
KEPT_NONCES = 500
ALREADY_ACKNOWLEDGED = 40060
_CALLBACK = re.compile(r"/interactions/(\d+)/([^/]+)/callback")
_WEBHOOK = re.compile(r"/webhooks/\d+/([^/]+)(/.*)?")
_TOKEN = re.compile(r"(/(?:interactions|webhooks)/\d+/)[^/]+")
_SEND = re.compile(r"/channels/(\d+)/messages")


@dataclass
class Call:
    """A request of the bot, read and ready to be judged."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Any = None
    files: list[Upload] = field(default_factory=list)
    reason: str | None = None


class Rest:
    """Answers `/api/v10/…`."""

    def __init__(
        self,
        bridge: Bridge,
        interactions: Interactions,
        checks: Checks,
        faults: Faults,
        changes: Changes,
        token: str,
        gateway_url: str,
    ) -> None:
        self._bridge = bridge
        self._interactions = interactions
        self._checks = checks
        self._faults = faults
        self._changes = changes
        self._registration = Registration(bridge)
        self._authorization = f"Bot {token}"
        self._nonces: OrderedDict[tuple[int, str], int] = OrderedDict()
        self._gateway_url = gateway_url
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request, and log it."""
        started = time.monotonic()
        path = "/" + request.match_info["path"]
        entry: dict[str, Any] = {
            "method": request.method,
            "path": _without_token(path),
            "time": datetime.now(UTC).isoformat(),
        }
        response = await self._answer(request, path)
        entry["status"], entry["seconds"] = response.status, time.monotonic() - started
        self.requests.append(entry)
        self._changes.bump()
        return response

    async def _answer(self, request: web.Request, path: str) -> web.Response:
        fault = self._faults.take(request.method, path)
        if fault is None:
            return await self._fulfil(request, path)
        response = await self._fulfil(request, path) if fault.performed else None
        if fault.delay > 0:
            await asyncio.sleep(fault.delay)
        if response is None and fault.status is None:
            response = await self._fulfil(request, path)
        return fault.response(response, request.method, path)

    async def _fulfil(self, request: web.Request, path: str) -> web.Response:
        try:
            self._authorize(request, path)
            call = await self._read(request, path)
            await self._checks.check(call.method, call.path, call.body)
            response = reply(self._perform(call))
        except ApiError as error:
            self._checks.refused(request.method, _without_token(path), error)
            response = reply(error.body(), error.status)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            # SimCord fails on a body of the wrong shape where Discord refuses it; either way the caller is wrong.
            _log.warning("%s %s: malformed request", request.method, path, exc_info=error)
            refusal = ApiError(400, 50035, f"Invalid Form Body: {type(error).__name__}: {error}")
            self._checks.refused(request.method, _without_token(path), refusal)
            response = reply(refusal.body(), refusal.status)
        except Exception as error:
            # The sandbox's own fault; a bot that retries would hide it, so it is remembered like the bot's own.
            _log.exception("%s %s: the sandbox failed", request.method, path)
            failure = ApiError(500, 0, f"the sandbox failed: {type(error).__name__}: {error}")
            self._checks.refused(request.method, _without_token(path), failure)
            response = reply(failure.body(), failure.status)
        return response

    def _authorize(self, request: web.Request, path: str) -> None:
        if _CALLBACK.fullmatch(path) or _WEBHOOK.fullmatch(path):
            return  # These carry their authorisation in the path.
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self._authorization.encode()):
            raise ApiError(401, 0, "401: Unauthorized")

    async def _read(self, request: web.Request, path: str) -> Call:
        reason = request.headers.get("X-Audit-Log-Reason")
        call = Call(request.method, path, dict(request.query), reason=unquote(reason) if reason else None)
        if request.content_type == "multipart/form-data":
            await _read_multipart(request, call)
        elif request.can_read_body:
            call.body = _parse(await request.read())
        return call

    def _perform(self, call: Call) -> Any:
        if self._registration.covers(call.path):
            return self._registration.answer(call.method, call.path, call.body)
        own = self._own_answer(call)
        if own is not None:
            return own
        if (sent := _SEND.fullmatch(call.path)) and call.method == "POST":
            return self._send_message(call, int(sent[1]))
        if call.method == "GET" and "after" in call.params and _SEND.fullmatch(call.path):
            return self._messages_after(call)
        if callback := _CALLBACK.fullmatch(call.path):
            answer = self._acknowledge(call, int(callback[1]))
            return answer if call.params.get("with_response", "").lower() in ("1", "true") else None
        answer = self._dispatch(call)
        if (webhook := _WEBHOOK.fullmatch(call.path)) and call.method != "GET":
            interaction_id = self._bridge.interaction_id_of_token(webhook[1])
            if interaction_id is not None:
                self._interactions.answered(interaction_id, acknowledged=False)
        return answer

    def _messages_after(self, call: Call) -> Any:
        """Return those next to a message, as Discord does, where SimCord has the newest of all."""
        limit = int(call.params.get("limit", 50))
        answer = self._dispatch(replace(call, params={**call.params, "limit": str(sys.maxsize)}))
        return answer[-limit:]

    def _acknowledge(self, call: Call, interaction_id: int) -> Any:
        try:
            answer = self._dispatch(call)
        except ApiError as error:
            if error.code == ALREADY_ACKNOWLEDGED:
                self._interactions.refused(interaction_id)
            raise
        self._interactions.answered(interaction_id, acknowledged=True)
        return answer

    def _own_answer(self, call: Call) -> Any:
        """Answer what SimCord knows nothing of: the gateway's address."""
        if call.method == "GET" and call.path == "/gateway":
            return {"url": self._gateway_url}
        if call.method == "GET" and call.path == "/gateway/bot":
            limit = {"total": 1000, "remaining": 1000, "reset_after": 86_400_000, "max_concurrency": 1}
            return {"url": self._gateway_url, "shards": 1, "session_start_limit": limit}
        if call.method == "GET" and call.path == "/applications/@me":
            return self._dispatch(Call("GET", "/oauth2/applications/@me", {}))
        return None

    def _send_message(self, call: Call, channel_id: int) -> Any:
        """Post a message once: Discord returns the first message when an enforced nonce is repeated."""
        body = call.body if isinstance(call.body, dict) else {}
        nonce = body.get("nonce")
        key = (channel_id, str(nonce))
        enforced = nonce is not None and body.get("enforce_nonce") and key in self._nonces
        if enforced and self._bridge.message_exists(channel_id, self._nonces[key]):
            return {**self._bridge.message(channel_id, self._nonces[key]), "nonce": nonce}
        self._refuse_forbidden_parts(call, body, channel_id)
        answer = self._dispatch(call, nonce=None if nonce is None else str(nonce))
        if nonce is not None:
            self._nonces[key] = int(answer["id"])
            answer["nonce"] = nonce
            if len(self._nonces) > KEPT_NONCES:
                self._nonces.popitem(last=False)
        return answer

    def _refuse_forbidden_parts(self, call: Call, body: dict[str, Any], channel_id: int) -> None:
        """Refuse what SimCord lets pass: files, embeds and replies each need a permission of their own."""
        if body.get("message_reference") and not self._bridge.bot_may(channel_id, "read_message_history"):
            raise ApiError(400, 160002, "Cannot reply without permission to read message history")
        parts = (("attach_files", call.files), ("embed_links", body.get("embeds")))
        if any(part and not self._bridge.bot_may(channel_id, permission) for permission, part in parts):
            raise ApiError(403, 50013, "Missing Permissions")

    def _dispatch(self, call: Call, nonce: str | None = None) -> Any:
        return self._bridge.rest(
            call.method,
            call.path,
            json=call.body,
            params=call.params,
            files=call.files,
            reason=call.reason,
            nonce=nonce,
        )


def _without_token(path: str) -> str:
    """Hide the token of an interaction or a webhook: it is long, says nothing, and still authorises."""
    return _TOKEN.sub(r"\1:token", path)


def _parse(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from error


async def _read_multipart(request: web.Request, call: Call) -> None:
    """Read payload_json and the files, whose descriptions are in payload_json."""
    files: list[tuple[str, str, bytes]] = []
    form: dict[str, Any] = {}
    total = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        data = bytes(await part.read(decode=True))
        total += len(data)
        if total > UPLOAD_LIMIT:
            raise ApiError(413, 40005, "Request entity too large")
        if part.name == "payload_json":
            call.body = _parse(data)
        elif part.filename is not None:
            files.append((part.name or "", part.filename, data))
        else:
            form[part.name or ""] = data.decode()
    if call.body is None:
        call.body = form or None
    described = _described_attachments(call.body)
    for name, filename, data in files:
        meta = described.get(name.removeprefix("files[").removesuffix("]"), {})
        call.files.append(Upload(meta.get("filename") or filename, io.BytesIO(data), meta.get("description")))


def _described_attachments(body: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(body, dict):
        return {}
    nested = body.get("data") if isinstance(body.get("data"), dict) else body
    attachments = (nested or {}).get("attachments") or []
    return {str(attachment.get("id")): attachment for attachment in attachments if isinstance(attachment, dict)}
