"""Refuse what a stack may not have unless the settings allow it by name.

Entries of COMPOSE_POLICY_ALLOW, each for all environments, or for one: `prod/docker_socket:discord-bot`:

- `privileged:SERVICE`, `devices:SERVICE`, `cap_add:SERVICE`, `security_opt:SERVICE`, `runtime:SERVICE`,
  `cgroup_parent:SERVICE`, `volumes_from:SERVICE`, `provider:SERVICE`: that field of that service
- `annotations:SERVICE`, `blkio_config:SERVICE`, `credential_spec:SERVICE`, `models:SERVICE`: likewise
- `realtime:SERVICE`: `cpu_rt_runtime` and `cpu_rt_period`; `oom:SERVICE`: to be spared when memory runs out
- `sysctls:SERVICE`, `ulimits:SERVICE`, `storage_opt:SERVICE`, `isolation:SERVICE`: what is not the container's alone
- `mount:SERVICE`: a mount that is no bind, volume or tmpfs, or that the host sees
- `pid:SERVICE`, `ipc:SERVICE`, `network_mode:SERVICE`, `userns_mode:SERVICE`, `uts:SERVICE`, `cgroup:SERVICE`:
  the host's namespace, that of a container outside the stack, or (`pid`, beside the bot) of another service;
  of `network_mode` also every network that is not the stack's own
- `external_links:SERVICE`: links to containers outside the stack
- `logging:SERVICE`: a logging driver other than json-file, local and none, or unknown options
- `container_name:SERVICE`: a container's name that belongs to another project
- `ports:SERVICE`: ports on other addresses than loopback, where COMPOSE_POLICY is strict
- `build:SERVICE`: a build from outside the stack's folder, or one with rights on the host
- `build_tags:SERVICE`: `build.tags`, which may overwrite an image that others use
- `build_cache:SERVICE`: a build cache other than an image's
- `bind:PATH`: binding that path or what is below it, or using it as a secret or config
- `replaceable:PATH`: using that path, or what is below it, although a container may replace it by a link to anywhere
- `docker_socket:SERVICE`: the engine's socket, or a folder that holds it
- `state_dir:SERVICE`: the bot's own state, or a folder that holds it, to bind, to build from or to read; instead of a
  service it may be a secret, a config, or a compose file that includes it
- `volume:NAME`, `network:NAME`: a driver or `driver_opts` of that volume or network, as the compose file names it, or
  a subnet of addresses that are not private
- `external_volume:NAME`, `external_network:NAME`: a volume or network that is not the stack's own (`external`, or by
  `name`), as the engine names it
- `probe:HOST:PORT`: a probe of `x-deploy` that asks what is not a service of the stack, as its URL names it
- `env_file:PATH`, `label_file:PATH`, `include:PATH`, `extends:PATH`, `compose_file:PATH`: reading that file, outside
  the stack's folder; the path is written as in the compose file
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roas.engine.engine_holdings import NOTHING_HELD, EngineHoldings, judge_holdings
from roas.engine.model import services_of
from roas.engine.places import Places
from roas.engine.policy_resources import judge_resources
from roas.engine.policy_rules import judge_keys, judge_service
from roas.engine.probe_rules import judge_probes
from roas.engine.raw_files import FileReference
from roas.engine.violation import Violation
from roas.errors import ComposePolicyError
from roas.models.environment import Environment

# An allowed path allows what is below it.
PATH_KINDS = ("bind", "replaceable")


class ComposePolicy:
    """Judge resolved models by an allowlist."""

    def __init__(self, allowed: tuple[str, ...], state_dir: Path) -> None:
        self._allowed = allowed
        self.state_dir = state_dir.resolve()

    def check(
        self,
        model: Mapping[str, Any],
        environment: Environment,
        named: Sequence[FileReference] = (),
        holdings: EngineHoldings = NOTHING_HELD,
    ) -> None:
        """Raise ComposePolicyError that lists every violation.

        `named` are the files that the compose files name, `holdings` what is on the engine already.
        """
        self.refuse(self._violations(model, environment, named, holdings), environment)

    def without_allowed(self, violations: Iterable[Violation], environment: Environment) -> list[Violation]:
        """Leave out what the settings allow by name in an environment; an allowed path allows what is below it."""
        entries = tuple(_entries(self._allowed, environment))
        return [violation for violation in violations if not _is_allowed(violation.entry, entries)]

    def allows(self, entry: str, environment: Environment) -> bool:
        """Return whether the settings allow something by name in an environment."""
        return not self.without_allowed([Violation("", entry)], environment)

    def refuse(self, violations: Iterable[Violation], environment: Environment) -> None:
        """Raise ComposePolicyError where there is a violation that the settings do not allow."""
        unique = tuple(dict.fromkeys(self.without_allowed(violations, environment)))
        if not unique:
            return
        entries = dict.fromkeys(violation.entry for violation in unique if violation.entry)
        raise ComposePolicyError(
            "The compose file asks for something that is not allowed here:\n" + "\n".join(map(_line, unique)),
            hint=f"Remove it, or add to COMPOSE_POLICY_ALLOW: {' '.join(entries)}" if entries else "Remove it.",
            entries=tuple(entries),
        )

    def _violations(
        self,
        model: Mapping[str, Any],
        environment: Environment,
        named: Sequence[FileReference],
        holdings: EngineHoldings,
    ) -> Iterator[Violation]:
        places = Places.of(model, environment, self.state_dir, holdings.writable(environment))
        yield from judge_keys(model)
        for name, service in services_of(model).items():
            yield from judge_service(name, service, places, strict=environment.strict_policy)
            if environment.is_home and str(service.get("pid") or "").startswith("service:"):
                # By it a service reads the other's environment, files and memory: here, the bot's.
                yield Violation(f"{name} has `pid: {service['pid']}`, beside the bot", f"pid:{name}")
        yield from judge_probes(model)
        yield from judge_resources(model, environment.project, places)
        for reference in named:
            yield from places.judge_replaceable(reference.who, str(reference.target), "reads")
        yield from judge_holdings(model, environment, holdings)


def _entries(allowed: tuple[str, ...], environment: Environment) -> Iterator[str]:
    """Yield the entries that count in an environment: those for all, and its own without the name before them."""
    for entry in allowed:
        name, slash, rest = entry.partition("/")
        if not slash or ":" in name:
            yield entry
        elif name == environment.name:
            yield rest


def _is_allowed(wanted: str, entries: tuple[str, ...]) -> bool:
    kind, _, name = wanted.partition(":")
    return bool(wanted) and any(entry == wanted or _covers(entry, kind, name) for entry in entries)


def _covers(entry: str, kind: str, name: str) -> bool:
    """Tell whether an entry allows a folder in which a path lies."""
    its_kind, _, path = entry.partition(":")
    if its_kind != kind or kind not in PATH_KINDS or not path.startswith("/"):
        return False
    return Path(name).is_relative_to(Path(path).resolve() if kind == "bind" else path)


def _line(violation: Violation) -> str:
    if not violation.entry:
        return f"  - {violation.text} (nothing allows that)"
    return f"  - {violation.text} (allowed by `{violation.entry}`)"
