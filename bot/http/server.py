"""Answer over HTTP how the bot itself is, /health, /ready and /metrics, and take alerts, where they are wanted."""

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from roas.errors import InternalFaultError, SettingsError
from roas.log import get_logger
from roas.messages.message import said
from roas.metrics.bot_metrics import Metrics
from roas.models.leader_lease import JOURNAL_LOST, JOURNAL_UNREADABLE, STATE_SHARED
from roas.redaction import hide
from roas.shortages import fault_of
from roas.version import __version__

log = get_logger(__name__)

PROBE_SECONDS = 2.0
SHUTDOWN_SECONDS = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NEVER_CACHED = {"Cache-Control": "no-store"}

# Returns where a part is ready; raises a RoasError that says why it is not.
ReadinessProbe = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class JournalStanding:
    """Report which journal this bot is on, and why it is on none any more."""

    id: str
    lost: str = ""
    conflict: str = ""
    unreadable: str = ""


class HttpServer:
    """Serve four pages on one address; `readiness` names each part and asks it. `take_alerts` answers /alerts.

    `journal` says which journal this bot is on, by which others know whether it is one of theirs.
    """

    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        readiness: Mapping[str, ReadinessProbe] | None = None,
        *,
        take_alerts: Callable[[web.Request], Awaitable[web.Response]] | None = None,
        journal: Callable[[], JournalStanding] | None = None,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        self._journal = journal
        self._leads = leads
        self._take_alerts = take_alerts
        self._host = host
        self._wanted_port = port
        self._metrics = metrics
        self._readiness = dict(readiness or {})
        self._started = time.monotonic()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """Return the port that is listened on; 0 while none is."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else 0

    async def start(self) -> None:
        """Begin to listen. Raises SettingsError where the address cannot be had."""
        application = web.Application(middlewares=[_answer_faults])
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/ready", self._ready),
                web.get("/leader", self._leader),
                web.get("/metrics", self._read_metrics),
            ]
        )
        if self._take_alerts is not None:
            application.add_routes([web.post("/alerts", self._take_alerts)])
        # Probes come every few seconds: no line in the log for each of them.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted_port).start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_listen(self._host, self._wanted_port, error) from error
        self._runner = runner
        log.info("http server listens", host=self._host, port=self.port)

    async def stop(self) -> None:
        """Stop listening; what is being answered is answered."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def watch(self, part: str, probe: ReadinessProbe) -> None:
        """Add a part to the readiness check."""
        self._readiness[part] = probe

    async def _health(self, _: web.Request) -> web.Response:
        """Report that the process lives, and on which journal; an answer at all shows that its event loop runs.

        It fails where the journal was lost, since such a bot acts no more until it is started again, and where the
        journal is another stack's or cannot be read at present, since such a bot answers nobody.
        """
        seconds = round(time.monotonic() - self._started, 3)
        body: dict[str, object] = {"status": "alive", "version": __version__, "uptime_seconds": seconds}
        standing = self._journal() if self._journal is not None else None
        if standing is not None and standing.lost:
            lost = {**body, "status": JOURNAL_LOST, "reason": hide(standing.lost)}
            return web.json_response(lost, status=503, headers=NEVER_CACHED)
        if standing is not None:
            body["journal"] = standing.id
        if standing is not None and standing.conflict:
            refused = {**body, "status": STATE_SHARED, "reason": standing.conflict}
            return web.json_response(refused, status=503, headers=NEVER_CACHED)
        if standing is not None and standing.unreadable:
            mute = {**body, "status": JOURNAL_UNREADABLE, "reason": standing.unreadable}
            return web.json_response(mute, status=503, headers=NEVER_CACHED)
        return web.json_response(body, headers=NEVER_CACHED)

    async def _ready(self, _: web.Request) -> web.Response:
        reasons = await asyncio.gather(*(_ask(probe) for probe in self._readiness.values()))
        parts = {
            name: {"ready": True} if reason is None else {"ready": False, "reason": reason}
            for name, reason in zip(self._readiness, reasons, strict=True)
        }
        ready = all(reason is None for reason in reasons)
        return web.json_response({"ready": ready, "parts": parts}, status=200 if ready else 503, headers=NEVER_CACHED)

    async def _leader(self, _: web.Request) -> web.Response:
        """Say to a proxy in front of several bots whether this one leads: what others are sent, they cannot take."""
        leads = self._leads is not None and self._leads()
        return web.json_response({"leads": leads}, status=200 if leads else 503, headers=NEVER_CACHED)

    async def _read_metrics(self, _: web.Request) -> web.Response:
        await self._metrics.refresh()
        return web.Response(body=self._metrics.render(), headers={"Content-Type": METRICS_TYPE, **NEVER_CACHED})


async def _ask(probe: ReadinessProbe) -> str | None:
    """Return why a part is not ready; None where it is."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except Exception as error:  # the text of an unexpected one may hold what the client must not see
        fault = fault_of(error)
        if isinstance(fault, InternalFaultError):
            log.exception("readiness probe broke")
            return type(error).__name__
        return hide(fault.message)
    return None


@web.middleware
async def _answer_faults(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer what could not be answered with what it was for: a shortage is told, and passes."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:
        log.exception("a request could not be answered", path=request.path)
        return web.json_response({"error": hide(fault_of(error).whole)}, status=503, headers=NEVER_CACHED)


def _cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    place = f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            hint = said("Find who has it with `ss -ltnp 'sport = :{port}'`, or set HTTP_PORT to another.", port=port)
        case errno.EACCES:
            hint = said("Set HTTP_PORT to 1024 or above.")
        case _:
            hint = said("Set HTTP_HOST to an address of this machine, such as 127.0.0.1.")
    text = said("The bot cannot listen on {place} ({strerror}).", place=place, strerror=error.strerror or error)
    return SettingsError(text, hint=hint)
