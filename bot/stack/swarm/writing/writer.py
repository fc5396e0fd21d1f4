"""Write to a Swarm with a mark that is read back, and know for how long there was no quorum."""

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from roas.concurrency import pause
from roas.errors import EngineError, EngineUnavailableError, NoManagerError, NoQuorumError, SwarmLockedError
from roas.limits import SWARM_BUSY_SECONDS, SWARM_RETRY_SECONDS, SWARM_WRITE_SECONDS, SWARM_WRITE_TRIES
from roas.messages.message import said
from roas.models.swarm import QUORUM_HINT, Absence, QuorumLosses
from roas.stack.containers.readiness import FIND_OUT_WHO
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import STACK
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import write_freely
from roas.stack.model.services import services_of
from roas.stack.swarm.calls import AUTH_HEADER, OutOfSequenceError, SwarmCalls, without_quorum
from roas.stack.swarm.normal_form import DIGITS, FENCE, LOGIN, NONCE, force_of, is_job, is_of, spec_hash
from roas.stack.swarm.same_swarm import SameSwarm
from roas.stack.swarm.tasks.tasks import StackReading, read_stack
from roas.stack.swarm.writing.external_objects import Newest, add_version, external_files, read_newest
from roas.stack.swarm.writing.update_verdict import Written, deployment_of, new_nonce, nonce_of

# Without a leader a manager keeps a question for up to 20 s, and answers it if there is one by then. Else it takes it
# some milliseconds.
SLOW_SECONDS = 10.0
KINDS = {NoManagerError: Absence.NO_MANAGER, SwarmLockedError: Absence.LOCKED}
BUSY_POLL_SECONDS = 0.5
UPDATING = frozenset({"updating", "rollback_started"})


class QuorumWatch:
    """Count the questions that were answered by that there is no quorum, and the time until one is answered again.

    A manager that leads, and loses the others, may leave a write without any answer. So that time counts, too.
    """

    def __init__(self) -> None:
        self._times = 0
        self._seconds = 0.0
        self._answered_at = time.monotonic()
        self._away_since: float | None = None
        self._open: list[float] = []
        self._absence = Absence.NO_QUORUM

    def asks(self, asked_at: float) -> None:
        """Note that a manager is asked: one that keeps the question waits for a leader."""
        self._open.append(asked_at)

    def has_ended(self, asked_at: float) -> None:
        """Note that a question is open no more, however that came."""
        self._open.remove(asked_at)

    def answered(self, asked_at: float) -> None:
        """Note that a manager answered just now; what was asked may have waited for a leader until then."""
        now = time.monotonic()
        since = max(asked_at, self._answered_at) if self._away_since is None else self._away_since
        if self._away_since is not None or now - since >= SLOW_SECONDS:
            self._seconds += now - since
            self._absence = Absence.NO_QUORUM if self._away_since is None else self._absence
        self._answered_at, self._away_since = now, None

    def unanswered(self, asked_at: float, error: EngineUnavailableError) -> None:
        """Note that there was no answer, or that there is no quorum; nobody else was answered since, either."""
        self._times += isinstance(error, NoQuorumError)
        kind = next((kind for of, kind in KINDS.items() if isinstance(error, of)), Absence.NO_QUORUM)
        if (
            self._away_since is None or kind is not Absence.NO_QUORUM
        ):  # one that is unlocked still has to find the others
            self._absence = kind
        if self._away_since is None:
            self._away_since = max(asked_at, self._answered_at)

    @property
    def losses(self) -> QuorumLosses:
        """Return how often there was none, and how long there was no answer, until now."""
        away = 0.0 if self._away_since is None else time.monotonic() - self._away_since
        now_away = away or self._kept_seconds()
        return QuorumLosses(self._times, self._seconds + away, now_away, self._absence)

    def _kept_seconds(self) -> float:
        """Return for how long a manager has kept a question and answered none; 0 where that is not long."""
        kept = time.monotonic() - max(min(self._open, default=math.inf), self._answered_at)
        return kept if kept >= SLOW_SECONDS else 0.0


Json = dict[str, Any]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold a service before a try to write it, and the tasks that it has; the networks are names by id."""

    service: Json | None
    tasks: tuple[Json, ...]
    networks: Mapping[str, str]

    @property
    def task_ids(self) -> frozenset[str]:
        """Return the ids of the tasks."""
        return frozenset(str(task["ID"]) for task in self.tasks)


class SwarmWriter:
    """Ask the managers of one stack's Swarm, and write its services to them."""

    def __init__(
        self,
        engine: Engine,
        key: Callable[[], bytes] = bytes,
        same_swarm: SameSwarm | None = None,
        require_lead: Callable[[], None] = write_freely,
    ) -> None:
        self.engine = engine
        self._require_lead = require_lead
        self._key = key
        self._quorum = QuorumWatch()
        self._same = same_swarm or SameSwarm(engine.environment)

    async def ask(self, question: Callable[[SwarmCalls], Answer]) -> Answer:
        """Ask the environment's manager. Raises EngineUnavailableError; NoQuorumError where the Swarm has no leader.

        Of another Swarm than the environment's, nothing is asked: OtherSwarmError.
        """
        wanted = await self._same.wanted()

        def asked(client: EngineClient) -> Answer:
            with without_quorum(client.address):
                calls = SwarmCalls(client, self._require_lead)
                self._same.require(calls, client, wanted)
                return question(calls)

        watch, began = self._quorum, time.monotonic()
        watch.asks(began)
        try:
            answer = await self.engine.call(asked)
        except EngineUnavailableError as error:
            watch.unanswered(began, error)
            raise
        finally:
            watch.has_ended(began)
        watch.answered(began)
        return answer

    async def read_stack(self) -> StackReading:
        """Read all that a manager shows of the stack."""
        return await self.ask(lambda calls: read_stack(calls, self.engine.project))

    async def newest(self, model: Mapping[str, Any]) -> Newest:
        """Return what is the newest of all that is external in a model; a manager is asked where something is."""
        if not any(external_files(model, service) for service in services_of(model).values()):
            return {}
        return await self.ask(lambda calls: read_newest(calls, model))

    async def add_secret(self, name: str, value: bytes) -> str:
        """Give the Swarm a new version of a secret, and return what it is called; see `add_version`."""

        def add(calls: SwarmCalls) -> str:
            _require_quorum(calls.nodes())
            return add_version(calls, name, value)

        return await self.ask(add)

    def quorum_losses(self) -> QuorumLosses:
        """Return how often, and for how long, there was no quorum by what was answered; it only grows."""
        return self._quorum.losses

    async def write(
        self,
        spec: Mapping[str, Any],
        *,
        recreate: bool = False,
        deployment: str = "",
        seen: Seen | None = None,
    ) -> Written:
        """Create or update a service, and return what was written once it is read back; the mark has the deployment.

        The first try is made over what was `seen` just now, where that is given. A newer version is read and written
        over; a lost answer is settled by the mark. While somebody else's update of the service goes on, it is left
        alone for a while: a write in the middle would take its status, and its way back. Raises EngineError,
        EngineUnavailableError.
        """
        nonce, began = new_nonce(deployment), time.monotonic()
        fault: EngineError | None = None
        there: frozenset[str] | None = None
        for _ in range(SWARM_WRITE_TRIES):
            try:
                await self._note_swarm()
                if seen is None:
                    seen = await self.ask(lambda calls: see_service(calls, str(spec["Name"])))
                there = seen.task_ids if there is None else there
                written = await self._write_once(spec, nonce, seen, recreate=recreate)
                return replace(written, tasks_before=there)
            except OutOfSequenceError:
                seen = None
            except EngineUnavailableError as error:  # it may have been taken all the same: the mark tells
                fault, seen = error, None
                if time.monotonic() - began > SWARM_WRITE_SECONDS:
                    break
                await pause(SWARM_RETRY_SECONDS)
        raise fault or EngineError(
            said("{service} was not updated: somebody else keeps changing it.", service=spec["Name"]),
            hint=FIND_OUT_WHO,
        )

    async def _note_swarm(self) -> None:
        """Write down which Swarm this is, before it is written to for the first time."""
        if not self._same.is_noted:
            await self._same.note(await self.ask(lambda calls: calls.cluster_id()))

    async def renew_logins(self) -> tuple[str, ...]:
        """Write again, with today's login, each service of ours that rests; returns their names. Its tasks go on."""

        def renew(calls: SwarmCalls) -> tuple[str, ...]:
            return tuple(
                renewed for service in calls.services(self.engine.project) if (renewed := self._renew(calls, service))
            )

        return await self.ask(renew)

    def _renew(self, calls: SwarmCalls, service: Mapping[str, Any]) -> str:
        """Return the name of a service that was written again; empty where it is as it should be, or is busy."""
        spec = service["Spec"]
        image = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
        mark = login_mark(calls, image, self._key())
        if not _may_be_labelled(service) or not mark or spec["Labels"].get(LOGIN) == mark:
            return ""
        return _label(calls, service, LOGIN, mark)

    async def end_update(self, written: Written) -> None:
        """Write a service again whose tasks run as they are to, while Swarm waits for one on a node that is lost.

        That ends the update. Else Swarm rolls it back when the node is there again, long after somebody was told that
        it succeeded.
        """

        def end(calls: SwarmCalls) -> None:
            service = calls.service(written.service_id)
            if service is not None and nonce_of(service["Spec"]) == written.nonce:
                _label(calls, service, FENCE, written.nonce)

        await self.ask(end)

    async def fence_off(self, deployment: str) -> tuple[str, ...]:
        """Write again each service that rests and that a deployment has not written; returns their names.

        What a bot that led before has read of them, and still means to write over, is out of sequence then.
        """

        def fence(calls: SwarmCalls) -> tuple[str, ...]:
            return tuple(
                _label(calls, service, FENCE, new_nonce(deployment))
                for service in calls.services(self.engine.project)
                if _may_be_labelled(service) and deployment_of(nonce_of(service["Spec"])) != deployment
            )

        return await self.ask(fence)

    async def _write_once(self, spec: Mapping[str, Any], nonce: str, seen: Seen, *, recreate: bool) -> Written:
        networks, before = seen.networks, await self._quiet(seen.service, nonce)
        if before is not None and nonce in {nonce_of(before["Spec"]), nonce_of(before.get("PreviousSpec"))}:
            return _written(before, spec, nonce, _before(before, nonce), networks)  # an answer was lost, not the write
        if before is not None:
            _require_own(before, spec)
        sent = _with_write(spec, before, nonce, recreate=recreate)
        image = str(sent["TaskTemplate"]["ContainerSpec"]["Image"])

        def send(calls: SwarmCalls) -> Json | None:
            _require_quorum(calls.nodes())
            sent["Labels"][LOGIN] = login_mark(calls, image, self._key())
            if before is not None and before["Spec"]["Mode"].keys() != sent["Mode"].keys():
                calls.remove("services", str(before["ID"]))  # Swarm refuses to change the mode of a service
                calls.create("services", sent, image=image)
            elif before is None:
                calls.create("services", sent, image=image)
            else:
                calls.update(before["ID"], before["Version"]["Index"], sent, image=image)
            return calls.service(str(sent["Name"]))

        after = await self.ask(send)
        if after is None:
            raise OutOfSequenceError(str(spec["Name"]))
        return _written(after, sent, nonce, nonce_of(before["Spec"]) if before else "", networks, force=force_of(sent))

    async def _quiet(self, found: Json | None, nonce: str) -> Json | None:
        """Return the service once nobody else's update of it goes on, or has gone on for too long."""
        waited = 0.0
        while (
            found is not None
            and not _is_free(found)
            and nonce_of(found["Spec"]) != nonce
            and waited < SWARM_BUSY_SECONDS
        ):
            await pause(BUSY_POLL_SECONDS)
            waited += BUSY_POLL_SECONDS
            found = await self.ask(partial(SwarmCalls.service, name=str(found["ID"])))
        return found


def _may_be_labelled(service: Mapping[str, Any]) -> bool:
    """Return whether a label of a service of ours can be changed without harm: no update goes on; a job would run."""
    spec = service["Spec"]
    is_at_rest = (service.get("UpdateStatus") or {}).get("State") in {None, "", "completed", "rollback_completed"}
    return NONCE in (spec["Labels"] or {}) and not is_job(spec) and is_at_rest


def _label(calls: SwarmCalls, service: Mapping[str, Any], label: str, value: str) -> str:
    """Give a service a label, with today's login; its tasks go on. Returns its name, or nothing if somebody writes."""
    spec = service["Spec"]
    labelled = {**spec, "Labels": {**spec["Labels"], label: value}}
    image = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
    try:
        calls.update(str(service["ID"]), int(service["Version"]["Index"]), labelled, image=image)
    except OutOfSequenceError:
        return ""  # the next reading sees what became of it
    return str(spec["Name"])


def see_service(calls: SwarmCalls, name: str, networks: Mapping[str, str] | None = None) -> Seen:
    """Look at a service before it is written; `networks` are names by id, where they are known."""
    service = calls.service(name)
    tasks = [] if service is None else calls.tasks(service=str(service["ID"]))
    names = calls.network_names([] if service is None else [service]) if networks is None else networks
    return Seen(service, tuple(tasks), names)


def login_mark(calls: SwarmCalls, image: str, key: bytes) -> str:
    """Return what tells a login for an image's registry from another one, and says nothing of it."""
    header = calls.login_of(image).get(AUTH_HEADER, "")
    return hmac.new(key, header.encode(), hashlib.sha256).hexdigest()[:DIGITS] if header else ""


def _require_quorum(nodes: Iterable[Mapping[str, Any]]) -> None:
    """Raise NoQuorumError where more than half of the managers are not reached.

    A leader that has lost them takes a write into its own log all the same, answers nothing, and may have it committed
    when they are back.
    """
    managers = [node["ManagerStatus"] for node in nodes if node.get("ManagerStatus")]
    reached = sum(manager.get("Reachability") == "reachable" for manager in managers)
    if 2 * reached <= len(managers):
        raise NoQuorumError(
            said(
                "{reached} of {managers} {managers|manager|managers} can be reached.",
                managers=len(managers),
                reached=reached,
            ),
            hint=QUORUM_HINT,
        )


def _require_own(service: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Raise EngineError where a service belongs to another stack, or to none, and only has our name."""
    if not is_of(service, spec["Labels"].get(STACK)):
        raise EngineError(
            said("The Swarm already has a service {service} that does not belong to this stack.", service=spec["Name"]),
        )


def _is_free(service: Mapping[str, Any]) -> bool:
    """Return whether a service may be written to: no update goes on, or one of ours, which we give up."""
    if (service.get("UpdateStatus") or {}).get("State") not in UPDATING:
        return True
    nonce = nonce_of(service["Spec"])
    return bool(nonce) and nonce != nonce_of(service.get("PreviousSpec"))


def _before(service: Mapping[str, Any], nonce: str) -> str:
    """Return the mark of what a write of ours took the place of."""
    own = nonce_of(service["Spec"])
    return nonce_of(service.get("PreviousSpec")) if own == nonce else own


def _with_write(spec: Mapping[str, Any], before: Mapping[str, Any] | None, nonce: str, *, recreate: bool) -> Json:
    """Return a spec with the mark of this write, and the counter of forced updates as it is, or one more."""
    template = {**spec["TaskTemplate"], "ForceUpdate": force_of((before or {}).get("Spec")) + int(recreate)}
    return {**spec, "TaskTemplate": template, "Labels": {**spec["Labels"], NONCE: nonce}}


def _written(
    service: Mapping[str, Any],
    sent: Mapping[str, Any],
    nonce: str,
    before: str,
    networks: Mapping[str, str],
    *,
    force: int | None = None,
) -> Written:
    forced = force_of(service["Spec"]) if force is None else force
    return Written(str(service["ID"]), nonce, spec_hash(sent, networks), forced, before)
