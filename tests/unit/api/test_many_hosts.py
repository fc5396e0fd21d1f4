"""What the control socket tells of an environment on many hosts, and what nobody can claim there."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from roas.api.application import ControlApi, read_status
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.api.documents import StatusReport
from roas.cli.output import Terminal
from roas.cli.status import show_status
from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.models.health import ServiceHealth, StackHealth, Verdict
from tests.unit.api.conftest import request

HOSTS = tuple(
    Environment(f"prod@{host}", "shop", Path("/shop"), (), docker_host=host, part_of="prod") for host in ("a", "b", "c")
)
WHOLE = Environment("prod", "shop", Path("/shop"), (), hosts=HOSTS)


class Collector:
    """Find a well, b ill, and c away."""

    async def collect_all_metrics(self, environment: Environment) -> StackHealth:
        if environment.host == "c":
            raise EngineUnavailableError("c does not answer")
        verdict = Verdict.UNHEALTHY if environment.host == "b" else Verdict.HEALTHY
        services = (ServiceHealth("web", verdict, "fails its health check"),)
        return StackHealth(environment.name, verdict, services, datetime.now(UTC))


async def test_status_of_many_hosts_has_each_by_its_worst_service(state, capsys):
    status = await read_status(WHOLE, state, Collector())
    assert status.health is not None
    assert status.health.verdict is Verdict.UNHEALTHY
    assert [(host.service, host.verdict, host.reason) for host in status.health.services] == [
        ("prod@a", Verdict.HEALTHY, ""),
        ("prod@b", Verdict.UNHEALTHY, "web: fails its health check"),
        ("prod@c", Verdict.UNKNOWN, "c does not answer"),
    ]
    show_status(Terminal(), StatusReport((status,)))
    written = capsys.readouterr().out
    assert "prod@b" in written
    assert "c does not answer" in written


async def test_status_where_no_host_answers_is_not_known(state):
    """As with one host, so that `roas status` ends with the code for that."""
    away = replace(WHOLE, hosts=HOSTS[2:])
    status = await read_status(away, state, Collector())
    assert status.fault == "No host of prod answers."
    assert [host.reason for host in status.health.services] == ["c does not answer"]


async def test_status_by_name_has_all_hosts_and_without_one_the_whole(state, orchestrator, secrets):
    known = {environment.name: environment for environment in (*WHOLE.with_hosts, replace(HOSTS[0], name="dev"))}
    api = ControlApi(
        state=state, orchestrator=orchestrator, environments=known, health=Collector(), candidates=None, secrets=secrets
    )
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client:
        named = await client.status("prod")
        assert [status.environment for status in named.environments] == ["prod", "prod@a", "prod@b", "prod@c"]
        assert [status.environment for status in (await client.status(None)).environments] == ["prod", "dev"]
        assert [status.environment for status in (await client.status("prod@b")).environments] == ["prod@b"]


async def test_nobody_claims_to_be_part_of_a_deployment(client, orchestrator):
    """That would pass freezes, windows and the lock of all hosts."""
    await client.start(request(part_of="DEPLOY-1"), confirmed=True)
    assert orchestrator.requests[-1].part_of == ""
