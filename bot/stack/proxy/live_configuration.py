"""Change the configuration of a proxy that runs: check it first, swap its content, and have the proxy read it again.

Its files lie where they stay from release to release (`roas.stack.model.live_files`): users keep their connections.
HAProxy reads its files again by SIGUSR2 where it runs in master-worker mode, Caddy by `caddy reload`.
"""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from roas.concurrency import pause
from roas.errors import ComposeFileError, ProxyError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.definitions import read_definitions
from roas.stack.model.live_files import LiveFiles, haproxy_program, program_of
from roas.stack.model.services import services_of
from roas.stack.model.x_deploy.proxy import proxies_of, servers_needed
from roas.stack.proxy.configuration_check import argv_of, caddy_command, check_configuration
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError, Server, ServerState
from roas.stack.proxy.haproxy_service import few_servers
from roas.stack.proxy.proxied_service import ProxiedService
from roas.stack.proxy.proxies import connector, proxied_service, running_container

log = get_logger(__name__)

# How long a new worker may take to answer.
RELOAD_SECONDS = 10.0
POLL_SECONDS = 0.05
SHOWN = 600
# How it ends where an image does not have the program that is to run, unless the engine refuses it.
NO_PROGRAM, SERVER_ERROR = (126, 127), 500
BACKEND = re.compile(r"\s*(?P<kind>backend|listen|frontend|defaults|global|resolvers|peers)\b\s*(?P<name>\S*)")
SERVERS = re.compile(r"\s*(?:server\s|server-template\s+\S+\s+(?:(?P<first>\d{1,9})-)?(?P<last>\d{1,9})\s)")


class LiveConfiguration:
    """Check and change what the proxies of a stack read."""

    def __init__(self, engine: Engine, files: LiveFiles) -> None:
        self._engine = engine
        self._files = files
        # By proxy: what is held between the last look at its old process and its new one would be forgotten.
        self._reloading = defaultdict[str, asyncio.Lock](asyncio.Lock)

    def in_front_of(self, service: str, proxy: ServiceProxy) -> ProxiedService:
        """Return what tells the proxy in front of a service which of its containers come and go."""
        return proxied_service(self._engine, service, proxy, self._reloading[proxy.service])

    async def check(self, model: Mapping[str, Any], name: str, image: str) -> None:
        """Raise ComposeFileError where a proxy that runs would not take a model's configuration of it.

        It is asked itself, in a container that is thrown away, with the volumes of the one that runs.
        """
        live = dict(self._files.of(services_of(model)[name]))
        if not live:
            return
        self._refuse_few_servers(model, name, live)
        refused = await self._engine.call(lambda client: self._ask(client, model, name, image, live))
        if refused:
            raise ComposeFileError(
                said("{proxy} refuses its new configuration: {output}", proxy=name, output=refused[-SHOWN:]),
                service=name,
            )

    def _ask(
        self, client: EngineClient, model: Mapping[str, Any], name: str, image: str, live: Mapping[Path, Path]
    ) -> str:
        project = self._engine.project
        running = running_container(client, project, name)
        return "" if running is None else check_configuration(client, project, model, name, image, live, running)

    def _refuse_few_servers(self, model: Mapping[str, Any], name: str, live: Mapping[Path, Path]) -> None:
        texts = "\n".join(kept.read_text(errors="replace") for kept in live.values())
        there = count_servers(texts)
        for proxy, definition in proxies_of(read_definitions(model)):
            if proxy.service != name:
                continue
            known = [backend for backend in proxy.all_backends if backend in there]
            for problem in few_servers(name, known, there, servers_needed(definition)):
                raise ComposeFileError(problem, service=name)

    async def reload(self, model: Mapping[str, Any], name: str) -> bool:
        """Have the proxy that runs read a model's configuration of it; returns False where it has to be replaced.

        Raises ProxyError where it goes on with the one that it had.
        """
        service = services_of(model)[name]
        places = {str(place) for place, _ in self._files.of(service)}
        if not await self._engine.call(lambda client: _binds_all(client, self._engine.project, name, places)):
            return False  # somebody's Compose has made it since
        behind = [proxy for proxy, _ in proxies_of(read_definitions(model)) if proxy.service == name]
        if any(proxy.kind is ProxyKind.HAPROXY for proxy in behind):
            async with self._reloading[name]:
                done = await self._reload_haproxy(service, name, behind)
        else:
            done = program_of(service) == "caddy" and await self._reload_caddy(service, name)
        if done:
            await self._engine.local(lambda: self._files.note_read(service))
        return done

    async def _reload_caddy(self, service: Mapping[str, Any], name: str) -> bool:
        await self._engine.local(lambda: self._files.put(service))

        def reload(client: EngineClient) -> tuple[int, str] | None:
            if (running := running_container(client, self._engine.project, name)) is None:
                return None
            command = caddy_command(argv_of({}, running["Config"]), "reload")
            return _exec(client, running["Id"], command) if command else None

        found = await self._engine.call(reload)
        if found is not None and found[0]:  # such as `admin off`: a new container reads it for certain
            log.info("Caddy cannot be reloaded", service=name, reason=found[1][-SHOWN:])
        return found is not None and not found[0]

    async def _reload_haproxy(self, service: Mapping[str, Any], name: str, behind: list[ServiceProxy]) -> bool:
        connect = connector(self._engine, behind[0])
        backends = [backend for proxy in behind for backend in proxy.all_backends]
        runtime, places = await connect(), {str(place) for place, _ in self._files.of(service)}
        reads_again = await self._engine.call(lambda client: _reads_again(client, self._engine.project, name, places))
        if runtime is None or not reads_again:
            return False
        before: list[Server] = []
        worker = ""
        with suppress(ProxyAwayError):  # it may have read a configuration that has no socket
            before, worker = await runtime.known_servers(backends), await runtime.worker()
        await self._engine.local(lambda: self._files.put(service))
        if not await self._engine.call(lambda client: _signal(client, self._engine.project, name)):
            return False
        deadline = time.monotonic() + RELOAD_SECONDS
        while True:
            with suppress(ProxyAwayError):
                if await runtime.worker() != worker:
                    break
            if time.monotonic() >= deadline:
                raise _not_taken_up(name, said("its new process does not answer"))
            await pause(POLL_SECONDS)
        while (
            not await _put_aside(runtime, before, await runtime.known_servers(backends)) and time.monotonic() < deadline
        ):
            await pause(POLL_SECONDS)
        return True


def count_servers(text: str) -> dict[str, int]:
    """Count the servers of each backend in a configuration of HAProxy, as far as the text alone says it."""
    found: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        if head := BACKEND.match(line):
            name = head["name"] if head["kind"] in {"backend", "listen"} else ""
            found.setdefault(name, 0)
        elif name and (servers := SERVERS.match(line)):
            found[name] += int(servers["last"] or 1) - int(servers["first"] or 1) + 1
    return found


async def _put_aside(runtime: HAProxyRuntime, before: list[Server], after: list[Server]) -> bool:
    """Put those servers aside again that were: a new process has forgotten it. Free ones are held all or none.

    Returns whether it knows all of them already: it asks DNS first.
    """
    drained = {(server.backend, server.address) for server in before if server.draining}
    by_hand = {(server.backend, server.address) for server in before if server.by_hand and server.address}
    there = Counter((server.backend, server.address) for server in after)
    await runtime.put([server for server in after if (server.backend, server.address) in drained], ServerState.DRAIN)
    # At first, several servers may have one address.
    certain = {item for item in by_hand if there[item] == 1}
    await runtime.put([server for server in after if (server.backend, server.address) in certain], ServerState.MAINT)
    backends = {backend for backend, _ in there}
    return all(there[item] == 1 for item in drained | by_hand if item[1] and item[0] in backends)


def _not_taken_up(name: str, why: str) -> ProxyError:
    return ProxyError(
        said("{proxy} did not take up its new configuration: {reason}", proxy=name, reason=why[-SHOWN:]),
        service=name,
    )


def _binds_all(client: EngineClient, project: str, name: str, places: set[str]) -> bool:
    running = running_container(client, project, name)
    return running is not None and places <= {str(mount.get("Source")) for mount in running.get("Mounts") or ()}


def _reads_again(client: EngineClient, project: str, name: str, places: Collection[str]) -> bool:
    """Return whether HAProxy runs as a master with a worker, which SIGUSR2 is the end of any other, and by no script.

    A script may write what HAProxy reads, or be one of the files.
    """
    if (running := running_container(client, project, name)) is None:
        return False
    argv = [running["Path"], *running["Args"]]
    own = {mount["Destination"] for mount in running.get("Mounts") or () if str(mount.get("Source")) in places}
    processes = (line[-1].split() for line in client.top(running["Id"])["Processes"])
    haproxies = sum(PurePosixPath(words[0]).name == "haproxy" for words in processes if words)
    return haproxy_program(argv) is not None and not own & {*argv[:2]} and haproxies > 1


def _signal(client: EngineClient, project: str, name: str) -> bool:
    """Send SIGUSR2 from inside: to the engine, each signal that it is asked to send is a stop by a person.

    Returns False where there is no shell to send it.
    """
    if (running := running_container(client, project, name)) is None:
        return True
    try:
        code, output = _exec(client, running["Id"], ["sh", "-c", "kill -USR2 1"])
    except ApiError as error:
        if error.status >= SERVER_ERROR:  # it passes; else the engine says that there is nothing to run
            raise
        code, output = NO_PROGRAM[0], str(error)
    if code in NO_PROGRAM:
        log.info("HAProxy cannot be reloaded", service=name, reason=output[-SHOWN:])
        return False
    if code:
        raise _not_taken_up(name, output)
    return True


def _exec(client: EngineClient, container: str, command: list[str]) -> tuple[int, str]:
    made = client.exec_create(container, command)["Id"]
    output = client.exec_start(made)
    return int(client.exec_inspect(made)["ExitCode"] or 0), output.decode(errors="replace").strip()
