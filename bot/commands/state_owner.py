"""Become the user whose state folder it is: what root would leave there the bot could not read."""

import os
import pwd
import sys
from contextlib import suppress
from pathlib import Path

from roas.errors import StateError
from roas.settings import Settings

DEFAULT_SOCKET = "/var/run/docker.sock"


def become_owner(settings: Settings) -> None:
    """As root, become the owner of the state folder, with the group of the engine's socket. Raises StateError."""
    if os.geteuid() != 0:
        return
    try:
        owner = settings.state_dir.expanduser().resolve().stat()
    except OSError:
        return  # there is none yet: it will be root's
    if owner.st_uid == 0:
        return
    check_readable(owner.st_uid)
    try:
        os.setgroups([owner.st_gid, *_socket_group(settings)])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
    except OSError as error:
        raise StateError(
            f"The state folder belongs to user {owner.st_uid}, and this process cannot become that user.",
            hint=f"Run the command as user {owner.st_uid}.",
        ) from error
    os.environ["HOME"] = _home(owner.st_uid)


def check_readable(uid: int) -> None:
    """Raise StateError where a user could not read this program: half of it is yet to be imported."""
    try:
        os.seteuid(uid)
        for path in (Path(os.__file__), Path(__file__), Path(sys.executable)):
            path.open("rb").close()
    except OSError as error:
        raise StateError(
            f"The state folder belongs to user {uid}, who cannot read this program ({error.filename or sys.prefix}).",
            hint="Run the command where the bot runs (in its container), or install it where that user can read it.",
        ) from error
    finally:
        os.seteuid(0)


def _socket_group(settings: Settings) -> list[int]:
    address = settings.docker_host or os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    with suppress(OSError):
        if address.startswith("unix://"):
            return [Path(address.removeprefix("unix://")).stat().st_gid]
    return []


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"
