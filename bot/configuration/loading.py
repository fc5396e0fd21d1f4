"""Read the settings from the environment, `.env`, `*_FILE` secrets and `roas.toml`, and explain invalid ones."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.configuration.reading import Reading, read
from roas.configuration.settings import NAME_PATTERN, SECRET_FIELDS, GivenSettings, Settings
from roas.configuration.sources import OF_THE_HOST, PREFIX, SettingFault, SettingPlace, VariableSource
from roas.errors import SettingsError
from roas.log import get_logger

log = get_logger(__name__)

# Of an environment with a host: buttons in the channel have it in an id, of which Discord takes 100 characters.
LONGEST_NAME = 64


def load_settings(*, needs_discord: bool, environ: Mapping[str, str] | None = None, is_guest: bool = False) -> Settings:
    """Read the settings; `needs_discord` also demands what only the bot itself needs.

    Raises SettingsError that lists every wrong or missing setting, not the first.
    """
    reading = read_settings(needs_discord=needs_discord, environ=environ, is_guest=is_guest)
    if reading.settings is None:
        raise _fault(reading.faults)
    if reading.ignored:
        log.warning(
            "policy in the .env of a stack's folder is not read: say it in roas.toml",
            ignored=", ".join(reading.ignored),
        )
    return reading.settings


def read_settings(
    *, needs_discord: bool, environ: Mapping[str, str] | None = None, is_guest: bool = False
) -> Reading[GivenSettings]:
    """Read the settings as `load_settings` does, with all that is wrong with them and where each comes from."""
    environ = os.environ if environ is None else environ
    reading = read(GivenSettings, SECRET_FIELDS, environ, prefixed_only=OF_THE_HOST if is_guest else frozenset())
    if needs_discord:
        reading = reading.with_faults(_missing(reading))
    if reading.partial is None:
        return reading
    named = (environ.get(f"{prefix}{name.upper()}_FILE") for name in SECRET_FIELDS for prefix in ("", PREFIX))
    own = (source.own_file for source in reading.sources if isinstance(source, VariableSource))
    secrets = [Path(path) for path in named if path]
    reading.partial.come_from((*filter(None, own), *reading.files, *secrets, *reading.partial.named_files))
    return reading.with_faults(_contradictions(reading, reading.partial))


def _missing(reading: Reading[GivenSettings]) -> Iterator[SettingFault]:
    """Yield what the bot cannot run without; what is present but invalid is reported already.

    What a file that cannot be read would have said is not known.
    """
    if any(fault.place.file and not fault.place.name for fault in reading.faults):
        return
    wrong = {fault.place.name for fault in reading.faults}
    for name in ("discord_token", "discord_guild_id", "discord_ops_channel_id"):
        place = reading.place((name,))
        if reading.origin((name,)) is None and not wrong & {place.name, f"{place.name}_FILE"}:
            yield SettingFault(place, "is missing")


def _contradictions(reading: Reading[GivenSettings], settings: Settings) -> Iterator[SettingFault]:
    """Yield what is wrong with settings that are each right by themselves."""
    known = ", ".join(settings.environment_names)
    if settings.home_environment is not None and settings.home_environment not in settings.environment_names:
        yield SettingFault(reading.place(("home_environment",)), f"{settings.home_environment!r} is not one of {known}")
    home = settings.environments.get(settings.home_environment or "")
    if home is not None and home.hosts:
        yield SettingFault(reading.place(("home_environment",)), "the bot's own environment cannot have `hosts`")
    for name in settings.environments:
        if name not in settings.environment_names:
            yield SettingFault(reading.place(("environments", name)), f"ENVIRONMENT_NAMES has only {known}")
        if too_long := [host for host in settings.environments[name].named_hosts if len(name + host) >= LONGEST_NAME]:
            fault = f"{', '.join(too_long)}: give a shorter name, as a table; with {name}@ it may have {LONGEST_NAME}"
            yield SettingFault(reading.place(("environments", name, "hosts")), fault)
        if _shares_folder(settings, name):
            yield SettingFault(
                reading.place(("environments", name, "git")), "needs a `folder` of this environment alone"
            )
    yield from _contradicting_requirements(reading, settings)
    yield from _contradicting_sources(reading, settings)
    yield from _contradicting_targets(reading, settings)
    for path in reading.files:
        if (stack := _stack_around(path, reading, settings)) is not None:
            yield SettingFault(
                SettingPlace("", str(path)),
                f"lies in the folder of a stack ({stack}), where whoever changes the stack could change the bot: move "
                f"it into STATE_DIR ({settings.state_dir}), or elsewhere and name it with ROAS_CONFIG",
            )


def _shares_folder(settings: Settings, name: str) -> bool:
    """Return whether an environment whose files come from a repository has no folder of its own."""
    own = settings.environments[name]
    others = (environment.folder for other, environment in settings.environments.items() if other != name)
    return own.git is not None and (own.folder is None or own.folder in others)


def _contradicting_requirements(reading: Reading[GivenSettings], settings: Settings) -> Iterator[SettingFault]:
    required = {name: own.requires for name, own in settings.environments.items()}
    for name, own in settings.environments.items():
        if own.requires is None:
            if own.soak is not None:
                yield SettingFault(reading.place(("environments", name, "soak")), "needs `requires`, which says where")
            continue
        place, seen = reading.place(("environments", name, "requires")), {name}
        other: str | None = own.requires
        if other not in settings.environment_names:
            yield SettingFault(place, f"{other!r} is not one of {', '.join(settings.environment_names)}")
        elif (there := settings.environments.get(other)) is not None and there.hosts:
            yield SettingFault(place, f"{other!r} is on many hosts, and no release of all of them can be promoted")
        while other is not None and other not in seen:
            seen.add(other)
            other = required.get(other)
        if other is not None:
            yield SettingFault(place, "goes round in a circle")


def _contradicting_sources(reading: Reading[GivenSettings], settings: Settings) -> Iterator[SettingFault]:
    known = ", ".join(settings.environment_names)
    for name, source in settings.sources.items():
        if not re.fullmatch(NAME_PATTERN, name):
            yield SettingFault(reading.place(("sources", name)), "has lower-case letters, digits, - and _ only")
        for environment in source.environments:
            if environment not in settings.environment_names:
                place = reading.place(("sources", name, "environments"))
                yield SettingFault(place, f"{environment!r} is not one of {known}")


def _contradicting_targets(reading: Reading[GivenSettings], settings: Settings) -> Iterator[SettingFault]:
    known = ", ".join(settings.environment_names)
    for name, target in settings.notify.items():
        if not re.fullmatch(NAME_PATTERN, name):
            yield SettingFault(reading.place(("notify", name)), "has lower-case letters, digits, - and _ only")
        for environment in target.environments:
            if environment not in settings.environment_names:
                yield SettingFault(
                    reading.place(("notify", name, "environments")), f"{environment!r} is not one of {known}"
                )


def _stack_around(path: Path, reading: Reading[GivenSettings], settings: Settings) -> Path | None:
    """Return the stack folder that a file is in; the state folder is the bot's own wherever it is.

    The file cannot say of itself that its place is a good one, nor can one that lies in a stack's folder.
    """
    state_dir = _folder(reading.without_stacks(), "state_dir")
    stack_dir = _folder(reading.without_files(), "stack_dir")
    file = path.resolve()
    if file.is_relative_to(state_dir.resolve()):
        return None
    own = [environment.folder for environment in settings.environments.values() if environment.folder is not None]
    folders = [folder.expanduser().resolve() for folder in (stack_dir, settings.stack_dir, *own)]
    return next((folder for folder in folders if file.is_relative_to(folder)), None)


def _folder(said: Mapping[str, Any], name: str) -> Path:
    return Path(str(said.get(name) or Settings.model_fields[name].default)).expanduser()


def _fault(faults: tuple[SettingFault, ...]) -> SettingsError:
    return SettingsError(
        "The settings are not usable:\n" + "\n".join(f"  - {fault}" for fault in faults),
        hint="Correct them in the environment, in .env or in roas.toml; .env.example and docs/configuration.md explain "
        "each.",
    )
