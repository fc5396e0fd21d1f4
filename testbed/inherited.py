"""What a program that is started from here inherits: which programs were chosen, who types, and nothing of ours else.

Whoever starts a bot or a command takes its environment from here. So all of a run use the same engine and the same
Compose: by `TESTBED_ENGINE_FOLDER`, these are in the folders that PATH and DOCKER_CONFIG name.
"""

import os
from pathlib import Path

PLUGINS = "cli-plugins"
PROGRAMS = ("PATH", "DOCKER_CONFIG")
PERSON = ("HOME", "LANG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DISCORD_OPENAPI")


def chosen_programs() -> dict[str, str]:
    """Return the variables by which Docker's programs and Compose are found, and no other."""
    return {name: os.environ[name] for name in PROGRAMS if name in os.environ}


def inherited() -> dict[str, str]:
    """Return what whoever types commands here has set, and none of the bot's settings."""
    return chosen_programs() | {name: os.environ[name] for name in PERSON if name in os.environ}


def link_plugins(folder: Path) -> None:
    """Let a folder that is to be DOCKER_CONFIG, with logins of its own, have the chosen plugins."""
    chosen = Path(os.environ.get("DOCKER_CONFIG", "/nowhere"), PLUGINS)
    if chosen.is_dir() and not (folder / PLUGINS).exists():
        (folder / PLUGINS).symlink_to(chosen.absolute())
