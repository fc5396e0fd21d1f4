"""Answer `POST /alerts`: who may send, how much at a time, and what is accepted."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from roas.alerts.alert_service import AlertService
from roas.configuration.wrong_values import explain_body
from roas.errors import InternalFaultError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.redaction import hide
from roas.shortages import fault_of

MOST_ALERTS = 5000
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.WARNING,
    "warn": Severity.WARNING,
    "info": Severity.INFO,
    "none": Severity.INFO,
}
ENVIRONMENT_LABELS = ("environment", "env")
SERVICE_LABELS = ("service", "compose_service", "container_label_com_docker_compose_service")
log = get_logger(__name__)
LARGEST_BODY = 4 * 1024 * 1024
PATIENCE_SECONDS = 30.0
SCHEME = "bearer "


def _texts(value: object) -> object:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value or {}


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]


class WebhookAlert(BaseModel):
    """Hold one alert as it was sent."""

    status: Literal["firing", "resolved"]
    labels: Texts = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)
    starts_at: str = Field(default="", alias="startsAt")
    ends_at: str | None = Field(default=None, alias="endsAt")
    fingerprint: str = ""


class Webhook(BaseModel):
    """Hold a delivery. Grafana's version is 1 and it sends an `orgId`; Alertmanager's version is 4."""

    # As in state/documents.py: of what was read nothing is kept.
    model_config = ConfigDict(cache_strings="keys")

    version: str
    alerts: list[WebhookAlert] = Field(max_length=MOST_ALERTS)
    group_key: str = Field(default="", alias="groupKey")
    truncated_alerts: int | None = Field(default=None, alias="truncatedAlerts")
    organisation: int | None = Field(default=None, alias="orgId")

    @property
    def source(self) -> AlertSource:
        """Return who sends it."""
        return AlertSource.ALERTMANAGER if self.organisation is None else AlertSource.GRAFANA


def read_reports(webhook: Webhook, services: Mapping[str, Iterable[str]]) -> tuple[AlertReport, ...]:
    """Convert a delivery to reports; `services` are the names that are known here, by environment."""
    known = {environment: frozenset(names) for environment, names in services.items()}
    reports = [_report(webhook.source, alert, known) for alert in webhook.alerts]
    return (*reports, _left_out(webhook))


def _report(source: AlertSource, alert: WebhookAlert, known: Mapping[str, frozenset[str]]) -> AlertReport:
    labels, annotations = alert.labels, alert.annotations
    environment = _first(labels, ENVIRONMENT_LABELS)
    environment = environment if environment in known else ""
    service = _first(labels, SERVICE_LABELS)
    summary = [annotations.get("summary", ""), annotations.get("description", "") or annotations.get("message", "")]
    return AlertReport(
        fingerprint=f"{source.value}:{alert.fingerprint or _digest(labels)}",
        source=source,
        severity=SEVERITIES.get(labels.get("severity", "").lower(), Severity.WARNING),
        title=labels.get("alertname", ""),
        summary="\n".join(part for part in summary if part),
        environment=environment,
        service=service if service in known.get(environment, frozenset()) else "",
        firing=alert.status == "firing",
        occurrence=alert.starts_at,
        ended=alert.ends_at or "",
    )


def _left_out(webhook: Webhook) -> AlertReport:
    """Report that alerts were left out of a delivery; where none was, resolve that."""
    count = webhook.truncated_alerts or 0
    return AlertReport(
        fingerprint=f"{webhook.source.value}:truncated:{_digest({'group': webhook.group_key})}",
        source=webhook.source,
        severity=Severity.WARNING,
        title=said("{count} more {count|alert was|alerts were} left out of a delivery", count=count),
        summary=said("Look at the alerts where they come from, or raise `max_alerts` of the webhook there."),
        firing=count > 0,
    )


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _digest(labels: Mapping[str, str]) -> str:
    text = "\x00".join(f"{name}\x01{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


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
        except Exception as error:  # the sender must neither see a fault of ours nor stop trying
            log.exception("alerts could not be received")
            fault = fault_of(error)
            why = "the delivery could not be processed" if isinstance(fault, InternalFaultError) else hide(fault.whole)
            return _refuse(503, f"{why.removesuffix('.')}; try again")

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._is_permitted(request):
            return _refuse(401, "a bearer token is needed: Authorization: Bearer <WEBHOOK_TOKEN>")
        if not self._is_leader():
            return _refuse(503, "this bot is on standby; try again, another one leads")
        try:
            webhook = Webhook.model_validate_json(await read_body(request, LARGEST_BODY))
        except web.HTTPException as error:
            return _refuse(error.status, error.reason)
        except ValidationError as error:
            return _refuse(400, explain_body(error))
        except (ValueError, RecursionError):
            return _refuse(400, "the body is not JSON")
        return await self._take(webhook)

    async def _take(self, webhook: Webhook) -> web.Response:
        taken = await self._alert_service.take(read_reports(webhook, await self._services()))
        triggered, resolved = sum(result.triggered for result in taken), sum(result.resolved for result in taken)
        log.info("alerts received", source=webhook.source.value, triggered=triggered, resolved=resolved)
        return web.json_response({"received": len(webhook.alerts), "triggered": triggered, "resolved": resolved})

    def _is_permitted(self, request: web.Request) -> bool:
        """Compare in constant time, whatever was sent."""
        header = request.headers.get("Authorization", "")
        sent = header[len(SCHEME) :] if header.lower().startswith(SCHEME) else ""
        return hmac.compare_digest(sent.strip().encode(errors="replace"), self._token) and bool(sent)


async def read_body(request: web.Request, largest: int) -> bytes:
    """Read a body; a packed one counts as it is unpacked. Raises HTTPException, whose reason says what is wrong."""
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for chunk in request.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > largest:
                    raise web.HTTPRequestEntityTooLarge(
                        largest, len(body), reason=f"the body may have {largest} bytes at most"
                    )
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(reason=f"the body was not complete within {PATIENCE_SECONDS:g} s") from error
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(
            reason="the body is not what its Content-Encoding or Transfer-Encoding says"
        ) from error
    return bytes(body)


def _refuse(status: int, reason: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    # What was not read to its end cannot be followed by another request.
    response = web.json_response({"error": reason}, status=status, headers=headers)
    if status in {400, 408, 413}:
        response.force_close()
    return response
