"""Run the bot as it ships, but for one defect that hands must bring to light."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roas import service
from roas.alerts.drift_alerts import DriftAlerts
from roas.cli import run_command_line
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.models.post import Post
from roas.recovery.handler import ErrorHandler
from roas.state.deployments import deployments
from roas.ui.notifications.ops_channel import PostError
from roas.ui.notifications.outbox import Outbox, PostRequest
from tools.campaigns.instrumented.gate import PLANT_VARIABLE

GIVEN_UP_SECONDS = 2.0


def _blind_to_hands() -> None:
    """Alert nobody of what was changed by hand."""

    async def nothing(_alerts: DriftAlerts) -> None:
        return

    DriftAlerts.check = nothing  # type: ignore[method-assign,assignment]


def _keeps_old_socket() -> None:
    """Stay on the socket of an engine that has gone."""
    service.is_socket_stale = lambda _address: False  # type: ignore[attr-defined,assignment]


def _resumes_nothing() -> None:
    """Leave what a dead process had begun."""

    async def nothing(_orchestrator: DeploymentOrchestrator) -> tuple[()]:
        return ()

    DeploymentOrchestrator.resume = nothing  # type: ignore[method-assign,assignment]


def _keeps_locks() -> None:
    """Hold the environment after the end of a deployment."""

    def nothing(*_arguments: Any) -> None:
        return

    deployments.release_lock = nothing  # type: ignore[attr-defined,assignment]


def _posts_once() -> None:
    """Give a message up that Discord did not take at once: the library itself tries again for half a minute."""
    deliver = Outbox.deliver

    async def once(outbox: Outbox, request: PostRequest, sender: str, wake: Callable[[], None]) -> Post:
        try:
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                return await deliver(outbox, request, sender, wake)
        except (PostError, TimeoutError):
            begun = await outbox._state.posts.get(request.subject, request.kind)
            given_up = begun or Post(request.subject, request.kind, outbox.channel.id)
            await outbox._state.posts.save(replace(given_up, finished=True))
            return given_up

    Outbox.deliver = once  # type: ignore[method-assign,assignment]


def _recovers_nothing() -> None:
    """Leave a service that broke as it is."""

    async def nothing(*_arguments: Any) -> str:
        return "nothing was done"

    ErrorHandler._try = nothing  # type: ignore[method-assign,assignment]


PLANTING: dict[str, Callable[[], None]] = {
    "blind-to-hands": _blind_to_hands,
    "keeps-old-socket": _keeps_old_socket,
    "resumes-nothing": _resumes_nothing,
    "keeps-locks": _keeps_locks,
    "posts-once": _posts_once,
    "recovers-nothing": _recovers_nothing,
}

if __name__ == "__main__":
    if name := os.environ.get(PLANT_VARIABLE, ""):
        PLANTING[name]()
    sys.exit(run_command_line([]))
