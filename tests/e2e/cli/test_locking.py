"""An environment that is locked on the command line takes no deployment, and says who locked it, when and why."""

import json


def test_frozen_environment_refused_until_unlocked(dry_line):
    """The refusal says who froze it, when and why."""
    locked = dry_line.run("lock", "dev", "--reason", "the fair")
    assert locked.returncode == 0, locked.stderr
    assert "Only a hotfix" in locked.stdout
    again = dry_line.run("lock", "dev", "--reason", "again")
    assert again.returncode == 5
    assert "dev is locked by" in again.stderr
    assert "the fair" in again.stderr
    opened = dry_line.run("unlock", "dev")
    assert opened.returncode == 0
    assert "the fair" in opened.stdout
    assert dry_line.run("unlock", "dev").returncode == 2


def test_lock_command_needs_reason_and_environment(dry_line):
    assert dry_line.run("lock", "dev").returncode == 2
    assert dry_line.run("lock", "moon", "--reason", "x").returncode == 2


def test_lock_command_prints_json_and_shows_in_status(dry_line):
    document = dry_line.document("lock", "dev", "--reason", "the fair")
    assert document["environment"] == "dev"
    assert document["reason"] == "the fair"
    status = json.loads(dry_line.run("status", "dev", "--json").stdout)
    assert status["environments"][0]["freeze"]["reason"] == "the fair"
    assert "the fair" in dry_line.run("status", "dev").stdout


def test_reason_that_is_no_text_is_kept_as_far_as_it_goes(dry_line):
    """A terminal that is set to Latin-1 sends bytes that are no UTF-8: nobody is kept from locking by that."""
    locked = dry_line.run("lock", "dev", "--reason", "gr\udcfcn")
    assert locked.returncode == 0, locked.stderr
    assert "gr\ufffdn" in dry_line.run("status", "dev").stdout
    unknown = dry_line.run("deploy", "staging", "v\udcfc1", "--dry-run")
    assert "v\ufffd1" in unknown.stderr
