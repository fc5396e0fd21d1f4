"""Give the Swarm of an environment a secret, or a new version of it; the journal has who did so, and no value."""

import re

from roas.errors import InvalidRequestError
from roas.log import get_logger
from roas.messages.message import in_bytes, said
from roas.models.actor import Actor
from roas.models.environment import Environment
from roas.models.state_change import ChangeType, StateChange
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

log = get_logger(__name__)

SOURCE = "secrets"
# What Swarm takes.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
MOST_BYTES = 500 * 1000


class SecretKeeper:
    """Write external secrets."""

    def __init__(self, stacks: Stacks, state: StateManager, redactor: Redactor) -> None:
        self._stacks = stacks
        self._state = state
        self._redactor = redactor

    async def set(self, environment: Environment, name: str, value: bytes, actor: Actor) -> str:
        """Give the Swarm the next version of a secret, and return what it is called; a deployment gives it to services.

        Raises InvalidRequestError where it is none that Swarm takes, EngineError.
        """
        self._redactor.add([value.decode(errors="replace")])
        if not NAME.fullmatch(name):
            raise InvalidRequestError(
                said("{name} is no name of a secret.", name=name),
                hint=said("Letters, digits and `-_.` make one; it begins and ends with a letter or a digit."),
            )
        if not 0 < len(value) <= MOST_BYTES:
            text = said(
                "The value has {size}; a secret is not empty, and has {most} at most.",
                size=in_bytes(len(value)),
                most=in_bytes(MOST_BYTES),
            )
            raise InvalidRequestError(text)
        # Before it is done: who asks for it is known, whatever becomes of this process.
        await self._record(environment, name, actor, "setting a secret")
        called = await self._stacks.of(environment).set_secret(name, value)
        await self._record(environment, name, actor, called)
        log.info("secret set", environment=environment.name, secret=called, by=actor.name)
        return called

    async def _record(self, environment: Environment, name: str, actor: Actor, text: str) -> None:
        by = {"by": actor.name, "id": actor.id, "kind": actor.kind.value}
        change = StateChange(
            ChangeType.AUDIT, SOURCE, environment.name, name, new=text, metadata={"event": "secret.set", **by}
        )
        await self._state.record(change)
