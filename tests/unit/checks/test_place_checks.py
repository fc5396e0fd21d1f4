"""The checks of the state folder and of the own container judge where the bot runs."""

import os
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from roas.checks.machine import disk, own_container, signatures
from roas.checks.secrets import second_bot, state_folder
from roas.checks.subject import Subject
from roas.models.check import CheckResult, CheckSeverity
from roas.models.environment import SignaturePolicy
from roas.models.facts import Mount, OwnContainer
from roas.models.stack import ServiceDefinition
from roas.stack.interface import ResolvedStack


def failed(results: list[CheckResult]) -> list[tuple[CheckSeverity, str]]:
    return [(result.severity, result.message) for result in results if not result.passed]


async def test_signatures_need_cosign_and_keys_that_can_be_read(subject: Subject, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert await signatures.run(subject) == []
    key = tmp_path / "cosign.pub"
    environment = replace(subject.environment, signatures=SignaturePolicy(key_files=(key,)))
    asked = replace(subject, environment=environment)
    assert [text for _severity, text in failed(await signatures.run(asked))] == ["cosign 3 is not installed here."]
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/cosign")
    told = [text for _severity, text in failed(await signatures.run(asked))]
    assert told == [f"{key} cannot be read: No such file or directory."]
    key.write_text("a key")
    assert failed(await signatures.run(asked)) == []


async def test_private_state_folder_passes(subject: Subject) -> None:
    assert (await state_folder.run(subject))[0].passed


async def test_open_state_folder_fails_with_remedy(subject: Subject) -> None:
    subject.settings.state_dir.chmod(0o750)
    (result,) = await state_folder.run(subject)
    assert not result.passed
    assert "0750" in result.message
    assert ("chmod 700" in result.remedy, result.severity) == (True, CheckSeverity.WARNING), "it hinders no deployment"
    subject.settings.state_dir.chmod(0o700)
    (result,) = await state_folder.run(subject)
    assert result.passed


async def test_missing_state_folder_is_warned_of(subject: Subject) -> None:
    """The first start makes it, or these are not the settings of the bot."""
    subject.settings.state_dir.rmdir()
    (result,) = await state_folder.run(subject)
    assert (result.passed, result.severity) == (False, CheckSeverity.WARNING)
    assert "does not exist yet" in result.message


async def test_state_folder_that_cannot_be_made_fails(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    subject.settings.state_dir.rmdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    (result,) = await state_folder.run(subject)
    assert (result.passed, result.severity) == (False, CheckSeverity.CRITICAL)
    assert "No such file" in result.message


async def test_file_is_no_state_folder(subject: Subject) -> None:
    subject.settings.state_dir.rmdir()
    subject.settings.state_dir.write_text("x")
    assert "cannot be used: Not a directory" in (await state_folder.run(subject))[0].message


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
async def test_unwritable_state_folder_fails(subject: Subject) -> None:
    subject.settings.state_dir.chmod(0o500)
    assert "not writable" in (await state_folder.run(subject))[0].message


async def test_outside_container_warns_only_for_home(subject: Subject) -> None:
    home = replace(subject, environment=replace(subject.environment, is_home=True))
    assert failed(await own_container.run(subject)) == []
    assert failed(await own_container.run(home))[0][0] is CheckSeverity.WARNING


def inside(subject: Subject, probe: Any, *mounts: Mount, project: str = "shop-dev") -> Subject:
    probe.inside = True
    probe.own = OwnContainer("0" * 64, "shop-dev-bot-1", project, "bot", mounts)
    return subject


async def test_unknown_own_container_critical_only_at_home(subject: Subject, probe: Any) -> None:
    probe.inside = True
    home = replace(subject, environment=replace(subject.environment, is_home=True))
    assert failed(await own_container.run(subject))[0][0] is CheckSeverity.WARNING
    assert failed(await own_container.run(home))[0][0] is CheckSeverity.CRITICAL


def at_home(subject: Subject, **changes: Any) -> Subject:
    return replace(subject, environment=replace(subject.environment, is_home=True, **changes))


def outside(subject: Subject, probe: Any) -> Subject:
    return at_home(subject)


def in_unknown(subject: Subject, probe: Any) -> Subject:
    probe.inside = True
    return at_home(subject)


def in_another_project(subject: Subject, probe: Any) -> Subject:
    return at_home(in_container(subject, probe, project="elsewhere"))


def in_container(subject: Subject, probe: Any, project: str = "shop-dev") -> Subject:
    folder = str(subject.environment.folder)
    return inside(subject, probe, Mount(folder, folder, True), project=project)


def with_own_token(subject: Subject, probe: Any, token: str = "t0k3n") -> Subject:
    bot = {"environment": {"DISCORD_TOKEN": token}}
    stack = ResolvedStack(
        subject.environment, "v1", {"services": {"bot": bot}}, {"bot": ServiceDefinition("bot", "bot:1", "hash")}
    )
    settings = subject.settings.model_copy(update={"discord_token": SecretStr("t0k3n")})
    return replace(subject, settings=settings, stack=stack)


def without_room(subject: Subject, probe: Any) -> Subject:
    probe.free = 0
    return subject


def with_room(subject: Subject, probe: Any) -> Subject:
    probe.free = 50 * 1024**3
    return subject


# The check, what is wrong, how its remedy begins, and each way in which that can be followed.
REMEDIES = [
    (
        own_container,
        outside,
        "Start the bot as a service of the stack",
        (lambda subject, probe: at_home(in_container(subject, probe)), lambda subject, _: subject),
    ),
    (
        own_container,
        in_unknown,
        "Give the bot the socket of the engine that runs it",
        (lambda subject, probe: at_home(in_container(subject, probe)),),
    ),
    (
        own_container,
        in_another_project,
        "Correct COMPOSE_PROJECT_NAME or HOME_ENVIRONMENT",
        (
            lambda subject, probe: at_home(in_container(subject, probe, "elsewhere"), project="elsewhere"),
            lambda subject, probe: in_container(subject, probe, "elsewhere"),
        ),
    ),
    (
        second_bot,
        with_own_token,
        "Give it a token and a STATE_DIR of its own",
        (
            lambda subject, probe: with_own_token(subject, probe, "another"),
            lambda subject, probe: at_home(with_own_token(subject, probe)),
        ),
    ),
    (disk, without_room, "Make room", (with_room,)),
]


@pytest.mark.parametrize(
    ("check", "wrong", "remedy", "ways"), REMEDIES, ids=[remedy for _check, _wrong, remedy, _ways in REMEDIES]
)
async def test_remedy_is_followed(
    subject: Subject, probe: Any, check: Any, wrong: Any, remedy: str, ways: tuple[Any, ...]
) -> None:
    """What is told to do is done: nothing is wrong any more."""
    assert any(result.remedy.startswith(remedy) for result in await check.run(wrong(subject, probe)))
    for right in ways:
        assert failed(await check.run(right(subject, probe))) == []


async def test_folders_at_own_path_pass(subject: Subject, probe: Any) -> None:
    folder = str(subject.environment.folder)
    results = await own_container.run(inside(subject, probe, Mount(folder, folder, True)))
    assert [result.passed for result in results] == [True]


async def test_folders_from_elsewhere_fail_with_mount(subject: Subject, probe: Any) -> None:
    folder, state = subject.environment.folder, subject.settings.state_dir
    volume = Mount("/var/lib/docker/volumes/s/_data", str(state), True, "volume")
    results = await own_container.run(inside(subject, probe, Mount("/srv/shop", str(folder), True), volume))
    messages = [message for _, message in failed(results)]
    assert len(messages) == 2
    assert "is no folder of the host" in messages[0]
    assert "is /srv/shop on the host" in messages[1]
    assert f"{folder}:{folder}" in results[1].remedy


async def test_unmounted_folders_fail(subject: Subject, probe: Any) -> None:
    assert "is no folder of the host" in failed(await own_container.run(inside(subject, probe)))[0][1]


async def test_nodes_of_a_swarm_read_no_folder_of_the_bot(subject: Subject, probe: Any) -> None:
    """A bot that is a service of the Swarm has its state in a volume, and files of git in memory."""
    there = replace(subject, has_nodes=True)
    assert failed(await own_container.run(inside(there, probe))) == []


async def test_home_must_be_project_of_own_container(subject: Subject, probe: Any) -> None:
    folder = str(subject.environment.folder)
    home = replace(subject, environment=replace(subject.environment, is_home=True))
    placed = inside(home, probe, Mount(folder, folder, True), project="elsewhere")
    assert "belongs to elsewhere" in failed(await own_container.run(placed))[0][1]
