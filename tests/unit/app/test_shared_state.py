"""What keeps a bot from sharing its state is said, with what puts it right."""

import pytest

from roas.app.foundation import open_foundation
from roas.configuration.settings import GivenSettings
from roas.errors import SettingsError

SWARM = {"engine": "swarm"}


def settings(tmp_path, key, **environments):
    return GivenSettings(
        state_dir=tmp_path / "state",
        stack_dir=tmp_path,
        swarm_state_key_file=key,
        environment_names=tuple(environments),
        environments=environments,
        docker_host="unix:///run/no/such.sock",
    )


async def opened(given):
    async with open_foundation(given) as base:
        return base.shared


async def test_key_that_cannot_be_read_is_named(tmp_path):
    key = tmp_path / "key"
    with pytest.raises(SettingsError, match="key cannot be read") as caught:
        await opened(settings(tmp_path, key, prod=SWARM))
    assert "SWARM_STATE_KEY_FILE" in caught.value.hint
    key.write_text("k" * 44)
    assert await opened(settings(tmp_path, key, prod=SWARM)) is not None


async def test_short_key_is_refused(tmp_path):
    key = tmp_path / "key"
    key.write_text("short")
    with pytest.raises(SettingsError, match="has 5 characters; it needs 32"):
        await opened(settings(tmp_path, key, prod=SWARM))


async def test_environment_on_one_machine_is_refused(tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 44)
    with pytest.raises(SettingsError, match="dev is on one machine"):
        await opened(settings(tmp_path, key, prod=SWARM, dev={}))
    assert await opened(settings(tmp_path, key, prod=SWARM)) is not None


async def test_without_the_setting_nothing_is_shared(tmp_path):
    assert await opened(settings(tmp_path, None, dev={})) is None
