"""`x-deploy.backup` says how the data of a service is saved and restored."""

import pytest

from roas.errors import ComposeFileError
from roas.models.stack import BackupRule
from roas.stack.model.definitions import read_definitions

PLAIN = {"command": ["pg_dump", "-Fc", "shop"], "restore": "pg_restore --clean -d shop"}


def backup(written: object, extension: dict | None = None, **service: object) -> BackupRule | None:
    service |= {"image": "db:1", "x-deploy": {"backup": written, **(extension or {})}}
    return read_definitions({"services": {"db": service}})["db"].backup


def test_backup_is_read_as_written() -> None:
    restore = ("/bin/sh", "-c", "pg_restore --clean -d shop")
    assert backup(PLAIN) == BackupRule(("pg_dump", "-Fc", "shop"), restore, 5)
    assert backup(PLAIN | {"keep": 2}) == BackupRule(("pg_dump", "-Fc", "shop"), restore, 2)
    assert backup(PLAIN | {"verify": ["pg_restore", "--list"]}).verify == ("pg_restore", "--list")
    assert backup(None) is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("pg_dump", "backup: it is no mapping"),
        (PLAIN | {"way": "volume"}, "backup: unknown keys way"),
        (PLAIN | {"keep": 0}, "backup.keep: a number from 1 to 100"),
        (PLAIN | {"keep": True}, "backup.keep: a number from 1 to 100"),
        ({"restore": "x"}, "backup.command: a command"),
        ({"command": "x"}, "backup.restore: a command"),
        (PLAIN | {"command": []}, "backup.command: a command"),
        (PLAIN | {"command": ["sh", 1]}, "backup.command: a command"),
        (PLAIN | {"restore": "  "}, "backup.restore: a command"),
        (PLAIN | {"verify": ""}, "backup.verify: a command"),
    ],
)
def test_backup_that_means_nothing_is_refused(written, told) -> None:
    with pytest.raises(ComposeFileError) as error:
        backup(written)
    assert f"x-deploy of db is not valid: {told}" in error.value.message


@pytest.mark.parametrize("more", [{"scale": 2}, {"deploy": {"replicas": 2}}, {"extension": {"one_shot": True}}])
def test_only_one_lasting_container_has_data(more) -> None:
    with pytest.raises(ComposeFileError, match="no data of their own"):
        backup(PLAIN, **more)
