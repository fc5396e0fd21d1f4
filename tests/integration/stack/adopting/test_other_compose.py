"""A stack that another version of Compose started is taken over as it is: it hashes the same services otherwise."""

import os
from pathlib import Path

import pytest

from testbed.unstable_engine import FOLDER_VARIABLE, unstable_engine
from tests.integration.packages import packages_or_skip
from tests.integration.stack.containers import test_same_as_compose as same
from tests.integration.stack.containers.test_same_as_compose import STACK, as_adopted, stack_folder

__all__ = ("stack_folder",)
NEEDING = 'command: ["sleep", "1000"]\n'


def other_compose() -> dict[str, str]:
    """Return where a person has the Compose that this run of the tests does not use."""
    plain = {"PATH": os.defpath, "HOME": "/root"}
    if FOLDER_VARIABLE in os.environ:
        return plain
    with packages_or_skip():
        folder = unstable_engine()
    return plain | {"PATH": f"{folder / 'bin'}:{os.defpath}", "DOCKER_CONFIG": str(folder / "config")}


@pytest.mark.long
async def test_other_compose_recreates_nothing(
    stack_folder, docker_client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = other_compose()
    monkeypatch.setattr(same, "manual_environment", lambda host: other | {"DOCKER_HOST": host})
    text = STACK.replace(NEEDING, NEEDING + "    depends_on: {host: {condition: service_started, restart: true}}\n")
    assert text != STACK
    stack_folder.compose_files[0].write_text(text)
    before, after, unlike = await as_adopted(stack_folder, docker_client, tmp_path / "trusting")
    assert unlike == {}
    assert after == before
