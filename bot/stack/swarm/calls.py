"""Ask a manager of a Swarm; each call is one request, made in a thread of the engine's clients."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests.exceptions
from docker.auth import get_config_header, resolve_repository_name

from roas.errors import EngineError, NoManagerError, NoQuorumError, SwarmLockedError
from roas.messages.message import said
from roas.models.swarm import LOCKED_HINT, MANAGER_HINT, QUORUM_HINT, SwarmFacts, SwarmNode
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.labels import STACK
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import write_freely

Json = dict[str, Any]
OUT_OF_SEQUENCE = "update out of sequence"
NAME_TAKEN = 409
# And where two create the same at once, so that the manager itself saw it free a moment ago: that is an error 500.
TAKEN_MEANWHILE = "name conflicts with an existing object"
SHARED_GONE = re.compile(r"\b(network|config|secret)\b.* not found")
NO_LEADER = (
    *("does not have a leader", "lost leader status", "deadline exceeded", "code = Unavailable"),
    *("node is not a swarm manager", "not enough managers"),
)
# What an engine says whose node was demoted: others may lead.
NO_MANAGER = "Worker nodes can't be used to view or modify cluster state"
LOCKED = "Swarm is encrypted and needs to be unlocked"
AUTH_HEADER = "X-Registry-Auth"
# A manager asks a node for a log, and waits for one that hangs: nobody takes that for a manager that does not answer.
LOG_SECONDS = 5.0
# What it says in the log itself of a node that it does not reach, in a frame of its own.
MANAGERS_WORDS, REASONS = 3, "for the following reasons: "


def hostname(node: Mapping[str, Any]) -> str:
    """Return what a node calls itself; one that never joined wholly has no name yet."""
    return str((node.get("Description") or {}).get("Hostname") or node["ID"])


class OutOfSequenceError(Exception):
    """Somebody else wrote in between: what was read is not what is there."""


class UnresponsiveNodeError(Exception):
    """A node does not answer the manager that asks it."""


class SharedGoneError(EngineError):
    """A network, config or secret that a service refers to is not there any more."""


class SwarmCalls:
    """Speak Swarm's API through the SDK; blocks. Raises ApiError, OSError.

    Before each write `require_lead` is asked: of several bots that share a journal, one may write.
    """

    def __init__(self, client: EngineClient, require_lead: Callable[[], None] = write_freely) -> None:
        self._api = client
        self._require_lead = require_lead

    def service(self, name: str) -> Json | None:
        """Return a service by its name or id, with its version and the status of its update."""
        try:
            found: Json = self._get(f"/services/{name}")
        except ApiNotFoundError:
            return None
        return found

    def services(self, stack: str) -> list[Json]:
        """Return the services of a stack."""
        return self._list("/services", {"label": [f"{STACK}={stack}"]})

    def all_services(self) -> list[Json]:
        """Return every service of the Swarm."""
        return self._list("/services", {})

    def tasks(self, **filters: str) -> list[Json]:
        """Return tasks, those that have ended among them, as far as Swarm keeps them."""
        return self._list("/tasks", {key: [value] for key, value in filters.items()})

    def tasks_of_stack(self, stack: str) -> list[Json]:
        """Return the tasks of a stack's services."""
        return self._list("/tasks", {"label": [f"{STACK}={stack}"]})

    def nodes(self) -> list[Json]:
        """Return the nodes."""
        return self._list("/nodes", {})

    def state(self) -> str:
        """Return what the engine is in a Swarm: `active/manager`, `active/worker`, `locked`, `pending`, `inactive` …

        One of before 2022 says so only of all it knows.
        """
        answer = self._checked(self._api.get(f"{self._api.base_url}/_ping", timeout=self._api.timeout))
        if (state := answer.headers.get("Swarm")) is not None:
            return str(state)
        about = self._get("/info").get("Swarm") or {}
        state = str(about.get("LocalNodeState") or "inactive")
        return f"active/{'manager' if about.get('ControlAvailable') else 'worker'}" if state == "active" else state

    def cluster_id(self) -> str:
        """Return the id of the Swarm."""
        return str(self._get("/swarm")["ID"])

    def own_node_id(self) -> str:
        """Return the id of the node that is asked."""
        return str((self._get("/info").get("Swarm") or {}).get("NodeID") or "")

    def own_node_name(self) -> str:
        """Return what the machine of the node that is asked calls itself."""
        return str(self._get("/info")["Name"])

    def network_names(self, services: Iterable[Mapping[str, Any]] = (), names: Iterable[str] = ()) -> dict[str, str]:
        """Return the names of the Swarm's networks, by id: all that `services` are in, and those of these `names`.

        Without a leader a manager leaves out what it does not know itself, and calls that an answer. So what is missing
        is asked for once more after a question that only a leader answers.
        """
        found, names = self._network_names(), set(names)
        ids = {
            str(network["Target"])
            for service in services
            for network in service["Spec"]["TaskTemplate"].get("Networks") or ()
        }
        if ids <= found.keys() and names <= set(found.values()):
            return found
        self.nodes()
        return self._network_names()

    def _network_names(self) -> dict[str, str]:
        found = self._list("/networks", {"scope": ["swarm"]})
        return {str(entry["Id"]): str(entry["Name"]) for entry in found}

    def named(self, kind: str, stack: str | None = None) -> dict[str, Json]:
        """Return configs or secrets by name; with `stack`, only that one's."""
        found = self._list(f"/{kind}", {"label": [f"{STACK}={stack}"]} if stack else {})
        return {str(entry["Spec"]["Name"]): entry for entry in found}

    def beginning_with(self, kind: str, names: Iterable[str]) -> dict[str, Json]:
        """Return the configs or secrets whose names begin with one of these, by name."""
        return {str(entry["Spec"]["Name"]): entry for entry in self._list(f"/{kind}", {"name": [*names]})}

    def config(self, name: str) -> Json | None:
        """Return a config, with its content and its version; None where there is none."""
        try:
            found: Json = self._get(f"/configs/{name}")
        except ApiNotFoundError:
            return None
        return found

    def configs_with(self, label: str) -> list[Json]:
        """Return the configs that have a label, with their contents."""
        return self._list("/configs", {"label": [label]})

    def relabel_config(self, config_id: str, version: int, spec: Mapping[str, Any]) -> None:
        """Change the labels of a config, over the version that was read. Raises OutOfSequenceError."""
        try:
            self._post(f"/configs/{config_id}/update?version={version}", spec, None)
        except ApiError as error:
            if OUT_OF_SEQUENCE in error.explanation:
                raise OutOfSequenceError(error.explanation) from error
            raise

    def create(self, kind: str, spec: Mapping[str, Any], *, image: str | None = None) -> str:
        """Create a service, network, config or secret and return its id. Raises OutOfSequenceError for a taken name.

        Raises SharedGoneError where a service refers to what is gone.
        """
        try:
            answer = self._post(f"/{kind}/create", spec, image)
        except ApiError as error:
            status = error.status
            if status == NAME_TAKEN or TAKEN_MEANWHILE in error.explanation:
                raise OutOfSequenceError(error.explanation) from error
            _require_shared(error)
            raise
        return str(answer.get("ID") or answer.get("Id"))

    def update(self, service_id: str, version: int, spec: Mapping[str, Any], *, image: str | None) -> None:
        """Write a service's spec over the version that was read. Raises OutOfSequenceError where it is older."""
        try:
            self._post(f"/services/{service_id}/update?version={version}", spec, image)
        except ApiError as error:
            if OUT_OF_SEQUENCE in error.explanation:
                raise OutOfSequenceError(error.explanation) from error
            _require_shared(error)
            raise

    def remove(self, kind: str, object_id: str) -> None:
        """Remove something; what is gone already is no error."""
        self._require_lead()
        try:
            self._checked(self._api.delete(self._url(f"/{kind}/{object_id}"), timeout=self._api.timeout))
        except ApiNotFoundError:
            return

    def task_log(self, task_id: str, *, lines: int, since: int = 0) -> str:
        """Return the last lines that a task wrote, with their times; empty where its node is gone.

        Raises UnresponsiveNodeError where its node does not answer.
        """
        try:
            found = self._api.get(
                self._url(f"/tasks/{task_id}/logs"),
                params={"stdout": 1, "stderr": 1, "tail": lines, "since": since, "timestamps": 1},
                timeout=LOG_SECONDS,
            )
        except requests.exceptions.RequestException as error:
            if "timed out" not in str(error):
                raise
            raise UnresponsiveNodeError from error
        self._checked(found)
        return _plain(found.content)

    def _get(self, path: str, **params: str) -> Any:
        return self._checked(self._api.get(self._url(path), params=params, timeout=self._api.timeout)).json()

    def _list(self, path: str, filters: Mapping[str, list[str]]) -> list[Json]:
        found: list[Json] = self._get(path, filters=json.dumps(filters)) or []
        return found

    def _post(self, path: str, body: Mapping[str, Any], image: str | None) -> Json:
        headers = self.login_of(image) if image else {}
        self._require_lead()
        answer = self._api.post(self._url(path), json=body, headers=headers, timeout=self._api.timeout)
        text = self._checked(answer).text.strip()
        return dict(json.loads(text)) if text else {}

    def login_of(self, image: str) -> dict[str, str]:
        """Return the header with the login for an image's registry: it goes with each write; the nodes pull with it."""
        registry, _ = resolve_repository_name(image.partition("@")[0])
        header = get_config_header(self._api, registry)
        if not header:
            return {}
        return {AUTH_HEADER: header.decode() if isinstance(header, bytes) else str(header)}

    def _url(self, path: str) -> str:
        return f"{self._api.base_url}/v{self._api.api_version}{path}"

    def _checked(self, answer: Any) -> Any:
        self._api._raise_for_status(answer)
        return answer


def _require_shared(error: ApiError) -> None:
    """Raise SharedGoneError where a write was refused since what it refers to is gone."""
    text = error.explanation
    if SHARED_GONE.search(text):
        raise SharedGoneError(said("The engine refused: {text}", text=text)) from error


def locked(address: str) -> SwarmLockedError:
    """Return the error of a Swarm that waits for its key."""
    return SwarmLockedError(said("The Swarm of {address} is locked.", address=address), hint=LOCKED_HINT)


@contextmanager
def without_quorum(address: str) -> Iterator[None]:
    """Turn what a manager says without a leader into the fault of an engine that does not answer."""
    try:
        yield
    except ApiError as error:
        text = error.explanation
        if NO_MANAGER in text:
            raise NoManagerError(
                said("The engine of {address} is no manager of its Swarm any more.", address=address), hint=MANAGER_HINT
            ) from error
        if LOCKED in text:
            raise locked(address) from error
        if any(part in text for part in NO_LEADER):
            raise NoQuorumError(
                said("The Swarm of {address} has no leader: {text}", address=address, text=text),
                hint=QUORUM_HINT,
            ) from error
        raise


def _plain(content: bytes) -> str:
    """Take the frames from around a log's lines: eight bytes of head, the last four of which are the length."""
    found, at = [], 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "big")
        text = content[at + 8 : at + 8 + length].decode(errors="replace")
        found.append(no_log(text.strip().rpartition(REASONS)[2]) + "\n" if content[at] == MANAGERS_WORDS else text)
        at += 8 + length
    return "".join(found)


def no_log(reason: str) -> str:
    """Return what is read in place of a log."""
    return said("(its log cannot be read: {reason})", reason=reason)


MANAGER, WORKER, LOCKED = "active/manager", "active/worker", "locked"
# It begins, or does not find the others.
STARTING = frozenset({"pending", "error", "active/pending", "active/error"})


def no_manager(state: str, name: str, address: str) -> EngineError:
    """Return the error for an engine of an environment, by what Docker says that it is."""
    if state == LOCKED:
        return locked(address)
    if state in STARTING:
        text = said("The engine of {environment} is not ready in its Swarm.", environment=name)
        return NoQuorumError(text, hint=QUORUM_HINT)
    text = said("The engine of {environment} is no manager of a Swarm.", environment=name)
    if state == WORKER:
        return EngineError(text, hint=MANAGER_HINT)
    return EngineError(text, hint=said("Run `docker swarm init` there, or name a manager by `docker_host`."))


def swarm_facts(calls: SwarmCalls) -> SwarmFacts:
    """Ask a manager about its Swarm, but for which node it is."""
    return SwarmFacts(calls.cluster_id(), "", tuple(map(swarm_node, calls.nodes())))


def swarm_node(found: Mapping[str, Any]) -> SwarmNode:
    """Read a node as a manager shows it."""
    spec, status = found.get("Spec") or {}, found.get("Status") or {}
    about, manager = found.get("Description") or {}, found.get("ManagerStatus") or {}
    engine, platform = (about.get(key) or {} for key in ("Engine", "Platform"))
    return SwarmNode(
        id=str(found["ID"]),
        hostname=hostname(found),
        state=str(status.get("State") or "unknown"),
        availability=str(spec.get("Availability") or "active"),
        message=str(status.get("Message") or ""),
        address=str(status.get("Addr") or ""),
        reachability=str(manager.get("Reachability") or "unknown") if manager else "",
        is_leader=bool(manager.get("Leader")),
        engine_version=str(engine.get("EngineVersion") or ""),
        system=str(platform.get("OS") or ""),
        architecture=str(platform.get("Architecture") or ""),
        labels=dict(spec.get("Labels") or {}),
        engine_labels=dict(engine.get("Labels") or {}),
    )
