"""One application with one stack for all tests of a module, on which v1 runs before and after each.

Such a module imports the fixtures, and its tests share a loop: `pytest.mark.asyncio(loop_scope="module")`.
"""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from roas.app.application import Application, open_application
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone

__all__ = ["application", "on_v1", "stack", "standing"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, docker_client, docker_host, images) -> Iterator[Stack]:
    """Give a folder for a stack."""
    made = Stack(
        tmp_path_factory.mktemp("refusals") / "stack", f"acc{secrets.token_hex(3)}", docker_client, docker_host
    )
    made.folder.mkdir()
    yield made
    made.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(stack: Stack) -> AsyncIterator[Application]:
    """Open the real application."""
    async with open_application(settings_for(stack, stack.folder.with_name("state"))) as application:
        yield application


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(application: Application, stack: Stack) -> None:
    """Bring up v1."""
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone()})
    await People(application).succeed("v1")


@pytest.fixture
def on_v1(stack: Stack, standing: None) -> dict[str, str]:
    """Write the file of v1 again, and return the ids of what runs."""
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone()})
    return stack.ids()
