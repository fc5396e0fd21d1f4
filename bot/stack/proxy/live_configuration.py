"""Change the configuration of a proxy that runs: check it first, swap its content, and have the proxy read it again.

Its files lie where they stay from release to release (`roas.stack.model.live_files`): users keep their connections.
HAProxy reads its files again by SIGUSR2 where it runs in master-worker mode, Caddy by `caddy reload`.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from roas.concurrency import pause
from roas.errors import ComposeFileError, ProxyError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.stack import ProxyKind, ServiceProxy
from roas.stack.api_errors import ApiError
from roas.stack.client import Engine
from roas.stack.docker_client import EngineClient
from roas.stack.model.definitions import read_definitions
from roas.stack.model.live_files import LiveFiles, program_of
from roas.stack.model.service_proxy import proxies_of, servers_needed
from roas.stack.model.services import services_of
from roas.stack.proxy.haproxy import HAProxyRuntime, ProxyAwayError, Server, ServerState
from roas.stack.proxy.haproxy_service import few_servers
from roas.stack.proxy.proxied_service import ProxiedService
from roas.stack.proxy.proxies import connector, proxied_service, running_container

CHECK_LABEL = "roas.configuration-check"
CHECK_SECONDS = 30
CHECK_MEMORY = 512 << 20
CHECK_PROCESSES = 128
# What HAProxy says of a name that is outside of the stack, which nobody tells a check.
UNRESOLVED = "could not resolve"
log = get_logger(__name__)

# How long a new worker may take to answer.
RELOAD_SECONDS = 10.0
POLL_SECONDS = 0.05
SHOWN = 600
BACKEND = re.compile(r"\s*(?P<kind>backend|listen|frontend|defaults|global|resolvers|peers)\b\s*(?P<name>\S*)")
SERVERS = re.compile(r"\s*(?:server\s|server-template\s+\S+\s+(?:(?P<first>\d+)-)?(?P<last>\d+)\s)")


class LiveConfiguration:
    """Check and change what the proxies of a stack read."""

    def __init__(self, engine: Engine, files: LiveFiles) -> None:
        self._engine = engine
        self._files = files

    def in_front_of(self, service: str, proxy: ServiceProxy) -> ProxiedService:
        """Return what tells the proxy in front of a service which of its containers come and go."""
        return proxied_service(self._engine, service, proxy)

    async def check(self, model: Mapping[str, Any], name: str, image: str) -> None:
        """Raise ComposeFileError where a proxy that runs would not take a model's configuration of it.

        It is asked itself, in a container that is thrown away, with the volumes of the one that runs.
        """
        live = dict(self._files.of(services_of(model)[name]))
        if not live:
            return
        self._refuse_few_servers(model, name, live)
        refused = await self._engine.call(lambda client: _check(client, self._engine.project, model, name, image, live))
        if refused:
            raise ComposeFileError(
                said("{proxy} refuses its new configuration: {output}", proxy=name, output=refused[-SHOWN:]),
                service=name,
            )

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
            argv = _argv({}, running["Config"])
            command = _caddy(argv, "reload")
            return _exec(client, running["Id"], command) if command else None

        found = await self._engine.call(reload)
        if found is not None and found[0]:  # such as `admin off`: a new container reads it for certain
            log.info("Caddy cannot be reloaded", service=name, reason=found[1][-SHOWN:])
        return found is not None and not found[0]

    async def _reload_haproxy(self, service: Mapping[str, Any], name: str, behind: list[ServiceProxy]) -> bool:
        connect = connector(self._engine, behind[0])
        backends = [backend for proxy in behind for backend in proxy.all_backends]
        runtime = await connect()
        has_master = await self._engine.call(lambda client: _has_master(client, self._engine.project, name))
        if runtime is None or not has_master:
            return False
        before: list[Server] = []
        worker = ""
        with suppress(ProxyAwayError):  # it may have read a configuration that has no socket
            before, worker = await runtime.known_servers(backends), await runtime.worker()
        await self._engine.local(lambda: self._files.put(service))
        await self._engine.call(lambda client: _signal(client, self._engine.project, name))
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


def _has_master(client: EngineClient, project: str, name: str) -> bool:
    """Return whether HAProxy runs as a master with a worker: to any other, SIGUSR2 is the end."""
    if (running := running_container(client, project, name)) is None:
        return False
    processes = client.top(running["Id"])["Processes"]
    return sum("haproxy" in line[-1] for line in processes) > 1


def _signal(client: EngineClient, project: str, name: str) -> None:
    """Send SIGUSR2 from inside: to the engine, each signal that it is asked to send is a stop by a person."""
    if (running := running_container(client, project, name)) is not None:
        code, output = _exec(client, running["Id"], ["sh", "-c", "kill -USR2 1"])
        if code:
            raise _not_taken_up(name, output)


def _exec(client: EngineClient, container: str, command: list[str]) -> tuple[int, str]:
    made = client.exec_create(container, command)["Id"]
    output = client.exec_start(made)
    return int(client.exec_inspect(made)["ExitCode"] or 0), output.decode(errors="replace").strip()


def _argv(service: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return what a container runs: as its service says, or else as the configuration of its image does."""
    entrypoint = service.get("entrypoint")
    command = service.get("command") or (config.get("Cmd") if entrypoint is None else None)
    return [*(entrypoint if entrypoint is not None else config.get("Entrypoint") or ()), *(command or ())]


def _caddy(argv: list[str], action: str) -> list[str]:
    """Return another command of Caddy with the configuration that it runs with; empty where it is not seen."""
    if "run" not in argv:
        return []
    program, options = argv[: argv.index("run")], argv[argv.index("run") + 1 :]
    kept = [
        part
        for key, value in zip(options, [*options[1:], ""], strict=True)
        if key in {"--config", "-c", "--adapter", "-a"}
        for part in (key, value)
    ]
    return [*program, action, *kept]


def _check(
    client: EngineClient,
    project: str,
    model: Mapping[str, Any],
    name: str,
    image: str,
    live: Mapping[Path, Path],
) -> str:
    """Return what the program itself says against a configuration; nothing where no container of it runs.

    Nobody has said yes to what it runs and reads: it has no network, and no more of the host than the container that
    runs. Other services have an address for it, which is nobody's.
    """
    service, running = services_of(model)[name], running_container(client, project, name)
    if running is None or (binds := _binds(service, live, running)) is None:
        return ""
    argv = _argv(service, client.inspect_image(image)["Config"])  # type: ignore[no-untyped-call]
    argv = _caddy(argv, "validate") if any("caddy" in part for part in argv[:2]) else [*argv, "-c"]
    if not argv:
        return ""
    created = client.create_container(
        image,
        entrypoint=argv[:1],
        command=argv[1:],
        environment={key: value for key, value in (service.get("environment") or {}).items() if value is not None},
        user=service.get("user"),
        labels={CHECK_LABEL: "1"},
        host_config=client.create_host_config(
            binds=[*binds, *_volumes(running)],
            network_mode="none",
            extra_hosts=dict.fromkeys(_hosts(model), "127.0.0.1"),
            security_opt=["no-new-privileges"],
            mem_limit=CHECK_MEMORY,
            pids_limit=CHECK_PROCESSES,
        ),
    )["Id"]
    try:
        client.start(created)
        code = int(client.wait(created, timeout=CHECK_SECONDS)["StatusCode"])
        said_by = client.logs(created).decode(errors="replace").strip() or str(code) if code else ""
        return "" if UNRESOLVED in said_by else said_by
    finally:
        with suppress(ApiError, OSError):
            client.remove_container(created, force=True, v=True)


def _hosts(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names by which a proxy may know the services of its stack."""
    for name, service in services_of(model).items():
        networks = service.get("networks")
        found = (networks or {}).values() if isinstance(networks, Mapping) else ()
        aliases = (alias for network in found for alias in (network or {}).get("aliases") or ())
        yield from filter(None, (name, service.get("container_name"), service.get("hostname"), *aliases))


def _binds(service: Mapping[str, Any], live: Mapping[Path, Path], running: Mapping[str, Any]) -> list[str] | None:
    """Return what a check binds: copies of ours, and what the container that runs has; None where there is more."""
    store = next(iter(live)).parent
    had = {str(mount["Source"]) for mount in running.get("Mounts") or () if mount["Type"] == "bind"}
    sources = [
        (Path(volume["source"]), volume["target"])
        for volume in service.get("volumes") or ()
        if volume.get("type") == "bind"
    ]
    if any(source.parent != store and str(source) not in had for source, _ in sources):
        return None
    return [f"{live.get(source, source)}:{target}:ro" for source, target in sources]


def _volumes(running: Mapping[str, Any]) -> Iterator[str]:
    for mount in running.get("Mounts") or ():
        if mount["Type"] == "volume":
            yield f"{mount['Name']}:{mount['Destination']}:ro"
