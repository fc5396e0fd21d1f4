"""Take turns with the other bots of a journal: the active one has duties, the others are silent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from bot.concurrency import happens
from bot.control.faults import ControlSocketHeldError
from bot.control.server import ControlServer
from bot.errors import JournalLostError, RoasError
from bot.integration import Application
from bot.log import get_logger
from bot.models.ownership import JournalLoss, Readiness
from bot.standby import VoiceKeeper
from bot.ui.voice import Voice

log = get_logger(__name__)

# How often a running bot looks for deployments whose process died (a command line that was killed).
ORPHAN_POLL_SECONDS = 5.0
SOCKET_RETRY_SECONDS = 1.0

# Tell people that the journal was lost, without it; goes on until they are told.
NotifyOfLoss = Callable[[JournalLoss], Awaitable[None]]


@asynccontextmanager
async def standing_by(
    application: Application,
    voice: Voice,
    readiness: Callable[[], Readiness],
    notify_of_loss: NotifyOfLoss | None = None,
) -> AsyncIterator[None]:
    """Be the active bot or stand by for it, for the length of a block; until it is known which, be silent.

    `notify_of_loss` tells people without the journal that it was lost, and that this bot acts no more.
    """
    voice.take()
    application.held_voice.speaks_through(voice)
    duties = ActiveDuties(application, voice)

    async def stop(error: JournalLostError, container: str) -> None:
        """End all that acts, the deployments first: there is nobody to pass them on to."""
        voice.take()
        broken_off = await application.orchestrator.abandon()
        try:
            await duties.end()
        except Exception:  # what was to end has ended; people must be told all the same
            log.exception("not everything ended in order")
        if notify_of_loss is not None:
            await notify_of_loss(JournalLoss(error.message, error.hint, container, broken_off))

    keeper = VoiceKeeper(application, readiness, duties.begin, duties.end, stop)
    keeping = asyncio.create_task(keeper.run(), name="voice keeper")
    try:
        yield
    finally:
        await _end(keeping)
        await duties.end()


class ActiveDuties:
    """Do what only the active bot does: speak, answer the command line, take up what dead processes left."""

    def __init__(self, application: Application, voice: Voice) -> None:
        self._application = application
        self._voice = voice
        self._opened = AsyncExitStack()
        self._begun = False

    async def begin(self) -> None:
        """Begin to speak and act; what has begun already goes on, and only speaks again where it fell silent."""
        if not self._begun:
            async with AsyncExitStack() as opened:
                for duty in (_take_up_orphans(self._application), _answer_command_line(self._application)):
                    opened.push_async_callback(_end, asyncio.create_task(duty))
                await self._application.guard.begin()
                opened.push_async_callback(self._application.guard.end)
                self._application.watch_itself()
                opened.push_async_callback(self._application.stop_watching_itself)
                self._opened, self._begun = opened.pop_all(), True
        self._voice.give()

    async def end(self) -> None:
        """Fall silent."""
        self._voice.take()
        self._begun = False
        await self._opened.aclose()


async def _answer_command_line(application: Application) -> None:
    """Listen on the control socket; a predecessor may hold it for a moment longer."""
    told = False
    while True:
        control = ControlServer(
            state=application.state,
            orchestrator=application.orchestrator,
            environments=application.environments,
            health=application.collector,
        )
        try:
            async with control:
                await asyncio.get_running_loop().create_future()
        except ControlSocketHeldError as error:
            if not told:
                log.warning("the command line cannot reach this bot yet", problem=error.message, hint=error.hint)
            told = True
        except RoasError as error:
            log.error("the command line cannot reach this bot", problem=error.message, hint=error.hint)
            return
        await happens(asyncio.Event(), SOCKET_RETRY_SECONDS)


async def _take_up_orphans(application: Application) -> None:
    """Take up what dead processes left: at the start, and slowly ever after."""
    swept = False
    while True:
        try:
            for deployment in await application.orchestrator.resume():
                log.info("took up a deployment", deployment_id=deployment.id)
            if not swept:
                swept = await application.orchestrator.sweep()
            await application.orchestrator.look_for_foreign_bots()
        except RoasError as error:
            log.error("unfinished deployments could not be taken up", problem=error.message, hint=error.hint)
        except Exception:  # nobody would take up anything any more
            log.exception("unfinished deployments could not be taken up")
        await happens(asyncio.Event(), ORPHAN_POLL_SECONDS)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
