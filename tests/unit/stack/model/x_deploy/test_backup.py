"""`x-deploy.backup` says how the data of a service is saved and restored."""

import pytest

from roas.errors import ComposeFileError
from roas.models.stack import BackupRule
from roas.stack.model.definitions import read_definitions

PLAIN = {"command": ["pg_dump", "-Fc", "shop"], "restore": "pg_restore --clean -d shop"}


VOLUMES = [
    {"type": "volume", "source": "data", "target": "/data"},
    {"type": "volume", "source": "wal", "target": "/wal"},
    {"type": "bind", "source": "/srv", "target": "/srv"},
    {"type": "volume", "target": "/nameless"},
]


def backup(written: object, extension: dict | None = None, **service: object) -> BackupRule | None:
    service |= {"image": "db:1", "volumes": VOLUMES, "x-deploy": {"backup": written, **(extension or {})}}
    volumes = {"data": {"name": "shop-data"}}
    return read_definitions({"name": "shop", "services": {"db": service}, "volumes": volumes})["db"].backup


def test_backup_is_read_as_written() -> None:
    restore = ("/bin/sh", "-c", "pg_restore --clean -d shop")
    assert backup(PLAIN) == BackupRule(("pg_dump", "-Fc", "shop"), restore, 5)
    assert backup(PLAIN | {"keep": 2}) == BackupRule(("pg_dump", "-Fc", "shop"), restore, 2)
    assert backup(PLAIN | {"verify": ["pg_restore", "--list"]}).verify == ("pg_restore", "--list")
    assert backup(PLAIN | {"key": "/run/secrets/key"}).key == "/run/secrets/key"
    assert backup(PLAIN | {"every": "0  3 * * MON-SUN"}).every == "0 3 * * MON-7"
    assert backup(PLAIN | {"every": "0 3 * * *", "before": []}).before_deploy is False
    assert backup(PLAIN | {"timeout": "1h30m"}).timeout_seconds == 5400
    assert backup(PLAIN).timeout_seconds == 600
    assert backup(None) is None


def test_volume_is_known_by_the_name_that_the_engine_has_for_it() -> None:
    assert backup({"volume": "data"}) == BackupRule((), (), 5, volumes=("shop-data",), helper="db")
    several = {"volume": ["wal", "data", "wal"], "while": "paused", "keep": 1}
    assert backup(several) == BackupRule((), (), 1, volumes=("shop_wal", "shop-data"), pauses=True, helper="db")


def test_volume_is_copied_before_deployments_unless_that_is_left_to_its_schedule() -> None:
    assert backup({"volume": "data", "before": ["deploy"]}).before_deploy is True
    nightly = backup({"volume": "data", "every": "0 3 * * *", "before": []})
    assert (nightly.before_deploy, nightly.before_jobs, nightly.is_of_releases) == (False, (), False)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("pg_dump", "backup: use {…}"),
        (PLAIN | {"way": "volume"}, "backup: unknown keys way"),
        (PLAIN | {"timeout": "0s"}, "backup.timeout: use 10s"),
        (PLAIN | {"timeout": "25h"}, "backup.timeout: use ≤ "),
        (PLAIN | {"volume": "data"}, "backup.command: not with `volume`"),
        ({"volume": "data", "before": ["job:migrate"]}, "backup.before: a volume is copied before all of a deployment"),
        ({"volume": "data", "before": []}, "backup.before: use [deploy, job:NAME]"),
        (PLAIN | {"while": "paused"}, "backup.while: only with `volume`"),
        ({"volume": []}, "backup.volume: use [VOLUME]"),
        ({"volume": ["data", 1]}, "backup.volume: use [VOLUME]"),
        ({"volume": "other"}, "backup.volume: db mounts no volume other"),
        ({"volume": "data", "while": "running"}, "backup.while: use stopped | paused"),
        ({"volume": "data", "helper": "web"}, "backup.helper: use db"),
        (PLAIN | {"keep": 0}, "backup.keep: use 1–100"),
        (PLAIN | {"keep": True}, "backup.keep: use 1–100"),
        ({"restore": "x"}, 'backup.command: use ["COMMAND", '),
        ({"command": "x"}, 'backup.restore: use ["COMMAND", '),
        (PLAIN | {"command": []}, 'backup.command: use ["COMMAND", '),
        (PLAIN | {"command": ["sh", 1]}, 'backup.command: use ["COMMAND", '),
        (PLAIN | {"restore": "  "}, 'backup.restore: use ["COMMAND", '),
        (PLAIN | {"verify": ""}, 'backup.verify: use ["COMMAND", '),
        (PLAIN | {"key": ""}, "backup.key: use /PATH/TO/FILE"),
        (PLAIN | {"key": "./key"}, "backup.key: use /PATH/TO/FILE"),
        (PLAIN | {"every": "0 3 * *"}, "backup.every: '0 3 * *' is no cron expression"),
        (PLAIN | {"every": "daily"}, "backup.every: 'daily' is no cron expression"),
        (PLAIN | {"before": []}, "backup.before: use [deploy, job:NAME]"),
    ],
)
def test_backup_that_means_nothing_is_refused(written, told) -> None:
    with pytest.raises(ComposeFileError) as error:
        backup(written)
    assert f"x-deploy of db is not valid: {told}" in error.value.message


@pytest.mark.parametrize(
    "more",
    [
        {"scale": 2},
        {"deploy": {"replicas": 2}},
        {"deploy": {"mode": "global"}},
        {"extension": {"one_shot": True}},
    ],
)
def test_only_one_lasting_container_has_data(more) -> None:
    with pytest.raises(ComposeFileError, match="no data of their own"):
        backup(PLAIN, **more)


JOB = {"image": "db:1", "x-deploy": {"one_shot": True}}


def before(written: object, **services: dict) -> BackupRule:
    db = {"image": "db:1", "x-deploy": {"backup": PLAIN | {"before": written}}}
    return read_definitions({"services": {"db": db, **services}})["db"].backup


def test_backup_is_made_before_what_it_names() -> None:
    """A job that depends on the service by another one, too: it is there when the job runs."""
    migrate = JOB | {"depends_on": {"proxy": {"condition": "service_started"}}}
    services = {"proxy": {"image": "p", "depends_on": {"db": {"condition": "service_healthy"}}}, "migrate": migrate}
    found = before(["deploy", "job:migrate"], **services)
    assert (found.before_deploy, found.before_jobs) == (True, ("migrate",))
    found = before(["job:migrate"], **services)
    assert (found.before_deploy, found.before_jobs) == (False, ("migrate",))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("deploy", "use [deploy, job:NAME]"),
        ([], "use [deploy, job:NAME]"),
        (["job:"], "use [deploy, job:NAME]"),
        (["restart"], "use [deploy, job:NAME]"),
        (["job:web"], "web is no job of the stack"),
        (["job:gone"], "gone is no job of the stack"),
        (["job:alone"], "alone has to depend on db"),
    ],
)
def test_backup_before_nothing_is_refused(written, told) -> None:
    with pytest.raises(ComposeFileError) as error:
        before(written, web={"image": "web"}, alone=JOB)
    assert f"x-deploy of db is not valid: backup.before: {told}" in error.value.message
