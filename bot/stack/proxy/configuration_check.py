"""Ask a proxy's own program about a configuration, in a container that is thrown away.

Nobody has said yes to what is read there, and people see what is said of it: it is the program that runs already, or
not asked. It has no network, and nothing of the host, not even what the container that runs has of it. Names lead
nowhere: those of other services from the start, and others as the program asks for them.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from roas.limits import PROXY_CHECK_TRIES
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.live_files import haproxy_program
from roas.stack.model.services import MOUNTED_SECRETS, as_mapping, services_of
from roas.stack.proxy.unconfirmed_programs import CADDY_FILES, bound_by, brings_a_program

CHECK_LABEL = "roas.configuration-check"
CHECK_SECONDS = 30
CHECK_MEMORY = 512 << 20
CHECK_PROCESSES = 128
NOBODY = "127.0.0.1"
# What HAProxy says of a name that it cannot resolve. One that it is to listen at has to be its own.
UNRESOLVED = re.compile(r"(?:invalid address: |could not resolve address )'(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)'")
LISTENS = "'bind'"
# Return what a program says against a configuration, given the names that lead nowhere; nothing where it takes it.
Ask = Callable[[Collection[str]], str]


def check_configuration(
    client: EngineClient,
    project: str,
    model: Mapping[str, Any],
    service: str,
    image: str,
    live: Mapping[Path, Path],
    running: Mapping[str, Any],
) -> str:
    """Return what the program itself says against the configuration of a proxy in a model; nothing where it takes it.

    So it is where nobody can be asked: another program would run there, or it reads more than copies of files.
    """
    fields = services_of(model)[service]
    if (binds := _binds(fields, live, running)) is None or not _has_plain_volumes(client, running):
        return ""
    config = client.inspect_image(image)["Config"]  # type: ignore[no-untyped-call]
    argv = argv_of(fields, config)
    is_same = running["Image"] == image and _runs_as(fields, config) == _runs_as({}, running["Config"])
    if not is_same or brings_a_program(argv, fields, live, running) or not (command := _check_command(argv)):
        return ""
    _remove_left(client, f"{project}/{service}")

    def ask(hosts: Collection[str]) -> str:
        host_config = client.create_host_config(
            binds=[*binds, *_volumes(running)],
            network_mode="none",
            extra_hosts=dict.fromkeys(hosts, NOBODY),
            security_opt=["no-new-privileges"],
            mem_limit=CHECK_MEMORY,
            pids_limit=CHECK_PROCESSES,
        )
        created = client.create_container(
            image,
            entrypoint=command[:1],
            command=command[1:],
            environment={key: value for key, value in (fields.get("environment") or {}).items() if value is not None},
            user=fields.get("user"),
            working_dir=fields.get("working_dir"),
            labels={CHECK_LABEL: f"{project}/{service}"},
            host_config=host_config,
        )["Id"]
        return _run(client, created)

    return ask_with_names(ask, _hosts(model))


def ask_with_names(ask: Ask, known: Collection[str]) -> str:
    """Ask until no name is lacking: which lie outside of the stack, or are the host's, only the program knows."""
    hosts, output = frozenset(known), ""
    for _ in range(PROXY_CHECK_TRIES):
        output = ask(hosts)
        lacking = unresolved_names(output) - hosts
        if not lacking:
            break
        hosts |= lacking
    return "" if unresolved_names(output) else output


def unresolved_names(output: str) -> frozenset[str]:
    """Return the names that HAProxy could not resolve where that, and nothing else of its files, is what is wrong."""
    lines = [line for line in output.splitlines() if LISTENS not in line]
    names = frozenset(match["name"] for line in lines for match in UNRESOLVED.finditer(line))
    return frozenset(name for name in names if not _is_number(name))


def _is_number(name: str) -> bool:
    return not name.strip("0123456789.")


def argv_of(service: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return what a container runs: as its service says, or else as the configuration of its image does."""
    entrypoint = service.get("entrypoint")
    command = service.get("command") or (config.get("Cmd") if entrypoint is None else None)
    return [*(entrypoint if entrypoint is not None else config.get("Entrypoint") or ()), *(command or ())]


def caddy_command(argv: list[str], action: str) -> list[str]:
    """Return another command of Caddy with the configuration that it runs with; empty where it is not seen."""
    if "run" not in argv:
        return []
    program, options = argv[: argv.index("run")], argv[argv.index("run") + 1 :]
    kept = [
        part
        for key, value in zip(options, [*options[1:], ""], strict=True)
        if key in {*CADDY_FILES, "--adapter", "-a"}
        for part in (key, value)
    ]
    return [*program, action, *kept]


def _check_command(argv: list[str]) -> list[str]:
    """Return the command that checks a configuration; empty where another program would run."""
    if any("caddy" in part for part in argv[:2]):
        return caddy_command(argv, "validate")
    options_from = haproxy_program(argv)
    return [] if options_from is None else [*argv[:options_from], "-c", *argv[options_from:]]


def _run(client: EngineClient, created: str) -> str:
    try:
        client.start(created)
        code = int(client.wait(created, timeout=CHECK_SECONDS)["StatusCode"])
        return client.logs(created).decode(errors="replace").strip() or str(code) if code else ""
    finally:
        _remove(client, created)


def _remove(client: EngineClient, container: str) -> None:
    with suppress(ApiError, OSError):
        client.remove_container(container, force=True, v=True)


def _remove_left(client: EngineClient, whose: str) -> None:
    """Remove what a bot left that was killed in the middle of a check."""
    for left in client.containers(all=True, filters={"label": f"{CHECK_LABEL}={whose}"}):
        if time.time() - left["Created"] > 2 * CHECK_SECONDS:  # as the engine says when it was made
            _remove(client, left["Id"])


def _hosts(model: Mapping[str, Any]) -> frozenset[str]:
    """Return the names by which a proxy may know the services of its stack."""
    found: set[str] = set()
    for name, service in services_of(model).items():
        networks = service.get("networks")
        known = (networks or {}).values() if isinstance(networks, Mapping) else ()
        found |= {alias for network in known for alias in (network or {}).get("aliases") or ()}
        found |= {*filter(None, (name, service.get("container_name"), service.get("hostname")))}
    return frozenset(found)


def _runs_as(service: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what a container runs, as whom, where, and with which variables: some of these load programs."""
    given = {key: value for key, value in (service.get("environment") or {}).items() if value is not None}
    variables = {**as_mapping(list(config.get("Env") or ())), **{key: str(value) for key, value in given.items()}}
    place = str(service.get("working_dir") or config.get("WorkingDir") or "")
    return argv_of(service, config), str(service.get("user") or config.get("User") or ""), place, variables


def _has_plain_volumes(client: EngineClient, running: Mapping[str, Any]) -> bool:
    """Return whether no volume of a container can be a folder of the host."""
    mounts = [mount for mount in running.get("Mounts") or () if mount["Type"] == "volume"]
    return not any(mount["Driver"] != "local" or client.inspect_volume(mount["Name"])["Options"] for mount in mounts)


def _binds(service: Mapping[str, Any], live: Mapping[Path, Path], running: Mapping[str, Any]) -> list[str] | None:
    """Return what a check binds: copies of ours, and secrets of the container that runs; None where there is more."""
    store = next(iter(live)).parent
    there = {str(mount["Destination"]): mount for mount in running.get("Mounts") or () if mount["Type"] == "bind"}
    if any(source.parent != store for source, _ in bound_by(service)):
        return None
    # Those that Compose binds from where they lie, since the host renews them.
    secrets = [
        str(PurePosixPath(MOUNTED_SECRETS) / str(secret.get("target") or secret["source"]))
        for secret in service.get("secrets") or ()
    ]
    if not there.keys() >= set(secrets):
        return None
    binds = [f"{live.get(source, source)}:{target}:ro" for source, target in bound_by(service)]
    return [*binds, *(f"{there[target]['Source']}:{target}:ro" for target in secrets)]


def _volumes(running: Mapping[str, Any]) -> Iterator[str]:
    for mount in running.get("Mounts") or ():
        if mount["Type"] == "volume":
            yield f"{mount['Name']}:{mount['Destination']}:ro"
