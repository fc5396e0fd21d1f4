"""A backup counts once the command that verifies it has taken it."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from roas.errors import BackupError
from roas.models.backup import BackupReason, DataBackup
from roas.models.stack import BackupRule
from roas.stack.backups import service_data
from roas.stack.backups.files import BackupFiles
from roas.stack.backups.service_data import ServiceData
from roas.stack.backups.streams import Exchange

ID = "BACKUP-01KB0000000000000000000000"
RULE = BackupRule(("dump",), ("load",), 5, verify=("check", "-"))


class PlayedEngine:
    """Be the engine of a stack whose only container is of one image."""

    environment = SimpleNamespace(name="dev")
    project = "shop-dev"

    async def call(self, question):
        return question(SimpleNamespace(inspect_container=lambda name: {"Image": f"sha256:{name}"}))

    async def local(self, work):
        return work()


@pytest.fixture
def data(tmp_path, monkeypatch) -> ServiceData:
    async def dump(_engine, _container_id, command, *, sink, source=None) -> None:
        assert command == RULE.command
        sink(b"rows")

    async def none_runs(*_arguments) -> None: ...

    monkeypatch.setattr(service_data, "run_in_container", dump)
    monkeypatch.setattr(service_data, "wait_until_none_runs", none_runs)
    return ServiceData(PlayedEngine(), BackupFiles(tmp_path / "data"))


@pytest.mark.parametrize(("rule", "image"), [(RULE, "store"), (replace(RULE, volumes=("v",), helper="tools"), "tools")])
async def test_backup_is_verified_later_as_it_was_at_first(data, monkeypatch, rule, image) -> None:
    """A copy of a volume is read by the image that made it: that of the service itself may have no `tar`."""
    read = []

    async def check(_engine, image, *_asked) -> None:
        read.append(image)

    async def snapshots(_engine, service):
        return [SimpleNamespace(id=service)]

    monkeypatch.setattr(service_data, "run_in_scratch", check)
    monkeypatch.setattr(service_data, "take_snapshots", snapshots)
    with data.files.writing(ID, rule, "dev") as writer:
        writer.write(b"rows")
    now = datetime.now(UTC)
    await data.try_out(DataBackup(ID, "dev", "store", "DEPLOY-1", BackupReason.DEPLOYMENT, 1, now, 0.1, 4, "hash"))
    assert read == [f"sha256:{image}"]


@pytest.mark.parametrize("code", [0, 1])
async def test_backup_counts_once_it_is_verified(data, monkeypatch, code) -> None:
    read = []

    async def check(_engine, image, command, source, owner) -> None:
        read.append((image, command, source.read(), owner))
        assert not data.files.path(ID).exists(), "it has no name before"
        Exchange(True, "no such table").require_success(code)

    monkeypatch.setattr(service_data, "run_in_scratch", check)
    if code == 0:
        assert (await data.save(ID, "store", RULE, "store")).size == 4
    else:
        with pytest.raises(BackupError, match="store was not backed up: `verify` did not take it") as raised:
            await data.save(ID, "store", RULE, "store")
        assert raised.value.report == "no such table"
    assert read == [("sha256:store", ("check", "-"), b"rows", "shop-dev")]
    assert sorted(path.name for path in data.files.folder.iterdir()) == ([] if code else [ID, f"{ID}.json"])
