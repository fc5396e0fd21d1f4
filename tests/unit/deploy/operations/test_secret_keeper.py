"""Who sets a secret is in the journal before it is done; its value is hidden from then on."""

from pathlib import Path

import pytest

from roas.deploy.operations.secret_keeper import MOST_BYTES, SecretKeeper
from roas.errors import EngineUnavailableError, InvalidRequestError
from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

DEV = Environment("dev", "shop", Path("/shop"), ())
ADA = Actor(ActorKind.SYSTEM, "7", "ada")
VALUE = b"correct horse battery"


class Swarm:
    """Take secrets, unless it is away."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []
        self.is_away = False

    def of(self, _environment: Environment) -> "Swarm":
        return self

    async def set_secret(self, name: str, value: bytes) -> str:
        if self.is_away:
            raise EngineUnavailableError("no manager answers")
        self.kept.append((name, value))
        return f"{name}_v2"


async def audited(state: StateManager) -> list[tuple[str, str, str]]:
    return [(change.subject, change.new, change.metadata["by"]) async for _, change in state.history.changes()]


async def test_who_sets_a_secret_is_written_down_and_no_value(state: StateManager) -> None:
    swarm, redactor = Swarm(), Redactor()
    keeper = SecretKeeper(swarm, state, redactor)  # type: ignore[arg-type]
    assert await keeper.set(DEV, "db", VALUE, ADA) == "db_v2"
    assert swarm.kept == [("db", VALUE)]
    assert await audited(state) == [("db", "setting a secret", "ada"), ("db", "db_v2", "ada")]
    assert VALUE.decode() not in redactor.redact(f"it failed: {VALUE.decode()}")
    swarm.is_away = True
    with pytest.raises(EngineUnavailableError):
        await keeper.set(DEV, "db", VALUE, ADA)
    assert (await audited(state))[-1] == ("db", "setting a secret", "ada"), "that it was asked for is known"


@pytest.mark.parametrize(
    ("name", "value"),
    [("-db", VALUE), ("d b", VALUE), ("", VALUE), ("db", b""), ("db", b"x" * (MOST_BYTES + 1))],
    ids=["option", "space", "no name", "empty", "too large"],
)
async def test_what_swarm_does_not_take_is_refused(state: StateManager, name: str, value: bytes) -> None:
    swarm = Swarm()
    with pytest.raises(InvalidRequestError):
        await SecretKeeper(swarm, state, Redactor()).set(DEV, name, value, ADA)  # type: ignore[arg-type]
    assert not swarm.kept


async def test_on_one_machine_secrets_are_files(state: StateManager, tmp_path: Path) -> None:
    stacks = Stacks(state_dir=tmp_path, instance_id="test", policy_allow=(), redactor=Redactor())
    with pytest.raises(InvalidRequestError, match="on one machine"):
        await SecretKeeper(stacks, state, Redactor()).set(DEV, "db", VALUE, ADA)
    await stacks.close()
