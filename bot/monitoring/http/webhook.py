"""Answer `POST /alerts`: who may send, how much at a time, and what is accepted."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import web
from pydantic import ValidationError

from roas.errors import RoasError
from roas.log import get_logger
from roas.monitoring.alerts.alert_service import AlertService
from roas.monitoring.http.webhook_formats import Webhook, read_reports
from roas.wrong_values import wrong_values

log = get_logger(__name__)

LARGEST_BODY = 4 * 1024 * 1024
PATIENCE_SECONDS = 30.0
SCHEME = "bearer "
MOST_REPORTED_ERRORS = 3

# Returns the services that are known, by environment.
KnownServices = Callable[[], Awaitable[Mapping[str, Iterable[str]]]]


class AlertWebhook:
    """Accept alerts from any sender with the token; a standby asks the sender to try again."""

    def __init__(
        self,
        token: str,
        alert_service: AlertService,
        services: KnownServices,
        is_leader: Callable[[], bool] = lambda: True,
    ) -> None:
        self._token = token.encode()
        self._alert_service = alert_service
        self._services = services
        self._is_leader = is_leader

    async def answer(self, request: web.Request) -> web.Response:
        """Process a delivery; every refusal names its reason."""
        try:
            return await self._answer(request)
        except Exception:  # the sender must neither see a fault of ours nor stop trying
            log.exception("alerts could not be received")
            return _refuse(503, "the delivery could not be processed; try again")

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._is_permitted(request):
            return _refuse(401, "a bearer token is needed: Authorization: Bearer <WEBHOOK_TOKEN>")
        if not self._is_leader():
            return _refuse(503, "this bot is on standby; try again, another one leads")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                webhook = await _read(request)
        except TimeoutError:
            return _refuse(408, f"the body was not complete within {PATIENCE_SECONDS:g} s")
        except web.HTTPRequestEntityTooLarge:
            return _refuse(413, f"a delivery may have {LARGEST_BODY} bytes at most")
        except web.RequestPayloadError:
            return _refuse(400, "the body is not what its Content-Encoding or Transfer-Encoding says")
        except ValidationError as error:
            return _refuse(400, _explain(error))
        except (ValueError, RecursionError):
            return _refuse(400, "the body is not JSON")
        return await self._take(webhook)

    async def _take(self, webhook: Webhook) -> web.Response:
        try:
            taken = await self._alert_service.take(read_reports(webhook, await self._services()))
        except RoasError as error:
            log.error("received alerts could not be saved", error=error.message)
            return _refuse(503, "the journal cannot be written; try again")
        triggered, resolved = sum(one.triggered for one in taken), sum(one.resolved for one in taken)
        log.info("alerts received", source=webhook.source.value, triggered=triggered, resolved=resolved)
        return web.json_response({"received": len(webhook.alerts), "triggered": triggered, "resolved": resolved})

    def _is_permitted(self, request: web.Request) -> bool:
        """Compare in constant time, whatever was sent."""
        header = request.headers.get("Authorization", "")
        sent = header[len(SCHEME) :] if header.lower().startswith(SCHEME) else ""
        return hmac.compare_digest(sent.strip().encode(errors="replace"), self._token) and bool(sent)


async def _read(request: web.Request) -> Webhook:
    """Read a delivery; a packed one counts as it is unpacked.

    Raises HTTPRequestEntityTooLarge, RequestPayloadError, ValidationError, ValueError.
    """
    if request.content_length is not None and request.content_length > LARGEST_BODY:
        raise web.HTTPRequestEntityTooLarge(LARGEST_BODY, request.content_length)
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise web.HTTPRequestEntityTooLarge(LARGEST_BODY, len(body))
    return Webhook.model_validate_json(bytes(body))


def _explain(error: ValidationError) -> str:
    """Describe what is wrong with a body without repeating what is in it."""
    faults = wrong_values(error)[:MOST_REPORTED_ERRORS]
    return "; ".join(f"{'.'.join(map(str, path)) or 'body'}: {text}" for path, text in faults)[:500]


def _refuse(status: int, reason: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    # What was not read to its end cannot be followed by another request.
    response = web.json_response({"error": reason}, status=status, headers=headers)
    if status in {400, 408, 413}:
        response.force_close()
    return response
