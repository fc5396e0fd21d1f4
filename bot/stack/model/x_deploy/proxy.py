"""Read which proxy stands in front of a service: `x-deploy.proxy`."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from roas.messages.message import said
from roas.models.rollout import FailureAction
from roas.models.stack import ProxyKind, ServiceDefinition, ServiceProxy
from roas.stack.model.x_deploy.entry import Entry

ENTRY = Entry("proxy", frozenset({"service", "kind", "socket", "backends", "websockets", "drain", "refresh"}))
# Where the official image of HAProxy has a folder that its user may write to.
DEFAULT_SOCKET = "/var/lib/haproxy/admin.sock"
# The names go into commands of HAProxy's runtime API, which end with a line or a semicolon.
BACKEND = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


def proxy_of(name: str, service: Mapping[str, Any], grace_seconds: float) -> ServiceProxy | None:
    """Return the proxy in front of a service, or None where there is none. Raises ComposeFileError."""
    written = ENTRY.written_in(service)
    if written is None:
        return None
    entry = ENTRY.require_mapping(name, {"service": written} if isinstance(written, str) else written)
    kinds = [kind.value for kind in ProxyKind]
    if (kind := str(entry.get("kind", ProxyKind.HAPROXY.value))) not in kinds:
        raise ENTRY.has_to_be(name, " | ".join(kinds), within="kind")
    if not isinstance(entry.get("service"), str) or not entry["service"]:
        raise ENTRY.has_to_be(name, "SERVICE", within="service")
    return ServiceProxy(
        service=entry["service"],
        kind=ProxyKind(kind),
        socket=_socket(name, entry.get("socket", DEFAULT_SOCKET)),
        backends=_names(name, "backends", entry.get("backends", [name])),
        websockets=_names(name, "websockets", entry.get("websockets", [])),
        limit_seconds=ENTRY.read_seconds(name, "drain", entry.get("drain", grace_seconds), zero=True),
        refresh_seconds=ENTRY.read_seconds(name, "refresh", entry.get("refresh", 1.0), zero=True),
    )


def refuse_impossible_proxies(definitions: Mapping[str, ServiceDefinition]) -> None:
    """Raise ComposeFileError where a proxy is no other service of the stack, or cannot be told what it has to know."""
    taken: dict[tuple[str, str], str] = {}
    for name, definition in definitions.items():
        proxy = definition.proxy
        if proxy is None:
            continue
        if proxy.service == name or proxy.service not in definitions:
            others = sorted(definitions.keys() - {name})
            raise ENTRY.has_to_be(name, " | ".join(others) or "SERVICE", within="service")
        if proxy.kind is not ProxyKind.HAPROXY:
            continue
        # There is one admin socket: the others would go on sending requests to what is drained.
        if (replicas := definitions[proxy.service].replicas) > 1:
            raise ENTRY.wrong(
                name,
                said(
                    "{proxy} has {replicas} containers, and only one can be told",
                    proxy=proxy.service,
                    replicas=replicas,
                ),
            )
        if not proxy.all_backends:
            raise ENTRY.has_to_be(name, "[BACKEND]", within="backends")
        for backend in proxy.all_backends:
            # Whoever replaces one of the services would release what is held for the other.
            if (other := taken.setdefault((proxy.service, backend), name)) != name:
                raise ENTRY.wrong(name, said("the backend {backend} is that of {other}", backend=backend, other=other))


def proxies_of(definitions: Mapping[str, ServiceDefinition]) -> tuple[tuple[ServiceProxy, ServiceDefinition], ...]:
    """Return every proxy, with the service behind it."""
    return tuple((definition.proxy, definition) for definition in definitions.values() if definition.proxy is not None)


def servers_for(definition: ServiceDefinition) -> int:
    """Return how many servers a backend needs, whatever fails.

    A new one that failed and is let pass needs one more: its old one stays, and has its server, while the next starts.
    """
    update = definition.update
    lets_pass = update.failure_action is not FailureAction.ROLLBACK or update.max_failure_ratio > 0
    return 2 * definition.replicas if lets_pass else servers_needed(definition)


def servers_needed(definition: ServiceDefinition) -> int:
    """Return how many servers a backend needs: one for each container, and for each that is started beside them.

    Beside a canary, all of the old ones stay.
    """
    parallelism = definition.update.parallelism if definition.canary is None else 0
    at_once = min(parallelism or definition.replicas, definition.replicas)
    return definition.replicas + (0 if definition.denies_start_first else at_once)


def fewer_answer(name: str) -> str:
    """Return what to say of a service that a proxy stands in front of, and that is replaced stop-first in parts."""
    return said(
        "{name} has `x-deploy.proxy`, but its file says `order: stop-first`: while its containers are replaced, "
        "fewer of them answer.",
        name=name,
    )


def nothing_answers(name: str) -> str:
    """Return what to say of a service that a proxy stands in front of, and that is replaced stop-first as a whole."""
    return said(
        "{name} has `x-deploy.proxy`, but its file says `order: stop-first`, and all its containers are replaced "
        "at once: nothing answers until the new ones are healthy.",
        name=name,
    )


def lossy_updates(definitions: Mapping[str, ServiceDefinition]) -> tuple[str, ...]:
    """Return what to say of services that a proxy stands in front of, and that their file has replaced stop-first."""
    return tuple(
        fewer_answer(name) if 0 < definition.update.parallelism < definition.replicas else nothing_answers(name)
        for name, definition in definitions.items()
        if definition.proxy is not None
        and definition.replicas
        and not (definition.start_first or definition.denies_start_first)
    )


def _socket(name: str, written: object) -> str:
    path = PurePosixPath(str(written))
    if not isinstance(written, str) or not path.is_absolute() or ".." in path.parts or "\0" in written:
        raise ENTRY.has_to_be(name, DEFAULT_SOCKET, within="socket")
    return str(path)


def _names(name: str, key: str, written: object) -> tuple[str, ...]:
    names = [written] if isinstance(written, str) else written
    if not isinstance(names, list) or not all(isinstance(item, str) and BACKEND.fullmatch(item) for item in names):
        raise ENTRY.has_to_be(name, "[BACKEND]", within=key)
    return tuple(names)
