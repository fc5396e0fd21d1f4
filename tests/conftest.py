"""A Docker Engine and images for every test that asks; nothing heavy happens before one does."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from testbed.interruption import end_as_by_ctrl_c
from tests.alone import Room
from tests.kinds import ENGINE_FIXTURES, ENGINE_FOLDERS
from tests.sharing_out import turn

if TYPE_CHECKING:
    import docker
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

    from testbed.daemon import PrivateDaemon
    from testbed.engine import Engine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the long lane: what is marked `long` runs in no other."""
    parser.addoption("--long", action="store_true", help="run campaigns and planted failures at full length")


def pytest_configure() -> None:
    """Take the engines down whichever signal ends the tests; look for no cycles in what is being collected."""
    end_as_by_ctrl_c()
    gc.disable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test that uses an engine, so that `-m engine` runs those on another one."""
    if ENGINE_FIXTURES & set(getattr(item, "fixturenames", ())) or item.nodeid.startswith(ENGINE_FOLDERS):
        item.add_marker(pytest.mark.engine)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test that is marked `alone` while no other worker runs any; waiting for that is no time of the test."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    room = Room(Path(item.config.option.basetemp).parent)
    with room.alone() if item.get_closest_marker("alone") else room.shared():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what a program said that failed: its error holds that, and names only how it ended."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, subprocess.CalledProcessError):
        for said in filter(None, (error.stdout, error.stderr)):
            error.add_note(said if isinstance(said, str) else said.decode(errors="replace"))
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only the long lane runs, and begin with what takes long."""
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """Look for cycles no more in what was imported and collected: nothing of that is garbage while tests run.

    Nor look as often as a program has to that lives long: that took a fourteenth of the time of a worker.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Share tests out as `tests/sharing_out.py` says, where files go to workers as a whole."""
    from tests.sharing_out import SharingOut

    return SharingOut(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def long_lane(pytestconfig: pytest.Config) -> bool:
    """Return whether this is the long lane: a story has its variations only there."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture
def sampled(request: pytest.FixtureRequest, long_lane: bool) -> Callable[[Iterable[Any]], list[Any]]:
    """Return what chooses the cases of a table: all in the long lane, else a third, in each test another one."""
    first = crc32(request.node.nodeid.encode()) % 3

    def choose(cases: Iterable[Any]) -> list[Any]:
        return [*cases] if long_lane else [*cases][first::3]

    return choose


@pytest.fixture(scope="session", autouse=True)
def _package_has_one_name() -> Iterator[None]:
    """See that no test loads the package by the names of its folders: every class would be there twice."""
    yield
    assert not {"bot", "cogs"} & set(sys.modules)


@pytest.fixture(scope="session")
def _modules_of_package() -> Callable[[], dict[str, ModuleType]]:
    """Return what gives the package's modules that are loaded; they are looked for where something was loaded since."""
    found: dict[str, ModuleType] = {}
    known = 0

    def modules() -> dict[str, ModuleType]:
        nonlocal found, known
        if known != len(sys.modules):
            found = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "roas"}
            known = len(sys.modules)
        return found

    return modules


@pytest.fixture(autouse=True)
def _modules_stay(_modules_of_package: Callable[[], dict[str, ModuleType]]) -> Iterator[None]:
    """Bring the package's modules back that discord.py drops with an extension: other tests hold their classes."""
    before = _modules_of_package()
    yield
    if not all(map(is_, map(sys.modules.get, before), before.values())):  # asked after every test, of all modules
        for name in [name for name in sys.modules if name.partition(".")[0] == "roas"]:
            del sys.modules[name]
        sys.modules.update(before)
        # A package names the modules that it holds, too, unless something else of it has that name.
        for name, module in before.items():
            package, _, last = name.rpartition(".")
            if package in before and isinstance(getattr(before[package], last, module), ModuleType):
                setattr(before[package], last, module)


@pytest.fixture(scope="session")
def private_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    """Run one private engine for the whole session; a test that restarts or stalls it leaves it answering.

    The bot's own image runs on `building_engine`, with Docker's filter.
    """
    from testbed.daemon import UNFILTERED, PrivateDaemon

    _need_dockerd()
    with PrivateDaemon(tmp_path_factory.mktemp("engine"), settings=UNFILTERED) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def docker_host(private_daemon: PrivateDaemon) -> str:
    """Return the session engine's address, for DOCKER_HOST."""
    return private_daemon.docker_host


@pytest.fixture(scope="session")
def docker_client(private_daemon: PrivateDaemon) -> Iterator[docker.DockerClient]:
    """Give an SDK client of the session engine."""
    client = private_daemon.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def sample_image(docker_client: docker.DockerClient) -> Callable[..., str]:
    """Return `make(tag, *, version="v1", behaviour="healthy", …)`, which makes a sample image and returns its id."""
    from testbed.sample import sample_image

    def make(tag: str, **options: object) -> str:
        return sample_image(docker_client, tag, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def fresh_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    """Run an engine for the tests of one module that break it; each leaves it answering where others follow."""
    from testbed.daemon import UNFILTERED, PrivateDaemon

    _need_dockerd()
    with PrivateDaemon(tmp_path_factory.mktemp("engine"), settings=UNFILTERED) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def building_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run an engine that reaches a package index, for tests that build the bot's image: one worker has built it."""
    from testbed.built_engine import BuiltEngine, built_data
    from testbed.engine import Engine

    _need_dockerd()
    settings: dict[str, object] = {"dns": []}
    base = tmp_path_factory.getbasetemp()
    data = built_data((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built", settings)
    with BuiltEngine(tmp_path_factory.mktemp("engine"), data, settings=settings) as daemon:
        yield Engine(daemon.docker_host, daemon)


def _need_dockerd() -> None:
    if shutil.which("dockerd") is None:
        pytest.fail("dockerd is not installed: run script/bootstrap --test", pytrace=False)
