"""Find the state folder as `reading` does, where the environment says it, or nothing does.

Who only asks a bot that runs need not know the other settings: to load what checks them takes longer than the answer.
"""

from collections.abc import Mapping
from pathlib import Path

PREFIX = "roas_"
STATE_FOLDER, NAMED_BY = "state_dir", "roas_config"
FILE_NAME, VARIABLES = "roas.toml", Path(".env")
BY_DEFAULT = Path("state")


def find_state_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the state folder; None where it takes more to find it, or where something is wrong."""
    said = {name.lower(): value for name, value in environ.items() if value}
    named = said.get(PREFIX + STATE_FOLDER) or said.get(STATE_FOLDER)
    try:
        if _is_said_beside() or not (named or _has_no_file(said)):
            return None
        return Path(named or BY_DEFAULT).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        return None


def _is_said_beside() -> bool:
    """Return whether a file of this folder may say where it is. Raises OSError."""
    if Path(FILE_NAME).exists():  # in a stack's folder it is refused, and this may be one
        return True
    return VARIABLES.exists() and any(
        name.encode() in VARIABLES.read_bytes().lower() for name in (STATE_FOLDER, NAMED_BY)
    )


def _has_no_file(said: Mapping[str, str]) -> bool:
    names_one = any(said.get(prefix + NAMED_BY) for prefix in (PREFIX, ""))
    return not names_one and not (BY_DEFAULT / FILE_NAME).exists()
