"""The stacks of a bot that keeps its state in a folder, and an environment that needs no engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from roas.models.environment import Environment, PolicyLevel
from roas.redaction import Redactor
from roas.stack.stacks import Stacks


@asynccontextmanager
async def open_stacks(
    state_dir: Path, *allowed: str, token: str = "", redactor: Redactor | None = None
) -> AsyncIterator[Stacks]:
    """Have the stacks of all environments; `allowed` is what the policy allows them beyond what is usual."""
    made = Stacks(
        state_dir=state_dir, instance_id="T", policy_allow=allowed, redactor=redactor or Redactor(), token=token
    )
    try:
        yield made
    finally:
        await made.close()


def without_engine(folder: Path) -> Environment:
    """Return an environment whose engine is away: a plan does without."""
    files = (folder / "docker-compose.yml",)
    return Environment("dev", "p", folder, files, docker_host="unix:///nowhere.sock", policy=PolicyLevel.DEFAULT)
