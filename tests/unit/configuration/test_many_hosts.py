"""An environment on many hosts: each host is laid out as an environment of its own."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from roas.cogs.history import PageButton
from roas.configuration.environments import Engines, Environments, environments, plain_names
from roas.configuration.loading import LONGEST_NAME, read_settings
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.errors import InvalidRequestError
from roas.models.deployment import Outcome
from roas.models.environment import Waves
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.engine import EngineClients, engine_address
from roas.ui.embeds.outcome import HistoryPage

A, B = "ssh://deploy@a.example.org", "ssh://deploy@b.example.org:2222"


def laid_out(folder: Path, **own: Any) -> Environments:
    return environments(
        Settings(
            _env_file=None,
            stack_dir=folder,
            environment_names=("dev", "prod"),
            environments={"prod": EnvironmentSettings(**own)},
        )
    )


def test_each_host_is_an_environment_with_the_same_project(tmp_path):
    known = laid_out(tmp_path, hosts=(A, B), parallelism=2, soak=None, variables={"LEVEL": "info"})
    assert list(known) == ["dev", "prod", "prod@a.example.org", "prod@b.example.org-2222"]
    assert plain_names(known) == ["dev", "prod"]
    whole, first = known["prod"], known["prod@a.example.org"]
    assert whole.hosts == (first, known["prod@b.example.org-2222"])
    assert whole.waves == Waves(parallelism=2)
    assert (first.project, first.variables, first.folder) == (whole.project, whole.variables, whole.folder)
    assert (first.docker_host, first.part_of, first.host) == (A, "prod", "a.example.org")
    assert (whole.needs_approval, first.needs_approval) == (True, False)
    assert first.soak == timedelta(0)


def test_hosts_have_the_names_of_a_table(tmp_path):
    known = laid_out(tmp_path, hosts={"one": A, "two": "unix:///run/two.sock"})
    assert [host.name for host in known["prod"].hosts] == ["prod@one", "prod@two"]


def test_what_works_on_engines_sees_no_environment_that_has_none(tmp_path):
    known = laid_out(tmp_path, hosts=(A,))
    engines = Engines(known)
    assert list(engines) == ["dev", "prod@a.example.org"]
    assert len(engines) == 2
    assert "prod" not in engines
    assert engines.get("prod") is None
    with pytest.raises(KeyError):
        known["prod@elsewhere"]
    with pytest.raises(KeyError):
        known["dev@a"]


async def test_no_engine_is_taken_for_that_of_many_hosts(tmp_path):
    """Neither by the SDK, nor by Compose: without this, both would ask the engine of this machine."""
    whole = laid_out(tmp_path, hosts=(A, B))["prod"]
    with pytest.raises(InvalidRequestError) as refused:
        engine_address(whole)
    assert refused.value.hint == "Name one of them: prod@a.example.org, prod@b.example.org-2222."
    clients = EngineClients()
    with pytest.raises(InvalidRequestError):
        await clients.of(whole).call(lambda client: client.version())
    await clients.close()
    with pytest.raises(InvalidRequestError):
        await ComposeRunner("test").run(["ps"], whole)


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"hosts": (A,), "engine": "swarm"}, "a Swarm spreads its services itself"),
        ({"hosts": (A,), "docker_host": B}, "either `docker_host` or `hosts`"),
        ({"hosts": (A, A)}, "names one address twice"),
        ({"hosts": (A, "ssh://other@a.example.org")}, "`hosts` of one name"),
        ({"hosts": ("tcp://[fe80::1]:2375",)}, "a name of its own, as a table"),
        ({"hosts": {"A host": A}}, "String should match"),
        ({"hosts": ("a.example.org",)}, "String should match"),
        ({"parallelism": 2}, "need `hosts`"),
        ({"hosts": (A,), "max_failure_ratio": 1.5}, "less than or equal to 1"),
    ],
)
def test_hosts_that_cannot_be_are_refused(own, fault):
    with pytest.raises(ValidationError, match=fault):
        EnvironmentSettings(**own)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[stack]\nhome_environment = "prod"\n', "the bot's own environment cannot have `hosts`"),
        ('[environments.dev]\nrequires = "prod"\n', "no release of all of them can be promoted"),
    ],
)
def test_what_cannot_be_beside_hosts_is_named(tmp_path, monkeypatch, text, fault):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "roas.toml").write_text(f'{text}[environments.prod]\nhosts = ["{A}"]\n')
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ROAS_CONFIG", str(tmp_path / "state" / "roas.toml"))
    assert any(fault in str(found) for found in read_settings(needs_discord=False).faults)


def test_name_that_no_button_could_hold_is_refused(tmp_path, monkeypatch):
    """The longest that is taken has a button that leads to its page of the history."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ROAS_CONFIG", str(tmp_path / "state" / "roas.toml"))

    def faults(host: str) -> list[str]:
        (tmp_path / "state" / "roas.toml").write_text(f'[environments.prod]\nhosts = ["ssh://{host}"]\n')
        return [str(fault) for fault in read_settings(needs_discord=False).faults]

    longest = "a" * (LONGEST_NAME - len("prod@"))
    assert faults(longest) == []
    assert any("give a shorter name, as a table" in fault for fault in faults(f"{longest}a"))
    custom_id = HistoryPage(f"prod@{longest}", Outcome.ROLLED_BACK, 999_999).custom_id
    assert len(custom_id) <= 100
    found = PageButton.__discord_ui_compiled_template__.fullmatch(custom_id)
    assert found is not None
    assert found["environment"] == f"prod@{longest}"


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        (Waves(), [("a",), ("b",), ("c",)]),
        (Waves(parallelism=2), [("a", "b"), ("c",)]),
        (Waves(parallelism=0), [("a", "b", "c")]),
    ],
)
def test_waves_are_of_so_many_hosts(waves, expected):
    assert list(waves.of(["a", "b", "c"])) == expected
    assert waves.of([]) == ()


@pytest.mark.parametrize(
    ("ratio", "failed", "are_too_many"), [(0, 1, True), (0.2, 1, False), (0.2, 2, True), (1, 4, False), (1, 5, True)]
)
def test_as_many_may_fail_as_in_compose(ratio, failed, are_too_many):
    """But for all of them: then nothing of the release runs anywhere."""
    assert Waves(max_failure_ratio=ratio).are_too_many(failed, 5) is are_too_many


def test_channel_of_a_host_is_that_of_all(tmp_path):
    settings = Settings(
        _env_file=None,
        discord_ops_channel_id=1,
        environments={"prod": EnvironmentSettings(hosts=(A,), ops_channel_id=2)},
    )
    assert settings.channel_of("prod@a.example.org")[0] == 2


@pytest.mark.parametrize(("written", "seconds"), [("30s", 30.0), ("2m", 120.0)])
def test_delay_is_a_length(tmp_path: Path, written: str, seconds: float) -> None:
    assert laid_out(tmp_path, hosts=(A, B), delay=written)["prod"].waves.delay_seconds == seconds
