"""The checks of the compose file, its images and its services judge the resolved stack."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from roas.checks import compose
from roas.checks.compose import (
    compose_file,
    compose_policy,
    container_names,
    external_resources,
    images,
    project,
    version,
)
from roas.checks.engine import selinux
from roas.checks.machine import ports
from roas.checks.secrets import second_bot
from roas.checks.services import file_binds, health_checks, one_shots, start_first, stop_signals
from roas.checks.subject import Subject
from roas.errors import ComposeFileError, ComposePolicyError, ImageNotFoundError, RegistryUnavailableError
from roas.models.check import CheckResult, CheckSeverity
from roas.models.facts import FoundProject, OwnContainer
from roas.models.stack import Obstacle, ObstacleKind, WantedImage
from tests.unit.checks.conftest import StubProbe

Make = Callable[..., Subject]


def failed(results: CheckResult | list[CheckResult]) -> list[tuple[CheckSeverity, str]]:
    found = results if isinstance(results, list) else [results]
    return [(result.severity, result.message) for result in found if not result.passed]


async def test_parse_error_and_policy_violation_differ(subject: Subject) -> None:
    broken = replace(subject, stack=None, stack_error=ComposeFileError("line 3: bad indent", hint="Look at line 3."))
    refused = replace(subject, stack=None, stack_error=ComposePolicyError("web: privileged", hint="Remove it."))
    assert failed(await compose_file.run(broken)) == [(CheckSeverity.CRITICAL, "line 3: bad indent")]
    assert await compose_policy.run(broken) == []
    assert failed(await compose_policy.run(refused)) == [(CheckSeverity.CRITICAL, "web: privileged")]
    assert await compose_file.run(refused) == []


async def test_resolve_warnings_passed_on(subject: Subject) -> None:
    assert subject.stack is not None
    stack = replace(subject.stack, warnings=("version is obsolete",))
    assert failed(await compose_file.run(replace(subject, stack=stack))) == [
        (CheckSeverity.WARNING, "version is obsolete")
    ]


def looking_up(subject: Subject, answers: dict[str, Exception]) -> tuple[Subject, list[str]]:
    asked: list[str] = []

    async def look_up(service: str) -> WantedImage:
        asked.append(service)
        if service in answers:
            raise answers[service]
        return WantedImage(service)

    return replace(subject, look_up_image=look_up), asked


async def test_unobtainable_images_all_named(with_services: Make) -> None:
    faults: dict[str, Exception] = {
        "api": ImageNotFoundError("api:9 does not exist.", hint="Push it."),
        "web": ImageNotFoundError("web:9 does not exist.", hint="Push it."),
        "mail": RegistryUnavailableError("The registry answers 503."),
    }
    subject, _ = looking_up(with_services({"api": {}, "web": {}, "mail": {}, "db": {}}), faults)
    assert sorted(failed(await images.run(subject))) == [
        (CheckSeverity.CRITICAL, "api:9 does not exist. (api)"),
        (CheckSeverity.CRITICAL, "web:9 does not exist. (web)"),
        (CheckSeverity.WARNING, "The registry answers 503. (mail)"),
    ]


async def test_shared_image_queried_once(with_services: Make) -> None:
    shared = {"image": "app:1"}
    subject, asked = looking_up(with_services({"web": {}, "worker": {}}, web=shared, worker=shared), {})
    assert failed(await images.run(subject)) == []
    assert asked == ["web"]


async def test_hung_registry_is_warning(with_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "REGISTRY_SECONDS", 0.02)

    async def hang(service: str) -> WantedImage:
        await asyncio.Event().wait()
        raise AssertionError

    found = failed(await images.run(replace(with_services({"web": {}}), look_up_image=hang)))
    assert [severity for severity, _ in found] == [CheckSeverity.WARNING]


async def test_stored_release_needs_no_registry(subject: Subject) -> None:
    assert failed(await images.run(replace(subject, look_up_image=None))) == []


async def test_missing_health_check_worse_if_critical(with_services: Make) -> None:
    subject = with_services({"db": {}, "web": {}, "task": {}}, db={"critical": True}, task={"one_shot": True})
    assert failed(await health_checks.run(subject)) == [
        (CheckSeverity.WARNING, "No health check: db."),
        (CheckSeverity.INFO, "No health check: web."),
    ]


async def test_slow_health_checks_reported(with_services: Make) -> None:
    checked = {"has_health_check": True}
    services = {
        "idle": {"healthcheck": {"test": ["CMD", "x"], "start_interval": "1s"}},
        "slow": {"healthcheck": {"test": ["CMD", "x"], "start_period": "30s"}},
        "good": {"healthcheck": {"test": ["CMD", "x"], "start_period": "30s", "start_interval": "1s"}},
    }
    found = failed(await health_checks.run(with_services(services, idle=checked, slow=checked, good=checked)))
    assert found == [
        (CheckSeverity.WARNING, "start_interval has no effect without start_period: idle."),
        (CheckSeverity.INFO, "Health checks without start_interval: slow."),
    ]


async def test_shell_as_pid_1_warns_missing_init_informs(with_services: Make) -> None:
    services: dict[str, Any] = {
        "shell": {"command": ["sh", "-c", "prepare && serve"]},
        "makes_way": {"command": ["sh", "-c", "prepare && exec serve"]},
        "inited": {"init": True, "command": ["sh", "-c", "serve"]},
        "job": {"command": ["sh", "-c", "prepare && migrate"]},
    }
    found = failed(await stop_signals.run(with_services(services, job={"one_shot": True})))
    assert [(severity, "makes_way" in message) for severity, message in found] == [
        (CheckSeverity.WARNING, False),
        (CheckSeverity.INFO, True),
    ]
    assert "on: shell will take 10 s" in found[0][1]
    assert "job" not in found[1][1]


async def test_bot_in_fixed_place_warns(with_services: Make, probe: StubProbe) -> None:
    services: dict[str, Any] = {"bot": {}, "web": {}}
    subject = with_services(services, bot={"fixed_place": "the fixed name b"}, web={"fixed_place": "the fixed name w"})
    assert failed(await start_first.run(subject)) == []
    probe.own = OwnContainer("0" * 64, "b", "shop-dev", "bot")
    assert failed(await start_first.run(subject)) == [
        (
            CheckSeverity.WARNING,
            "bot is this bot, which cannot be replaced: the fixed name b allows only one container.",
        )
    ]


async def test_start_first_with_writable_volume_warns(with_services: Make) -> None:
    volumes = [
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "volume", "source": "ro", "target": "/r", "read_only": True},
    ]
    subject = with_services({"db": {"volumes": volumes}}, db={"start_first": True})
    assert failed(await start_first.run(subject)) == [
        (CheckSeverity.WARNING, "db is replaced start-first: two containers will write to data at once.")
    ]


async def test_writable_single_file_bind_warns(with_services: Make, subject: Subject) -> None:
    folder = subject.environment.folder
    (folder / "app.conf").write_text("x")
    binds = [
        {"type": "bind", "source": str(folder / "app.conf"), "target": "/a"},
        {"type": "bind", "source": str(folder / "app.conf"), "target": "/b", "read_only": True},
        {"type": "bind", "source": str(folder), "target": "/c"},
    ]
    assert failed(await file_binds.run(with_services({"web": {"volumes": binds}}))) == [
        (CheckSeverity.WARNING, "Single files are mounted writable: app.conf in web.")
    ]


async def test_second_bot_with_token_refused_unless_home(with_services: Make) -> None:
    subject = with_services({"bot": {"environment": {"DISCORD_TOKEN": "t0k3n"}}, "web": {"environment": None}})
    settings = subject.settings.model_copy(update={"discord_token": SecretStr("t0k3n")})
    away = replace(subject, settings=settings)
    home = replace(away, environment=replace(subject.environment, is_home=True))
    assert failed(await second_bot.run(away))[0][0] is CheckSeverity.CRITICAL
    assert "t0k3n" not in failed(await second_bot.run(away))[0][1]
    assert failed(await second_bot.run(home)) == []


async def test_second_bot_with_state_folder_refused(with_services: Make, subject: Subject) -> None:
    bind = {"type": "bind", "source": str(subject.settings.state_dir), "target": "/state"}
    found = failed(await second_bot.run(with_services({"bot": {"volumes": [bind]}})))
    assert found == [(CheckSeverity.CRITICAL, "bot would be a second bot with this bot's own STATE_DIR.")]


async def test_unresolved_stack_passes_no_check(subject: Subject) -> None:
    broken = replace(subject, stack=None, stack_error=ComposeFileError("does not parse"))
    for check in (
        ports,
        start_first,
        stop_signals,
        file_binds,
        health_checks,
        second_bot,
    ):
        assert await check.run(broken) == []
    assert await images.run(broken) == []


async def test_project_that_runs_already_named(subject: Subject, probe: StubProbe) -> None:
    assert failed(await project.run(subject)) == []
    probe.found_projects = (FoundProject("live", frozenset({str(subject.environment.folder)})),)
    ((severity, message),) = failed(await project.run(subject))
    assert severity is CheckSeverity.CRITICAL
    assert "project live" in message
    assert "shop-dev" in message


@pytest.mark.parametrize(
    ("images", "remedy"),
    [
        ({"web": "nginx:1", "db": "postgres"}, "image: name:${VERSION:-1.0}"),
        (
            {"web": "reg.io:5000/app:${APP_TAG:-v1}", "worker": "app:$APP_TAG", "db": "${DB:-postgres}:${DB_TAG}"},
            (
                '`version_variables = ["APP_TAG", "DB_TAG"]` in [environments.dev], with those that apply: '
                "APP_TAG is in the image of web and worker and DB_TAG is in the image of db."
            ),
        ),
        ({"web": "$IMAGE"}, "image: name:${VERSION:-1.0}"),
    ],
)
async def test_version_that_nothing_follows(subject: Subject, images: dict[str, str], remedy: str) -> None:
    assert subject.stack is not None
    assert failed(await version.run(subject)) == []
    services = "".join(f"  {name}: {{image: '{image}'}}\n" for name, image in images.items())
    subject.environment.compose_files[0].write_text(f"services:\n{services}")
    stack = replace(subject.stack, follows_version=False)
    (found,) = await version.run(replace(subject, stack=stack))
    assert (found.severity, found.passed) == (CheckSeverity.WARNING, False)
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("options", "bind", "security", "denied"),
    [
        (("name=seccomp",), {}, [], False),
        (("name=seccomp", "name=selinux"), {}, [], True),
        (("name=selinux",), {"selinux": "z"}, [], False),
        (("name=selinux",), {}, ["label:disable"], False),
    ],
)
async def test_selinux_denies_binds_without_label(
    with_services: Make,
    probe: StubProbe,
    options: tuple[str, ...],
    bind: dict[str, str],
    security: list[str],
    denied: bool,
) -> None:
    assert probe.facts is not None
    probe.facts = replace(probe.facts, security_options=options)
    mount = {"type": "bind", "source": "/srv/x", "target": "/x", "bind": bind}
    found = failed(await selinux.run(with_services({"web": {"volumes": [mount], "security_opt": security}})))
    assert [severity for severity, _ in found] == ([CheckSeverity.WARNING] if denied else [])


async def test_obstacles_reported_by_their_checks(with_services: Make) -> None:
    subject = with_services({"web": {}})
    assert subject.stack is not None
    names = Obstacle(ObstacleKind.CONTAINER_NAME, "held", "free it")
    external = Obstacle(ObstacleKind.EXTERNAL, "missing", "create it")
    both = replace(subject, stack=replace(subject.stack, obstacles=(names, external)))
    assert failed(await container_names.run(both)) == [(CheckSeverity.CRITICAL, "held")]
    assert failed(await external_resources.run(both)) == [(CheckSeverity.CRITICAL, "missing")]
    assert failed(await external_resources.run(subject)) == []


async def test_services_that_may_end_named(with_services: Make) -> None:
    subject = with_services({"web": {}, "job": {}, "init": {}}, job={"may_end": True}, init={"one_shot": True})
    ((severity, message),) = failed(await one_shots.run(subject))
    assert (severity, "counts as success: job." in message) == (CheckSeverity.INFO, True)
