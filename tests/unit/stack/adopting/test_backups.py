"""What is adopted has the backups that its files say, as far as the containers have what these are of."""

from typing import Any

import pytest

from roas.stack.adopting.backups import with_fitting_backups
from roas.stack.model.definitions import read_definitions

MOUNTS = [{"type": "volume", "source": name, "target": f"/{name}"} for name in ("shop_data", "wal-of-others")]
WRITTEN = {"volumes": {"data": {"name": "shop_data"}, "wal": {"name": "wal-of-others"}, "new": {"name": "shop_new"}}}
BY_COMMAND = {"command": ["dump"], "restore": ["load"]}


def adopted(backup: object, **service: object) -> dict[str, Any]:
    """Return what was read back of a stack whose files say that of a service."""
    db = {"image": "db:1", "volumes": MOUNTS, "x-deploy": {"critical": True, "backup": backup}, **service}
    volumes = {mount["source"]: {"name": mount["source"], "external": True} for mount in MOUNTS}
    return {"name": "shop", "services": {"db": db, "web": {"image": "web:1"}}, "volumes": volumes}


@pytest.mark.parametrize(
    ("backup", "volumes"),
    [
        ({"volume": "data"}, ("shop_data",)),
        ({"volume": ["wal", "data"], "helper": "web"}, ("wal-of-others", "shop_data")),
        (BY_COMMAND, ()),
        (BY_COMMAND | {"before": ["job:migrate"]}, ()),
        (BY_COMMAND | {"before": ["deploy", "job:migrate"]}, ()),
    ],
)
def test_backup_of_what_runs_is_adopted(backup, volumes) -> None:
    db = read_definitions(with_fitting_backups(adopted(backup), WRITTEN))["db"]
    assert db.backup is not None
    assert (db.backup.volumes, db.backup.before_deploy, db.backup.before_jobs) == (volumes, True, ())
    assert db.critical


@pytest.mark.parametrize(
    ("backup", "service"),
    [
        ({"volume": "new"}, {}),
        ({"volume": ["data", "new"]}, {}),
        ({"volume": "data"}, {"volumes": []}),
        ({"volume": "data", "helper": "gone"}, {}),
        (BY_COMMAND, {"scale": 2}),
        ({"command": ["dump"]}, {}),
        ("of all", {}),
    ],
)
def test_backup_of_what_does_not_run_is_not_adopted(backup, service) -> None:
    """What runs is adopted whatever the files say by now."""
    db = read_definitions(with_fitting_backups(adopted(backup, **service), WRITTEN))["db"]
    assert (db.backup, db.critical) == (None, True)
