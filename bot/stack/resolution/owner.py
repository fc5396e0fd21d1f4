"""Find the home of whoever owns a stack's folder: what `~` and `${HOME}` mean to who types Compose there."""

import pwd
from pathlib import Path

from roas.stack.containers.own_container import own_container_id

HOME = "HOME"
HOMES = Path("/home")


def home_of_owner(folder: Path) -> str | None:
    """Return the home of a folder's owner; None where nobody here knows it.

    A container has users of its own, and all hosts have the same root: there, the folder's path says the others'.
    """
    try:
        owner = folder.stat().st_uid
        if owner and own_container_id() is not None:
            return str(HOMES / folder.relative_to(HOMES).parts[0])
        return pwd.getpwuid(owner).pw_dir
    except (OSError, KeyError, ValueError, IndexError):
        return None
