"""What maintenance depends on may vanish or jump: it says so, does not loop, and is right again afterwards."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from roas.app.application import open_application
from roas.models.alert import RecoveryStatus, Severity
from roas.models.health import Verdict
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import alone
from tests.e2e.acceptance.trouble import alert_that, is_over, kill_process, of_services, until
from tests.unit.log_lines import captured_logs


class Socket:
    """Pass a unix socket on under another name, which can be taken away and given back."""

    def __init__(self, target: str, path: Path) -> None:
        self.path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.accepted = 0

    async def appear(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def vanish(self) -> None:
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in [*self._open]:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        self._open |= {writer, far_writer}
        with suppress(ConnectionError):
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def socket(docker_host, tmp_path) -> AsyncIterator[Socket]:
    socket = Socket(docker_host.removeprefix("unix://"), tmp_path / "docker.sock")
    await socket.appear()
    yield socket
    await socket.vanish()


@pytest.mark.long
async def test_lost_docker_socket_is_one_alert(stack, socket, tmp_path, images):
    """The alert of the vanished socket ends when the socket is back."""
    stack.write({"web": alone()})
    settings = settings_for(stack, tmp_path / "state", docker_host=f"unix://{socket.path}")
    async with open_application(settings) as application:
        await People(application).succeed("v1")
        await application.maintenance.start()

        async def is_healthy():
            return application.health.verdict("dev", "web") is Verdict.HEALTHY

        await until(is_healthy)
        with captured_logs() as logs:
            await socket.vanish()
            raised = await alert_that(application, lambda one: one.service == "")
            used, began = os.times(), asyncio.get_running_loop().time()
            kill_process(stack, "web")  # and nobody can see it
            await asyncio.sleep(3)
            spent = sum(os.times()[:2]) - sum(used[:2])
            assert spent < 0.6 * (asyncio.get_running_loop().time() - began), "it turns in circles"
            assert 1 <= len([log for log in logs if log["event"] == "engine is unavailable"]) <= 5
        assert (raised.severity, raised.title) == (Severity.CRITICAL, "dev: the Docker engine cannot be reached")
        assert application.health.verdict("dev", "web") is Verdict.UNKNOWN
        await socket.appear()
        await alert_that(application, lambda one: one.id == raised.id and is_over(one))
        # The engine remembers what happened meanwhile.
        over = await alert_that(application, lambda one: one.service == "web" and is_over(one))
        assert (over.summary, over.healing) == ("web has ended with code 137.", RecoveryStatus.SUCCEEDED)
        assert len(await of_services(application)) == 2
        assert stack.images() == {"web-1": images["v1"]}


@pytest.mark.long
async def test_wall_clock_jump_changes_no_recovery(application, people, stack, images):
    """A jump of the wall clock changes nothing in what is seen and recovered."""
    stack.write({"web": alone()})
    await people.succeed("v1")
    await application.maintenance.start()
    for hours, version in ((1, "v2"), (-1, "v3")):
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
            kill_process(stack, "web")
            raised = await alert_that(application, lambda one: one.is_open)
            over = await alert_that(application, lambda one, raised=raised: one.id == raised.id and is_over(one))
            assert set(over.actions) == {"restart: recovered"}
            deployment = await people.succeed(version)
            assert deployment.duration_seconds < 600
            assert (await application.state.deployments.list("dev"))[0].id == deployment.id
        assert stack.images() == {"web-1": images[version]}
    assert all(is_over(service) for service in await of_services(application))
