"""Servers are held, admitted, drained and made ready again, by what HAProxy and the engine show."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from roas.concurrency import pause
from roas.errors import ProxyError
from roas.models.canary import Counts, ServerCount
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceProxy
from roas.stack.proxy import haproxy, haproxy_service
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError, Server, ServerState, addressed_first
from roas.stack.proxy.haproxy_service import HAProxyService
from roas.stack.proxy.proxied_service import Endpoint
from tests.unit.stack.proxy.fake_haproxy import FakeHAProxy, FakeServer

PROXY = ServiceProxy("haproxy", backends=("web",), websockets=("ws",), limit_seconds=1.0, is_weighed=True)


def end(name: str, address: str, health: HealthStatus = HealthStatus.HEALTHY) -> Endpoint:
    container = ContainerSnapshot(
        id=name,
        name=name,
        service="web",
        state=ContainerState.RUNNING,
        health=health,
        image_id="",
        image_reference="",
        config_hash="",
    )
    return Endpoint(container, frozenset({address}))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await pause(0.01)


@dataclass
class Scene:
    folder: Path
    proxy: FakeHAProxy
    ends: list[Endpoint] = field(default_factory=list)
    runs: bool = True
    said: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    async def connect(self) -> HAProxyRuntime | None:
        return HAProxyRuntime(self.folder, Path("admin.sock"), self.keep) if self.runs else None

    async def keep(self, states: str) -> None:
        self.kept.append(states)

    async def look(self) -> list[Endpoint]:
        return self.ends

    async def report(self, text: str) -> None:
        self.said.append(str(text))

    @property
    def socket(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def without_canary(self) -> HAProxyService:
        return HAProxyService("web", replace(PROXY, is_weighed=False), self.connect, self.look)

    @property
    def service(self) -> HAProxyService:
        return HAProxyService("web", PROXY, self.connect, self.look)

    def server(self, name: str) -> FakeServer:
        return next(servers[name] for servers in self.proxy.backends.values() if name in servers)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Two containers that serve, and two servers that are free."""
    backends = {
        backend: {
            f"{backend}1": FakeServer("10.0.0.1"),
            f"{backend}2": FakeServer("10.0.0.2"),
            f"{backend}3": FakeServer(),
            f"{backend}4": FakeServer(),
        }
        for backend in ("web", "ws")
    }
    scene = Scene(tmp_path, FakeHAProxy(backends), [end("a", "10.0.0.1"), end("b", "10.0.0.2")])
    async with scene.proxy.listening(tmp_path / "admin.sock"):
        yield scene


async def test_free_servers_are_held(scene: Scene) -> None:
    await scene.service.hold(2)
    assert scene.proxy.drained() == {"web3", "web4", "ws3", "ws4"}


async def test_states_are_kept_for_a_start_of_the_proxy_while_one_is_held(scene: Scene) -> None:
    """The documentation's file has HAProxy read them when it starts; where none is held, it is not told of old ones."""
    await scene.service.hold(2)
    version, _head, *lines = scene.kept[-1].split("\n")
    assert version == "1"
    fields = [line.split() for line in lines if line]
    assert {name for _, _, _, name, _, _, admin, *_ in fields if int(admin) & 8} == {"web3", "web4", "ws3", "ws4"}
    assert {name for _, _, _, name, address, *_ in fields if address == "10.0.0.1"} == {"web1", "ws1"}
    await scene.service.settle()
    assert scene.kept[1:] == ["1\n"]


async def test_first_servers_are_kept_with_an_address(scene: Scene) -> None:
    """The first of a template looks its name up where it is given none, and may find the address of another."""
    scene.server("web1").address, scene.server("web4").address = "", "10.0.0.1"
    await scene.service.hold(1)
    fields = [line.split() for line in scene.kept[-1].split("\n")[2:] if line]
    kept = [(name, address, int(admin) & 8) for _, _, _, name, address, _, admin, *_ in fields]
    assert kept[:4] == [("web1", "10.0.0.2", 0), ("web2", "10.0.0.1", 0), ("web3", "-", 8), ("web4", "-", 8)]
    state = "0 32 1 1 2 15 3 2 6 0 0 0"
    other = f"4 db 1 db1 - {state} one 1 - 0 0 - - 0\n4 db 2 db2 10.1.1.1 {state} two 1 - 0 0 - - 0"
    assert addressed_first(other) == other, "each has a name of its own"


async def test_too_few_free_servers_hold_nothing(scene: Scene) -> None:
    with pytest.raises(ProxyError, match="backend web of haproxy has 2 free servers for 3 new containers of web"):
        await scene.service.hold(3)
    assert not scene.proxy.drained()


async def test_server_of_what_has_just_gone_is_waited_for(scene: Scene) -> None:
    """DNS is asked twice a second: HAProxy has the address of a container that is gone for a moment longer."""
    scene.ends.pop()
    holding = asyncio.create_task(scene.service.hold(3))
    await until(lambda: scene.proxy.looks >= 4)
    assert not holding.done()
    for name in ("web2", "ws2"):
        scene.server(name).address = ""
    await holding
    assert scene.proxy.drained() == {"web2", "web3", "web4", "ws2", "ws3", "ws4"}


@pytest.mark.usefixtures("hurried_time")
async def test_what_is_in_maintenance_by_hand_stays_so_where_its_container_stays(scene: Scene) -> None:
    for name in ("web1", "ws1"):
        scene.server(name).by_hand = True
    await scene.service.drain({"a"}, scene.report, even_last=False)
    await scene.service.admit({"a"}, scene.report)
    await scene.service.settle()
    assert not scene.proxy.commands
    await scene.service.drain({"a"}, scene.report)
    assert scene.proxy.drained() == {"web1", "ws1"}, "its container goes, and the next one may get there"


@pytest.mark.parametrize(
    ("new", "share", "for_old", "for_new"),
    [(1, 10, 9, 2), (2, 50, 1, 1), (1, 50, 1, 2), (1, 1, 99, 2), (2, 99, 1, 99), (1, 0, 1, 1)],
)
async def test_new_version_has_its_share(scene: Scene, new: int, share: int, for_old: int, for_new: int) -> None:
    """Also what is yet to come, which gets into a server that is free; afterwards all weigh what they did."""
    await scene.service.weigh(["a", "b"], new, share)
    weights = [server.weight for server in scene.proxy.backends["web"].values()]
    assert weights == [for_old, for_old, for_new, for_new]
    assert [server.weight for server in scene.proxy.backends["ws"].values()] == weights
    assert for_old == for_new or len(scene.kept[-1]) > len("1\n"), "a proxy that is started again has them"
    told = len(scene.proxy.commands)
    await scene.service.weigh(["a", "b"], new, share)
    assert len(scene.proxy.commands) == told, "what is so already is not said again"
    scene.server("web1").weight = 0
    await scene.without_canary.settle()
    weights = [server.weight for server in scene.proxy.backends["web"].values()]
    assert weights == [0, 1, 1, 1], "a weight of 0 is by hand"


async def test_proxy_that_starts_again_is_told_once_it_answers(scene: Scene) -> None:
    """Its states are kept over its start: what was drained would be drained still."""
    for name in ("web1", "ws1"):
        scene.server(name).drained = True
    scene.socket.rename(away := scene.socket.with_suffix(".away"))
    told = asyncio.gather(scene.service.give_back(["a"], ["b"]), scene.service.weigh(["a"], 1, 10))
    await pause(0.2)
    assert not told.done()
    away.rename(scene.socket)
    await told
    assert scene.proxy.drained() == {"web2", "ws2"}
    assert scene.server("web1").weight == 9


async def test_requests_are_counted_by_container(scene: Scene) -> None:
    """What is under way is neither; what broke off is counted once, though HAProxy counts it twice."""
    server = scene.server("web1")
    server.answered, server.errors, server.broken, server.sessions, server.answer_ms = 90, 4, 3, 5, 31
    counted = await scene.service.counts()
    assert counted is not None
    assert [*counted.values()] == [ServerCount("a", Counts(97, 7), 31.0), ServerCount("b", Counts())]
    scene.runs = False
    assert await scene.service.counts() is None


@pytest.mark.parametrize("begun_again", ["started", "reloaded"])
async def test_counters_of_another_process_are_other_counters(scene: Scene, begun_again: str) -> None:
    """In a container, HAProxy has the same process id each time, and soon more requests than before."""
    scene.server("web1").answered = 10
    before = await scene.service.counts()
    same = await scene.service.counts()
    if begun_again == "started":
        scene.proxy.started_at += 60
    else:
        scene.proxy.pid += 1
    scene.server("web1").answered = 30
    after = await scene.service.counts()
    assert before is not None
    assert same is not None
    assert after is not None
    assert set(before) == set(same)
    assert not set(before) & set(after)


async def test_counters_read_across_a_start_are_not_known(scene: Scene) -> None:
    scene.proxy.starts_before = "show stat"
    assert await scene.service.counts() is None
    assert await scene.service.counts() is not None


async def test_proxy_that_never_answers_is_said_to(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "ANSWER_SECONDS", 0.05)
    scene.proxy.hangs = True
    with pytest.raises(ProxyAwayError, match=r"does not answer at .*/admin.sock \(no answer within 5 s\)"):
        await scene.service.examine(4)


async def test_examination_names_what_a_deployment_would_meet(scene: Scene) -> None:
    assert await scene.service.examine(4) == ()
    scene.proxy.level, scene.proxy.resolvers = "operator", "Resolvers section default\n nameserver dns:\n"
    for servers in scene.proxy.backends.values():
        for server in servers.values():
            server.address = "10.0.0.1"
    level, resolvers, web, ws = await scene.service.examine(6)
    assert level == "The socket of haproxy has level operator: give it `level admin`."
    assert resolvers.startswith("haproxy has no `resolvers` section")
    assert web.startswith("The backend web of haproxy has 4 servers, and a deployment needs 6")
    assert ws.startswith("The backend ws of haproxy")
    scene.proxy.mode = "tcp"
    (*_, tcp, _web, _ws) = await scene.service.examine(6)
    assert tcp.startswith("The backend web of haproxy has `mode tcp`"), "and of ws, no requests are counted"
    assert not scene.proxy.commands, "nothing is changed"
    scene.runs = False
    assert await scene.service.examine(6) == ()


async def test_unknown_backend_is_named(scene: Scene) -> None:
    del scene.proxy.backends["ws"]
    with pytest.raises(ProxyError, match="no backend ws: Can't find backend"):
        await scene.service.hold(1)
    assert not scene.proxy.drained()


async def test_proxy_that_is_replaced_meanwhile_may_know_the_backend(scene: Scene) -> None:
    """A new service comes with its backend: which of the two is started first is not certain."""
    later = scene.proxy.backends.pop("ws")
    admitting = asyncio.create_task(scene.service.admit({"a", "b"}, scene.report))
    await until(lambda: scene.said)
    assert not admitting.done()
    scene.proxy.backends["ws"] = later
    await admitting
    assert await scene.service.drain({"a"}, scene.report) == 0


async def test_what_backends_are_left_are_drained(scene: Scene) -> None:
    del scene.proxy.backends["ws"]
    await scene.service.drain({"a"}, scene.report)
    assert scene.proxy.drained() == {"web1"}
    scene.proxy.backends.clear()
    assert await scene.service.drain({"a"}, scene.report) == 0


async def test_new_container_is_admitted_once_it_passes(scene: Scene) -> None:
    await scene.service.hold(1)
    for name in ("web3", "ws3"):
        scene.server(name).address, scene.server(name).check = "10.0.0.3", "L4CON"
    scene.ends.append(end("c", "10.0.0.3"))
    admitting = asyncio.create_task(scene.service.admit({"c"}, scene.report))
    await until(lambda: scene.said)
    assert "web3" in scene.proxy.drained()
    for name in ("web3", "ws3"):
        scene.server(name).check = "L7OK"
    await admitting
    assert scene.proxy.drained() == {"web4", "ws4"}
    assert scene.said == ["until haproxy sees it"]


async def test_container_that_proxy_never_sees_is_an_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_service, "SEEN_SECONDS", 0.1)
    scene.ends.append(end("c", "10.0.0.3"))
    with pytest.raises(ProxyError, match="haproxy sends web nothing: c in web: no server has its address"):
        await scene.service.admit({"c"}, scene.report)


async def test_drain_waits_for_open_requests_and_not_for_websockets(scene: Scene) -> None:
    scene.server("web1").sessions, scene.server("ws1").sessions = 1, 5
    draining = asyncio.create_task(scene.service.drain({"a"}, scene.report))
    await until(lambda: scene.said)
    assert scene.proxy.drained() == {"web1", "ws1"}
    assert scene.said == ["1 connection at haproxy ends first"]
    scene.server("web1").sessions = 0
    assert await draining == 0


@pytest.mark.usefixtures("hurried_time")
async def test_drain_ends_after_its_limit(scene: Scene) -> None:
    scene.server("web1").sessions = 3
    assert await scene.service.drain({"a"}, scene.report) == 3


async def test_forgotten_drain_is_said_again(scene: Scene) -> None:
    scene.server("web1").sessions = 1
    draining = asyncio.create_task(scene.service.drain({"a"}, scene.report))
    await until(scene.proxy.drained)
    scene.proxy.restart()
    await until(scene.proxy.drained)
    scene.server("web1").sessions = 0
    assert await draining == 0


@pytest.mark.usefixtures("hurried_time")
async def test_last_one_is_not_drained_unless_wanted(scene: Scene) -> None:
    assert await scene.service.drain({"a", "b"}, scene.report, even_last=False) == 0
    assert not scene.proxy.drained()
    await scene.service.drain({"a"}, scene.report, even_last=False)
    assert scene.proxy.drained() == {"web1", "ws1"}
    await scene.service.drain({"a", "b"}, scene.report)
    assert scene.proxy.drained() == {"web1", "web2", "ws1", "ws2"}


async def test_settle_makes_ready_what_is_free_or_well(scene: Scene) -> None:
    for servers in scene.proxy.backends.values():
        for server in servers.values():
            server.drained = True
    scene.ends[1] = end("b", "10.0.0.2", HealthStatus.UNHEALTHY)
    await scene.service.settle()
    assert scene.proxy.drained() == {"web2", "ws2"}


async def test_settle_waits_until_a_gone_container_is_forgotten(scene: Scene) -> None:
    scene.server("web1").drained = True
    del scene.ends[0]
    settling = asyncio.create_task(scene.service.settle())
    looks = scene.proxy.looks
    await until(lambda: scene.proxy.looks >= looks + 4)
    assert scene.proxy.drained() == {"web1"}
    scene.server("web1").address = ""
    await settling
    assert not scene.proxy.drained()


async def test_settle_makes_ready_what_is_gone_and_down(scene: Scene) -> None:
    """With `hold nx`, an address is known for half a minute after the last container has gone."""
    scene.server("web1").drained, scene.server("web1").check = True, "L4CON"
    del scene.ends[0]
    await scene.service.settle()
    assert not scene.proxy.drained()


async def test_proxy_that_was_just_started_is_waited_for(scene: Scene) -> None:
    (scene.folder / "admin.sock").rename(scene.folder / "later.sock")
    holding = asyncio.create_task(scene.service.hold(1))
    await pause(0.1)
    assert not holding.done()
    (scene.folder / "later.sock").rename(scene.folder / "admin.sock")
    await holding
    assert scene.proxy.drained()


async def test_proxy_killed_while_it_is_told_is_told_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    put, told = HAProxyRuntime.put, list[str]()

    async def killed_once(self: HAProxyRuntime, servers: Iterable[Server], state: ServerState) -> None:
        told.append(state)
        if len(told) == 1:
            raise ProxyAwayError("Connection reset by peer")
        await put(self, servers, state)

    monkeypatch.setattr(HAProxyRuntime, "put", killed_once)
    await scene.service.hold(2)
    assert scene.proxy.drained() == {"web3", "web4", "ws3", "ws4"}


@pytest.mark.parametrize("length", [0, 2, 40, 400, 440])
async def test_answer_that_is_broken_off_is_none(scene: Scene, length: int) -> None:
    """Whoever is killed while it answers is away, as one that is killed before; it may be back in a moment."""
    runtime = await scene.connect()
    assert runtime is not None
    servers = await runtime.servers(["web"])
    scene.proxy.breaks_off = length
    with pytest.raises(ProxyAwayError):
        await runtime.servers(["web"])
    if not length:
        with pytest.raises(ProxyAwayError):  # who has not answered may not have heard it, either
            await runtime.put(servers, ServerState.READY)
    holding = asyncio.create_task(scene.service.hold(2))
    await pause(0.1)
    scene.proxy.breaks_off = None
    await holding
    assert scene.proxy.drained() == {"web3", "web4", "ws3", "ws4"}


@pytest.mark.usefixtures("hurried_time")
async def test_proxy_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_service, "PROXY_STARTING_SECONDS", 0.0)
    (scene.folder / "admin.sock").unlink()
    with pytest.raises(ProxyAwayError, match="The proxy does not answer at"):
        await scene.service.hold(1)
    assert await scene.service.drain({"a"}, scene.report) == 0
    await scene.service.settle()


async def test_proxy_that_does_not_run_is_not_asked(scene: Scene) -> None:
    scene.runs = False
    await scene.service.hold(9)
    await scene.service.admit({"a"}, scene.report)
    assert await scene.service.drain({"a"}, scene.report) == 0
    await scene.service.settle()
    assert not scene.said


async def test_replaced_proxy_is_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be between two starts just now: that is no reason to believe that it serves."""
    scene.runs = False
    requiring = asyncio.create_task(scene.service.require({"a"}, scene.report))
    await until(lambda: scene.said)
    assert not requiring.done()
    scene.runs = True
    await requiring
    scene.runs = False
    monkeypatch.setattr(haproxy_service, "SEEN_SECONDS", 0.1)
    with pytest.raises(ProxyError, match="haproxy sends web nothing: no container of haproxy runs"):
        await scene.service.require({"a"}, scene.report)


async def test_link_in_place_of_the_socket_leads_nowhere(scene: Scene, tmp_path: Path) -> None:
    """The proxy's container chooses what lies in its volume: the bot's own sockets are no proxy's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "admin.sock").symlink_to(tmp_path / "admin.sock")
    runtime = HAProxyRuntime(elsewhere, Path("admin.sock"))
    with pytest.raises(ProxyAwayError):
        await runtime.servers(["web"])


async def test_drained_servers_take_their_requests_back(scene: Scene) -> None:
    """What was to take their place has failed, and gets none any more."""
    scene.server("web3").address, scene.server("ws3").address = "10.0.0.3", "10.0.0.3"
    scene.ends.append(end("c", "10.0.0.3"))
    await scene.service.drain({"a"}, scene.report)
    await scene.service.give_back({"a"}, {"c"})
    assert scene.proxy.drained() == {"web3", "ws3"}
    await scene.service.give_back({"a"}, {"c"})
    scene.runs = False
    await scene.service.give_back({"a"}, {"c"})


async def test_failing_check_ends_a_drain_at_once(scene: Scene) -> None:
    """Streams hold it up: as soon as one that got the requests fails, those that drain have them again."""
    scene.server("web1").sessions = 1
    draining = asyncio.create_task(scene.service.drain({"a"}, scene.report, others={"b"}))
    await until(lambda: scene.proxy.drained() and scene.proxy.looks >= 8)
    assert not draining.done()
    scene.server("web2").check, scene.server("web2").failed_once = "L7STS", True
    await until(lambda: not scene.proxy.drained())
    assert not draining.done(), "one check is no verdict, but somebody has to answer"
    scene.server("web2").check = "L7OK"
    await until(lambda: scene.proxy.drained() == {"web1", "ws1"})
    scene.server("web2").check, scene.server("web2").failed_once = "L7STS", False
    with pytest.raises(ProxyError, match="The check of haproxy fails for the new web: web/web2: DOWN L7STS"):
        await draining
    assert not scene.proxy.drained()


@pytest.mark.usefixtures("hurried_time")
async def test_both_serve_while_the_new_one_is_watched(scene: Scene) -> None:
    begun = asyncio.get_running_loop().time()
    await scene.service.watch({"b"}, 0.5)
    assert asyncio.get_running_loop().time() - begun >= 0.5
    watching = asyncio.create_task(scene.service.watch({"b"}, 60))
    scene.server("web2").check, scene.server("web2").failed_once = "L7STS", True
    looks = scene.proxy.looks
    await until(lambda: scene.proxy.looks >= looks + 4)
    assert not watching.done(), "one check is no verdict"
    scene.server("web2").failed_once = False
    with pytest.raises(ProxyError, match="The check of haproxy fails for the new web: web/web2: DOWN L7STS"):
        await watching
    assert not scene.proxy.commands
    await scene.service.give_back({"a"}, {"b"})
    assert scene.proxy.drained() == {"web2", "ws2"}, "it may come back any moment, and fail again"


async def test_what_starts_again_and_again_is_held(scene: Scene) -> None:
    """In a pause: a free server is where it gets its next address, and would count as up there."""
    scene.ends[1] = end("b", "10.0.0.2", HealthStatus.STARTING)
    scene.server("web1").drained = True
    scene.server("ws1").address = ""
    await scene.service.settle(holds=True)
    assert scene.proxy.drained() == {"web2", "web3", "web4", "ws2"}, "what is well gets into one of the others"
    scene.server("ws1").address = "10.0.0.1"
    await scene.service.settle(holds=True)
    assert scene.proxy.drained() == {"web2", "web3", "web4", "ws2", "ws3", "ws4"}
    scene.ends[1] = end("b", "10.0.0.2")
    await scene.service.settle(holds=True)
    assert scene.proxy.drained() == {"web3", "web4", "ws3", "ws4"}
    scene.ends.clear()
    await scene.service.settle(holds=True)
    assert scene.proxy.drained() == {"web3", "web4", "ws3", "ws4"}, "nobody else would serve"
