"""A checkout makes a link of a bound folder: the engine is kept from starting a container with where it leads."""

import os
import signal
from dataclasses import replace

import pytest

from roas.alerts.drift_alerts import SwappedBinds
from roas.errors import ComposePolicyError
from tests.e2e.acceptance.stack import alone
from tests.e2e.acceptance.trouble import until

LEADS = "where the link leads"


@pytest.fixture
def guard(application):
    """What looks once a second in a bot."""
    return guard_of(application)


def guard_of(application) -> SwappedBinds:
    return SwappedBinds(application.stacks, application.state, application.alert_service, application.environments)


def policies(stack) -> dict[str, str]:
    return {
        name: item.attrs["HostConfig"]["RestartPolicy"]["Name"]
        for name in ("web", "other")
        for item in (stack.container(name),)
    }


async def open_alerts(application) -> list[tuple[str, str]]:
    return [(alert.fingerprint, alert.summary) for alert in await application.state.alerts.open("dev")]


def crash(stack) -> None:
    """Kill a process as a fault would, and wait until the engine has seen that."""
    container = stack.container("web")
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
    container.wait()


async def test_swapped_folder_is_not_started_with(application, people, stack, guard, tmp_path):
    (tmp_path / "host").mkdir()
    folder, gone = stack.folder / "data", stack.folder / "gone"
    folder.mkdir()
    web = alone(restart="always", volumes=["./data:/data"])
    stack.write({"web": web, "other": alone(restart="always")})
    await people.succeed("v1")
    await guard.check()
    assert policies(stack) == {"web": "always", "other": "always"}
    assert await open_alerts(application) == []

    folder.rename(gone)
    folder.symlink_to(tmp_path / "host")
    await guard.check()
    assert policies(stack) == {"web": "no", "other": "always"}
    seen = await application.collector.collect_all_metrics(application.environments["dev"])
    assert seen.drift == (), "no hand did this"
    ((fingerprint, summary),) = await open_alerts(application)
    assert fingerprint == "binds:dev"
    assert f"web binds {folder}, outside the stack's folder" in summary
    crash(stack)
    assert stack.container("web").status == "exited"
    environment = application.environments["dev"]
    with pytest.raises(ComposePolicyError, match="outside the stack's folder"):
        await application.stacks.of(environment).start(stack.container("web").id)
    allowed = replace(environment, allowed=(f"bind:{tmp_path}/host",))
    model = await application.stacks.load_model(await application.state.releases.applied_model("dev"))
    assert await application.stacks.of(allowed).binds.find(model) == {}

    folder.unlink()
    gone.rename(folder)
    await guard_of(application).check()  # another bot, that knows of it by the alert alone
    assert policies(stack) == {"web": "always", "other": "always"}
    assert await open_alerts(application) == []
    await application.stacks.of(environment).start(stack.container("web").id)
    assert stack.container("web").status == "running"
    await running_bot_notices_swaps_by_itself(application, stack, tmp_path)


async def running_bot_notices_swaps_by_itself(application, stack, tmp_path):
    """It looks again and again: what is swapped later is held, too, once it has been let go."""
    folder, gone = stack.folder / "data", stack.folder / "gone"
    await application.maintenance.start()

    async def is_policy(name: str) -> bool:
        return bool(stack.container("web").attrs["HostConfig"]["RestartPolicy"]["Name"] == name)

    async def swap() -> None:
        folder.rename(gone)
        folder.symlink_to(tmp_path / "host")
        await until(lambda: is_policy("no"))

    await swap()
    folder.unlink()
    gone.rename(folder)
    await until(lambda: is_policy("always"))
    await swap()
