"""Say what is refused, and the very lines that would allow it; refuse what nobody could read."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from roas.errors import ComposePolicyError, NewPowersError
from roas.messages.message import joined, said
from roas.models.environment import Environment, whole_of
from roas.stack.policy.power import Power

# Entries of these name a path, and allow what is below it.
PATH_KINDS = ("bind", "replaceable")
# What the bot's own service may have, and no other stack.
ONLY_AT_HOME = frozenset({"state_dir", "bot_token"})
# What lies directly in these folders has nothing in common but that.
SHARED_FOLDERS = frozenset(
    map(Path, ("/", "/dev", "/etc", "/home", "/mnt", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/usr", "/var"))
) | {Path("/var/lib"), Path("/var/run"), Path("/var/log")}


def refusal(violations: Iterable[Power], environment: Environment, *, of_release: bool) -> ComposePolicyError:
    """Create the error that lists every violation, and the lines for `roas.toml` that would allow them all."""
    unique = tuple(dict.fromkeys(violations))
    entries = tuple(sorted({violation.entry for violation in unique if violation.entry}, key=_group))
    given = tuple(entry for entry in entries if environment.is_home or entry.partition(":")[0] not in ONLY_AT_HOME)
    head = said("The compose file asks for something that is not allowed here:")
    if of_release:
        head = said("The release asks for something that is not allowed here today:")
    hint = said("Deploy a version without it.")
    if given:
        hint = said("Deploy a version without it, or add to roas.toml:\n{lines}", lines=_lines(given, environment))
    text = joined("\n", (head, *(_line(power, given) for power in unique)))
    return ComposePolicyError(text, hint=hint, entries=entries)


def refuse_unreadable(powers: Iterable[str], redact: Callable[[str], str]) -> None:
    """Raise NewPowersError where a secret is part of a power's name: nobody would read what they give."""
    if hidden := [shown for power in powers if (shown := redact(power)) != power]:
        raise NewPowersError(
            said("What this stack newly gets cannot be shown whole: {powers}.", powers=", ".join(hidden)),
            hint=said("A secret has the same word: choose another secret, or another name."),
        )


def _lines(entries: tuple[str, ...], environment: Environment) -> str:
    lines = [f"  {json.dumps(entry, ensure_ascii=False)}," for entry in entries]
    lines += [f"  # or all of it: {json.dumps(entry, ensure_ascii=False)}," for entry in _common(entries)]
    return "\n".join((f"[environments.{whole_of(environment.name)}]", "allow = [", *lines, "]"))


def _common(entries: Iterable[str]) -> Iterator[str]:
    """Propose the folder that several allowed paths have in common, where it is more than the host's usual ones."""
    by_folder: dict[str, list[str]] = {}
    for kind, _, name in (entry.partition(":") for entry in entries):
        folder = Path(name).parent
        if kind in PATH_KINDS and folder not in SHARED_FOLDERS:
            by_folder.setdefault(f"{kind}:{folder}", []).append(name)
    yield from (entry for entry, names in by_folder.items() if len(names) > 1)


def _group(entry: str) -> tuple[bool, str, str]:
    """Put together what one service asks for, then the paths."""
    kind, _, name = entry.partition(":")
    return name.startswith("/"), name, kind


def _line(violation: Power, given: tuple[str, ...]) -> str:
    if violation.entry not in given:
        return said("  - {text} (nothing allows that)", text=violation.text)
    return said("  - {text} (allowed by `{entry}`)", text=violation.text, entry=violation.entry)
