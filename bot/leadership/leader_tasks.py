"""Run what only the leader does, while this bot leads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from roas.api.application import ControlApi
from roas.api.control_socket import serve_control_socket
from roas.api.documents import ControlSocketHeldError
from roas.api.remote import RemoteApi, serve_remote_api
from roas.app.application import Application
from roas.candidates.credentials import Credentials
from roas.candidates.inspection import SourceInspector
from roas.candidates.statuses import Forge, StatusReporter, forges_of
from roas.candidates.sweep import RegistrySweep
from roas.candidates.webhooks import Webhooks
from roas.concurrency import end_tasks, pause
from roas.deploy.operations.secret_keeper import SecretKeeper
from roas.errors import JournalLostError, RoasError, StateError
from roas.leadership.elector import LeaderElector
from roas.leadership.leadership import Leadership
from roas.leadership.shared_leadership import led_by_lease
from roas.limits import SOCKET_RETRY_SECONDS, SOCKET_TRIES
from roas.log import PersistentFault, get_logger
from roas.models.candidate import Candidate
from roas.models.leader_lease import BotReadiness, JournalLoss
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.stack.stacks import Stacks
from roas.web_client import WebClient

log = get_logger(__name__)

# How often a running bot looks for deployments whose process died (a command line that was killed).
ORPHAN_POLL_SECONDS = 5.0
ORPHANS = "orphans"

# Report the loss of the journal without using it; retries until the message is posted.
NotifyOfLoss = Callable[[JournalLoss], Awaitable[None]]


@asynccontextmanager
async def run_leader_election(
    application: Application,
    leadership: Leadership,
    readiness: Callable[[], BotReadiness],
    notify_of_loss: NotifyOfLoss | None = None,
) -> AsyncIterator[None]:
    """Run as leader or standby for the length of a block; take no action until it is known which.

    `notify_of_loss` reports, without the journal, that it was lost and that this bot no longer acts.
    """
    leadership.lose()
    application.held_lease.bind(leadership)
    tasks = LeaderTasks(application, leadership)

    async def stop(error: JournalLostError, container: str) -> None:
        """Stop everything that acts, the deployments first: there is no other bot to hand them over to."""
        leadership.lose()
        interrupted = await application.orchestrator.abandon()
        try:
            await tasks.stop()
        except Exception:  # everything has stopped; the loss must be reported all the same
            log.exception("leader tasks did not stop cleanly")
        rescued = await _rescue(application)
        if notify_of_loss is not None:
            await notify_of_loss(JournalLoss(error.message, error.hint, container, interrupted, rescued))

    client = WebClient()
    forges = forges_of(application.settings.sources, client, application.redactor.add)
    reporter = StatusReporter(forges, application.state, application.bus, partial(_link, application))
    tasks.also_run(reporter.start, reporter.stop)
    remote = asyncio.create_task(_answer_sources(application, remote_api(application, client, forges)), name="API")
    async with AsyncExitStack() as stack:
        may_lead = await stack.enter_async_context(led_by_lease(application, leadership, readiness))
        elector = LeaderElector(application, readiness, tasks.start, tasks.stop, stop, may_lead=may_lead)
        election = asyncio.create_task(elector.run(), name="leader elector")
        try:
            yield
        finally:
            await end_tasks(election, remote)
            await client.close()
            await tasks.stop()


async def _rescue(application: Application) -> str:
    """Copy what is left of a lost journal; returns where the copy is, empty where nothing whole could be copied."""
    try:
        copy = await application.state.rescue()
    except (StateError, OSError) as error:
        log.error("the lost journal could not be copied", error=str(error))
        return ""
    log.info("copied what was left of the lost journal", path=str(copy))
    return "" if copy is None else str(copy)


class LeaderTasks:
    """Start and stop what only the leader does: answer people, watch, resume what dead processes left."""

    def __init__(self, application: Application, leadership: Leadership) -> None:
        self._application = application
        self._leadership = leadership
        self._opened = AsyncExitStack()
        self._started = False
        self._more: list[tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]] = []

    def also_run(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        """Run something else while this bot leads."""
        self._more.append((start, stop))

    async def start(self) -> None:
        """Start all tasks; running ones continue."""
        if not self._started:
            async with AsyncExitStack() as opened:
                for task in (_resume_orphans(self._application), _answer_command_line(self._application)):
                    opened.push_async_callback(end_tasks, asyncio.create_task(task))
                for start, stop in self._more:
                    await start()
                    opened.push_async_callback(stop)
                await self._application.candidates.start()
                opened.push_async_callback(self._application.candidates.stop)
                await self._application.schedule.start()
                opened.push_async_callback(self._application.schedule.stop)
                await self._application.offsite.start()
                opened.push_async_callback(self._application.offsite.stop)
                await self._application.maintenance.start()
                opened.push_async_callback(self._application.maintenance.stop)
                self._application.watch_itself()
                opened.push_async_callback(self._application.stop_watching_itself)
                self._opened, self._started = opened.pop_all(), True
        self._leadership.gain()

    async def stop(self) -> None:
        """Stop all tasks, and step down."""
        self._leadership.lose()
        self._started = False
        await self._opened.aclose()


def control_api(application: Application) -> ControlApi:
    """Return the API of an application, to be served."""
    return ControlApi(
        state=application.state,
        orchestrator=application.orchestrator,
        environments=application.environments,
        health=application.collector,
        candidates=application.candidates,
        secrets=SecretKeeper(application.stacks, application.state, application.redactor),
        notify_schedule=application.schedule.notify,
    )


async def _answer_command_line(application: Application) -> None:
    """Listen on the control socket; a predecessor may hold it for a moment longer."""
    logged, held = False, 0
    while True:
        try:
            async with serve_control_socket(control_api(application), application.state.folder):
                await asyncio.get_running_loop().create_future()
        except ControlSocketHeldError as error:
            held += 1
            if held == SOCKET_TRIES:
                log.warning("the command line cannot reach this bot yet", error=error.message, hint=error.hint)
        except RoasError as error:
            if not logged:
                log.error("the command line cannot reach this bot yet", error=error.message, hint=error.hint)
            logged = True
        await pause(SOCKET_RETRY_SECONDS)


async def _answer_sources(application: Application, api: RemoteApi) -> None:
    """Serve the API on TCP where the settings say so, on standby too: what comes meanwhile is stored.

    A bot without a network of its own waits until its predecessor gives the address away.
    """
    settings = application.settings
    if settings.api_port is None:
        return
    logged = False
    while True:
        try:
            async with serve_remote_api(api, settings.api_host, settings.api_port):
                await asyncio.get_running_loop().create_future()
        except OSError as error:
            if not logged:
                log.error("the API cannot listen yet", error=error.strerror, port=settings.api_port)
            logged = True
        await pause(SOCKET_RETRY_SECONDS)


async def _link(application: Application, candidate: Candidate) -> str:
    """Return the address of the message that shows a candidate, or of the channel."""
    subjects = ((candidate.deployment_id, "live"), (candidate.proposal, "proposal"))
    posts = [await application.state.posts.get(subject, kind) for subject, kind in subjects if subject]
    post = next((post for post in posts if post is not None), None)
    channel = post.channel_id if post is not None else application.settings.channel_of(candidate.environment)[0]
    place = f"https://discord.com/channels/{application.settings.discord_guild_id}/{channel}"
    return f"{place}/{post.message_id}" if post is not None and post.message_id is not None else place


def remote_api(application: Application, client: WebClient, forges: Mapping[str, Forge]) -> RemoteApi:
    """Return the API for sources of an application, to be served. Raises SettingsError."""
    sources, candidates = application.settings.sources, application.candidates
    webhooks = Webhooks(sources, application.state.deliveries.add, candidates.notify)
    registry = application.stacks.registry
    sweep = RegistrySweep(sources, registry, candidates, application.state, partial(_definitions, application.stacks))
    inspector = SourceInspector(
        sources, registry, candidates, forges, application.environments, application.stacks.repositories
    )
    candidates.inspect_with(inspector.inspect, sweep.run, inspector.sweep)
    credentials = Credentials(sources, client.fetch_json)
    return RemoteApi(application.state, candidates, credentials, application.environments, webhooks)


async def _definitions(stacks: Stacks, release: Release) -> Mapping[str, ServiceDefinition]:
    """Return how the services of a release are defined. Raises ReleaseNotRestorableError."""
    return stacks.definitions(await stacks.load_model(release.model_hash))


async def _resume_orphans(application: Application) -> None:
    """Resume what dead processes left: at the start, and slowly ever after."""
    swept, trouble = False, PersistentFault()
    while True:
        try:
            for deployment in await application.orchestrator.resume():
                log.info("resumed a deployment", deployment_id=deployment.id)
            if not swept:
                swept = await application.orchestrator.sweep()
            await application.orchestrator.check_foreign_bots()
            trouble.is_over(ORPHANS)
        except RoasError as error:
            if trouble.is_new(ORPHANS, error.message):
                log.error("unfinished deployments could not be resumed", error=error.message, hint=error.hint)
        except Exception:  # otherwise no deployment would ever be resumed again
            log.exception("unfinished deployments could not be resumed")
        await pause(ORPHAN_POLL_SECONDS)
