"""What is backed up is in a repository of the real restic, and what keeps it from there is told."""

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from roas.alerts.alert_service import AlertService
from roas.app import offsite_backups
from roas.app.offsite_backups import OffsiteBackups
from roas.concurrency import pause
from roas.errors import BackupError
from roas.events import EventBus
from roas.models.backup import BackupReason, DataBackup
from roas.models.environment import Environment, ResticRepository
from roas.models.stack import BackupRule
from roas.models.stored import new_id
from roas.redaction import Redactor
from roas.stack.backups.files import BackupFiles
from roas.stack.backups.restic import send_to
from roas.state.manager import StateManager

RULE = BackupRule(("dump",), ("load",), 5)


def restic(repository: ResticRepository, *arguments: str) -> bytes:
    command = ["restic", "-q", "-r", repository.address, "--password-file", str(repository.password_file)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, env=os.environ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> ResticRepository:
    (tmp_path / "password").write_text("a long one\n")
    repository = ResticRepository(str(tmp_path / "repository"), tmp_path / "password")
    restic(repository, "init")
    return repository


@pytest.fixture
def files(tmp_path: Path) -> BackupFiles:
    return BackupFiles(tmp_path / "data")


def written(files: BackupFiles, content: bytes = b"rows") -> DataBackup:
    backup_id = new_id("BACKUP")
    with files.writing(backup_id, RULE, "dev") as writer:
        writer.write(content)
    digest, now = writer.digest.hexdigest(), datetime.now(UTC)
    return DataBackup(backup_id, "dev", "db", "DEPLOY-1", BackupReason.DEPLOYMENT, 1, now, 0.1, writer.size, digest)


async def test_backup_is_sent_with_its_rule(tmp_path, repository, files) -> None:
    backup = written(files)
    snapshot = await send_to(repository, backup, files.files_of(backup), tmp_path / "cache")
    (found,) = json.loads(restic(repository, "snapshots", "--json", "--tag", backup.id))
    assert (found["id"], found["hostname"], set(found["tags"])) == (snapshot, "roas", {"dev", "db", backup.id})
    assert restic(repository, "dump", snapshot, str(files.path(backup.id))) == b"rows"
    assert json.loads(restic(repository, "dump", snapshot, f"{files.path(backup.id)}.json"))["restore"] == ["load"]


@pytest.mark.parametrize(
    ("change", "told", "hint"),
    [
        ({"address": "/nowhere/repository"}, "code 10", "restic init"),
        ({"password_file": Path("/dev/null")}, "code", ""),
        ({"variables_file": Path("/nowhere/variables")}, "/nowhere/variables cannot be read", ""),
    ],
)
async def test_what_keeps_it_from_there_is_told(tmp_path, repository, files, change, told, hint) -> None:
    backup = written(files)
    with pytest.raises(BackupError, match=told) as raised:
        await send_to(replace(repository, **change), backup, files.files_of(backup), tmp_path / "cache")
    assert hint in str(raised.value.hint)


def is_lock(path: Path) -> bool:
    return len(path.name) == 64


async def test_lock_that_was_left_is_told_with_a_remedy(tmp_path, repository, files, monkeypatch) -> None:
    """Whoever was killed while it had the repository for itself leaves its lock there."""
    monkeypatch.setattr("roas.stack.backups.restic.RESTIC_LOCK_WAIT", "1s")
    command = ["restic", "-r", repository.address, "--password-file", str(repository.password_file), "check"]
    locks = tmp_path / "repository/locks"
    while not any(map(is_lock, locks.iterdir())):  # it may be quicker than whoever looks
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not any(map(is_lock, locks.iterdir())):
                await pause(0.002)
            process.kill()
    backup = written(files)
    with pytest.raises(BackupError, match="code 11") as raised:
        await send_to(repository, backup, files.files_of(backup), tmp_path / "cache")
    assert "restic unlock" in str(raised.value.hint)
    restic(repository, "unlock")
    await send_to(repository, backup, files.files_of(backup), tmp_path / "cache")


async def test_each_backup_is_sent_once(tmp_path, repository, files) -> None:
    """One that could not be sent is an alert until it was, and is sent by whoever leads then."""
    password = repository.password_file.read_text()
    repository.password_file.write_text("wrong\n")
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        for _ in range(2):
            await state.data_backups.add(written(files), None)
        environment = Environment("dev", "shop", tmp_path, (), restic=repository)
        stacks = SimpleNamespace(of=lambda _environment: SimpleNamespace(data=SimpleNamespace(files=files)))
        alerts = AlertService(state.alerts, bus, str)
        offsite = OffsiteBackups(stacks, state, alerts, {"dev": environment}, Redactor())
        assert not await offsite.send_all("dev")
        (alert,) = await state.alerts.open()
        assert "code 12" in alert.summary
        repository.password_file.write_text(password)
        successor = OffsiteBackups(stacks, state, alerts, {"dev": environment}, Redactor())
        assert await successor.send_all("dev")
        assert await state.alerts.open() == ()
        sent = await state.data_backups.list("dev")
        assert {backup.sent_to for backup in sent} == {repository.address}
        assert await successor.send_all("dev")
        snapshots = json.loads(restic(repository, "snapshots", "--json"))
        assert sorted(item["id"] for item in snapshots) == sorted(backup.snapshot for backup in sent)
    await bus.close()


async def test_alert_ends_where_nothing_is_sent_any_more(tmp_path, repository, files) -> None:
    repository.password_file.write_text("wrong\n")
    async with StateManager(tmp_path / "state") as state:
        await state.data_backups.add(written(files), None)
        stacks = SimpleNamespace(of=lambda _environment: SimpleNamespace(data=SimpleNamespace(files=files)))
        environment, bus = Environment("dev", "shop", tmp_path, (), restic=repository), EventBus()
        alerts = AlertService(state.alerts, bus, str)
        assert not await OffsiteBackups(stacks, state, alerts, {"dev": environment}, Redactor()).send_all("dev")
        assert len(await state.alerts.open()) == 1
        environment = replace(environment, restic=None)
        assert await OffsiteBackups(stacks, state, alerts, {"dev": environment}, Redactor()).send_all("dev")
        assert await state.alerts.open() == ()
        await bus.close()


@pytest.mark.parametrize("trouble", ["gone", "damaged"])
async def test_backup_that_is_no_good_keeps_no_other_from_there(tmp_path, repository, files, trouble) -> None:
    """It is told, and is not sent as if it were one."""
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        bad, good = written(files), written(files)
        for backup in (bad, good):
            await state.data_backups.add(backup, None)
        path = files.path(bad.id)
        path.unlink() if trouble == "gone" else path.write_bytes(b"rots")
        environment = Environment("dev", "shop", tmp_path, (), restic=repository)
        stacks = SimpleNamespace(of=lambda _environment: SimpleNamespace(data=SimpleNamespace(files=files)))
        offsite = OffsiteBackups(stacks, state, AlertService(state.alerts, bus, str), {"dev": environment}, Redactor())
        assert not await offsite.send_all("dev")
        (alert,) = await state.alerts.open()
        assert bad.id in alert.summary
        sent = {backup.id: backup.sent_to for backup in await state.data_backups.list("dev")}
        assert sent == {bad.id: "", good.id: repository.address}
        assert len(json.loads(restic(repository, "snapshots", "--json"))) == 1
    await bus.close()


async def test_only_what_is_secret_of_a_store_is_hidden(tmp_path, repository, files) -> None:
    """Who is told of an image of a region, or of a user, would read neither."""
    variables = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "RESTIC_REST_USERNAME": "shopbackup",
        "AWS_SECRET_ACCESS_KEY": "Zm9vYmFyYmF6cXV4",
        "AZURE_ACCOUNT_SAS": "sv=2026&sig=c2lnbmF0dXJl",
    }
    (tmp_path / "variables").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
    bus, redactor = EventBus(), Redactor()
    async with StateManager(tmp_path / "state") as state:
        await state.data_backups.add(written(files), None)
        to = replace(repository, variables_file=tmp_path / "variables")
        environment = Environment("dev", "shop", tmp_path, (), restic=to)
        stacks = SimpleNamespace(of=lambda _environment: SimpleNamespace(data=SimpleNamespace(files=files)))
        alerts = AlertService(state.alerts, bus, str)
        assert await OffsiteBackups(stacks, state, alerts, {"dev": environment}, redactor).send_all("dev")
    await bus.close()
    shown = {name for name, value in variables.items() if value in redactor.redact(f"of {value} it is")}
    assert shown == {"AWS_DEFAULT_REGION", "RESTIC_REST_USERNAME"}


async def test_repository_that_is_slow_holds_up_no_other(tmp_path, repository, files, monkeypatch) -> None:
    slow = ResticRepository("/slow", tmp_path / "password")
    began, sends = asyncio.Event(), offsite_backups.send_to

    async def send(to: ResticRepository, *arguments: object) -> str:
        if to is slow:
            began.set()
            await asyncio.Event().wait()
        return await sends(to, *arguments)

    monkeypatch.setattr(offsite_backups, "send_to", send)
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        for backup in (replace(written(files), environment="prod"), written(files)):
            await state.data_backups.add(backup, None)
        environments = {
            "prod": Environment("prod", "shop", tmp_path, (), restic=slow),
            "dev": Environment("dev", "shop-dev", tmp_path, (), restic=repository),
        }
        stacks = SimpleNamespace(of=lambda _environment: SimpleNamespace(data=SimpleNamespace(files=files)))
        offsite = OffsiteBackups(stacks, state, AlertService(state.alerts, bus, str), environments, Redactor())
        await offsite.start()
        async with asyncio.timeout(60):
            await began.wait()
            while not (await state.data_backups.list("dev"))[0].sent_to:
                await pause(0.05)
        await offsite.stop()
    await bus.close()
