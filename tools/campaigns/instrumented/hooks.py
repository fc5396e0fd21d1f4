"""Put the gate before and after each commit that announces something, and each act on the engine."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from roas.errors import RoasError
from roas.models.state_change import ChangeType, StateChange
from roas.stack.compose_stack import ComposeStack
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.stack import Stack
from roas.stack.swarm.calls import SwarmCalls
from roas.state.journal import journal
from roas.state.journal.journal import Journal
from roas.state.transaction import Transaction
from tools.campaigns.instrumented.gate import Gate

ACTS_ON_A_SERVICE = ("create_service", "start", "stop", "remove")
ACTS = (*ACTS_ON_A_SERVICE, "create_missing", "sweep")
ACTS_ON_RELEASES = ("protect", "unprotect")
WRITING = "IMMEDIATE"


class Hooks:
    """Name each step by what the journal said last, and hold it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._phase = ""
        self._service = ""
        self._services: dict[str, str] = {}

    def install(self, stack: type[Stack] = ComposeStack) -> None:
        """Replace the journal's transaction and the engine's acts by held ones."""
        self._hold_commits()
        for kind, acts in held_acts(stack):
            for act in acts:
                setattr(kind, act, self._held(act, getattr(kind, act)))

    def hold_writes(self) -> None:
        """Hold what is written to a Swarm, too: before the request, and when it has been answered."""
        for act in ("create", "update", "remove"):
            setattr(SwarmCalls, act, self._held_write(act, getattr(SwarmCalls, act)))

    def _held_write(self, act: str, original: Callable[..., Any]) -> Callable[..., Any]:
        hooks = self

        def held(calls: SwarmCalls, *arguments: Any, **options: Any) -> Any:
            spec = next((argument for argument in arguments if isinstance(argument, Mapping)), {})
            kind = str(arguments[0]) if act != "update" else "services"
            step = hooks._named(f"{act} {kind} {_without_digits(str(spec.get('Name', '')))}".rstrip())
            hooks._gate.hold_thread(step, "before")
            done = original(calls, *arguments, **options)
            hooks._gate.hold_thread(step, "after")
            return done

        return held

    def _hold_commits(self) -> None:
        transact, hooks = Journal._transact, self
        journal.MOST_WRITES = 1  # each step is a commit of its own, of the same name in every run

        def held(journal: Journal, work: Callable[[Transaction], Any], mode: str, fence: Any) -> Any:
            if mode != WRITING:
                return transact(journal, work, mode, fence)
            step = ""

            def seen(transaction: Transaction) -> Any:
                nonlocal step
                result = work(transaction)
                if text := announcement(transaction.changes):
                    hooks._remember(transaction.changes)
                    step = hooks._named(text)
                    hooks._gate.hold_thread(step, "before")
                return result

            done = transact(journal, seen, mode, fence)
            if step:
                hooks._gate.hold_thread(step, "after")
            return done

        Journal._transact = held  # type: ignore[method-assign,assignment]

    def _held(self, act: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        hooks = self

        async def held(stack: Stack, *arguments: Any, **options: Any) -> Any:
            service = await hooks._service_of(act, stack, arguments)
            named = hooks._named(f"{act} {_without_number(service)}" if act in ACTS_ON_A_SERVICE else act)
            await hooks._gate.hold(named, "before", service=service)
            result = await original(stack, *arguments, **options)
            await hooks._gate.hold(named, "after", service=service)
            return result

        return held

    async def _service_of(self, act: str, stack: Stack, arguments: Sequence[Any]) -> str:
        """Return the service that an act is about; the one reported last may be another, changed at the same time."""
        if act == "create_service":
            return str(arguments[1])
        if act not in ACTS_ON_A_SERVICE:
            return self._service
        (container_id,) = arguments
        if container_id not in self._services:
            with suppress(RoasError):  # an engine that is unavailable will not act, either
                self._services |= {container.id: container.service for container in await stack.containers()}
        return self._services.get(container_id, self._service)

    def _named(self, text: str) -> str:
        return f"{self._phase or 'between'}: {text}"

    def _remember(self, changes: Iterable[StateChange]) -> None:
        for change in changes:
            if change.type is ChangeType.DEPLOYMENT_PHASE_CHANGED and change.new == "in_progress":
                self._phase = str(change.metadata["phase"])
            elif change.type is ChangeType.SERVICE_PROGRESSED:
                self._service = change.subject
            elif change.type is ChangeType.DEPLOYMENT_STARTED:
                self._phase = ""


def held_acts(stack: type[Stack]) -> tuple[tuple[type, tuple[str, ...]], ...]:
    """Return the acts on the engine, with the class that does them."""
    return (stack, ACTS), (StackReleases, ACTS_ON_RELEASES)


def _without_digits(name: str) -> str:
    """Return a name without the hash of its content, which is another one in each run."""
    return name.rpartition("-")[0] if "-" in name.rpartition("_")[2] else name


def _without_names(head: bytes) -> str:
    """Return what a request asks for, without names and what follows a question mark: the same in each run."""
    method, _, rest = head.decode(errors="replace").partition(" ")
    parts = rest.partition(" ")[0].partition("?")[0].strip("/").split("/")
    return f"{method} {' '.join(part for part in parts if part.isalpha() and part.islower())}"


def _without_number(service: str) -> str:
    """Return the name of a service that each deployment takes another one in place of, and of others as it is."""
    return service.rstrip("0123456789").removesuffix("-")


def announcement(changes: Iterable[StateChange]) -> str:
    """Describe what a transaction announces, in the same way in every run; empty for mere records."""
    return " + ".join(filter(None, map(_text, changes)))


def _text(change: StateChange) -> str:
    match change.type:
        case ChangeType.DEPLOYMENT_STARTED:
            return "deployment started"
        case ChangeType.DEPLOYMENT_FINISHED:
            return f"deployment {change.new}"
        case ChangeType.DEPLOYMENT_PHASE_CHANGED:
            return f"phase {change.new}"
        case ChangeType.SERVICE_PROGRESSED:
            return f"{_without_number(change.subject)} {change.new}"
        case ChangeType.RELEASE_CREATED:
            return "release created"
        case ChangeType.RELEASE_ACTIVATED:
            return "release activated"
        case ChangeType.LOCK_CHANGED if change.source == "ownership":
            return "leadership transferred"
        case ChangeType.LOCK_CHANGED:
            return "lock taken" if change.new else "lock released"
        case ChangeType.ERROR_OCCURRED if change.source == "deployments":
            return str(change.new)
    return ""
