"""A stack's own `.env` names no compose file elsewhere: nothing of it is read, shown, or waited for."""

from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine

SECRET = "root:$6$of-the-host:19000"
NAMED = ("{path}", "../../{name}", "docker-compose.yml:{path}", "/proc/kmsg")


@pytest.mark.parametrize("named", NAMED)
def test_file_elsewhere_is_not_read(dry_line: CommandLine, tmp_path: Path, named: str) -> None:
    path = tmp_path.parent / f"{tmp_path.name}-shadow"
    path.write_text(f"{SECRET}\n\t- [\n")
    stack = dry_line.folder / "stack"
    (stack / ".env").write_text(f"COMPOSE_FILE={named.format(path=path, name=path.name)}\n")
    ended = dry_line.run("deploy", "dev", "v1", "--dry-run")
    assert ended.returncode == 6, ended.stderr
    assert "names a file outside the stack's folder" in ended.stderr
    checked = dry_line.run("doctor", "dev")
    assert SECRET not in ended.stdout + ended.stderr + checked.stdout + checked.stderr


def test_file_that_never_ends_is_not_waited_for(dry_line: CommandLine) -> None:
    """The settings may name any file, and this one by mistake."""
    ended = dry_line.run("deploy", "dev", "v1", "--dry-run", COMPOSE_FILE="/proc/kmsg")
    assert ended.returncode == 6, ended.stderr
    assert "/proc/kmsg" in ended.stderr
