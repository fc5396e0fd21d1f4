"""Judge what a stack asks for beyond its own containers: its powers.

An environment's `policy` says who gives them. With `ask`, a person says yes to each that no kept release of it has;
`strict` refuses those that no entry names, and asks for places that a checkout cannot replace; with `trusted`, who
changes the stack may do what Docker lets them; `default` refuses as `strict` does, but for ports, private subnets and
what a checkout can replace. In each, `allow` names single powers. COMPOSE_POLICY_ALLOW has the same entries for all
environments, or for one: `prod/docker_socket:discord-bot`.

- `privileged:SERVICE`, `devices:SERVICE`, `cap_add:SERVICE`, `security_opt:SERVICE`, `runtime:SERVICE`,
  `cgroup_parent:SERVICE`, `volumes_from:SERVICE`, `provider:SERVICE`: that field of that service
- `annotations:SERVICE`, `blkio_config:SERVICE`, `credential_spec:SERVICE`, `models:SERVICE`: likewise
- `realtime:SERVICE`: `cpu_rt_runtime` and `cpu_rt_period`; `oom:SERVICE`: to be spared when memory runs out
- `sysctls:SERVICE`, `ulimits:SERVICE`, `storage_opt:SERVICE`, `isolation:SERVICE`: what is not the container's alone
- `mount:SERVICE`: a mount that is no bind, volume or tmpfs, or that the host sees
- `pid:SERVICE`, `ipc:SERVICE`, `network_mode:SERVICE`, `userns_mode:SERVICE`, `uts:SERVICE`, `cgroup:SERVICE`:
  the host's namespace, that of a container outside the stack, or of a service that has such powers or is the bot;
  of `network_mode` also every network that is not the stack's own
- `external_links:SERVICE`: links to containers outside the stack
- `logging:SERVICE`: a logging driver other than json-file, local and none, or unknown options
- `container_name:SERVICE`: a container's name that belongs to another project
- `ports:SERVICE`: ports on other addresses than loopback, where COMPOSE_POLICY is strict
- `build:SERVICE`: a build from outside the stack's folder, or one with rights on the host
- `bot_token:SERVICE`: the bot's own Discord token, or a file that has it; in the home environment only
- `bind:PATH`: binding that path or what is below it, or using it as a secret or config
- `replaceable:PATH`: using that path, or what is below it, although a container may write it or replace it by a link to
  anywhere; where the policy is strict, also although a checkout of the stack's folder may
- `docker_socket:SERVICE`: the engine's socket, or a folder that holds it
- `state_dir:SERVICE`: the bot's own state, or a folder that holds it, to bind, to build from or to read; instead of a
  service it may be a secret, a config, or a compose file that includes it; in the home environment only
- `volume:NAME`, `network:NAME`: a driver or `driver_opts` of that volume or network, as the compose file names it, or
  a subnet of addresses that are not private
- `external_volume:NAME`, `external_network:NAME`: a volume or network that is not the stack's own (`external`, or by
  `name`), as the engine names it
- `external_secret:NAME`, `external_config:NAME`: a secret or config that a Swarm has, as its first version is called
- `key:PLACE`: a key that the policy does not know, such as `key:services.web.new_key`
- `probe:HOST:PORT`: a probe of `x-deploy` that asks what is not a service of the stack, as its URL names it
- `env_file:PATH`, `label_file:PATH`, `include:PATH`, `extends:PATH`, `compose_file:PATH`: reading that file, outside
  the stack's folder; the path is written as in the compose file
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.models.environment import Environment, PolicyLevel, whole_of
from roas.stack.images.reference import is_own
from roas.stack.model.raw_files import FileReference
from roas.stack.model.services import RECORDED, services_of
from roas.stack.policy.holdings import NOTHING_HELD, EngineHoldings, judge_holdings
from roas.stack.policy.joined import judge_joined
from roas.stack.policy.places import Places
from roas.stack.policy.power import Power, identities, named
from roas.stack.policy.probe_rules import judge_probes
from roas.stack.policy.refusal import ONLY_AT_HOME, PATH_KINDS, refusal
from roas.stack.policy.resources import judge_external, judge_resources
from roas.stack.policy.rules import NAMES_ALL, judge_keys, judge_service
from roas.stack.policy.secrets import judge_bound_token, judge_token, token_holders
from roas.stack.sources.opening import resolve
from roas.stack.sources.withheld import NOTHING_WITHHELD, Withheld

# These are no powers of Docker's, but of the bot: trust in who changes a stack does not give them.
OF_THE_BOT = frozenset(
    {"state_dir", "bot_token", "provider", "probe", "env_file", "label_file", "include", "extends", "compose_file"}
)
# Where our copies of configuration files are, below the state folder.
CONTENTS_FOLDER = "contents"


class ComposePolicy:
    """Judge resolved models by an allowlist."""

    def __init__(self, allowed: tuple[str, ...], state_dir: Path, token: str = "") -> None:
        self.allowed = allowed
        self._token = token
        self.state_dir = state_dir.resolve()
        self._copies = self.state_dir / CONTENTS_FOLDER

    def check(
        self,
        model: Mapping[str, Any],
        environment: Environment,
        named: Sequence[FileReference] = (),
        holdings: EngineHoldings = NOTHING_HELD,
    ) -> tuple[Power, ...]:
        """Raise ComposePolicyError that lists what is refused, and return the powers that no entry gives.

        `named` are the files that the compose files name, `holdings` what is on the engine already.
        """
        places = self._places(model, environment, holdings)
        found = [
            *_judge_images(model),
            *self._judge(model, environment, places, holdings),
            *_judge_files(environment, named, places),
        ]
        return self.refuse(found, environment)

    def check_bound(self, model: Mapping[str, Any], environment: Environment) -> tuple[Power, ...]:
        """Raise ComposePolicyError for what may not be had from where it lies, and return the powers of it.

        The model is one whose read-only files and secrets are bound from our copies of them.
        """
        places = self._places(model, environment, copies=self._copies)
        found = [*self._judge_live(model, environment, places)]
        joined = judge_joined(services_of(model), found, places.bots, is_home=environment.is_home)
        return self.refuse((*found, *joined), environment)

    def check_secrets(self, model: Mapping[str, Any], environment: Environment) -> None:
        """Raise ComposePolicyError for secrets of today that a release may not be given."""
        places = self._places(model, environment)
        secrets = {"secrets": model.get("secrets") or {}}
        found = [*judge_resources(secrets, environment.project, places), *judge_token(model, self._token)]
        self.refuse(found, environment)

    def check_stored(self, model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings) -> None:
        """Raise ComposePolicyError for what the model of a release asks for and today's settings do not allow."""
        self.refuse(self._judge_stored(model, environment, holdings), environment, of_release=True)

    def powers_of_release(
        self, model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings
    ) -> dict[str, str]:
        """Return what the powers of a stored model are known by, and how each reads."""
        known = {identity: named(identity) for identity in map(str, model.get(RECORDED) or ())}
        return known | identities(self._judge_stored(model, environment, holdings), model)

    def _judge_stored(
        self, model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings
    ) -> Iterator[Power]:
        places = self._places(model, environment, holdings, self._copies)
        yield from self._judge(model, environment, places, holdings)
        found = [*self._judge_live(model, environment, places, of_release=True)]
        yield from found
        yield from judge_joined(services_of(model), found, places.bots, is_home=environment.is_home)

    def without_allowed(self, violations: Iterable[Power], environment: Environment) -> list[Power]:
        """Leave out what the settings allow in an environment; an allowed path allows what is below it."""
        return [power for power in self._unnamed(violations, environment) if not _is_trusted(power, environment)]

    def withheld(self, environment: Environment) -> Withheld:
        """Return what an environment's stack is never given."""
        return Withheld.of(self.state_dir, map(resolve, environment.withheld), self._token)

    def withheld_from(self, service: str, environment: Environment) -> Withheld:
        """Return what a service is never given: nothing is kept from the bot's own."""
        is_bot = self.allows_by_name(f"state_dir:{service}", environment)
        return NOTHING_WITHHELD if is_bot else self.withheld(environment)

    def allows(self, entry: str, environment: Environment) -> bool:
        """Return whether the settings allow something in an environment."""
        return not self.without_allowed([Power("", entry)], environment)

    def allows_by_name(self, entry: str, environment: Environment) -> bool:
        """Return whether an entry of the settings allows something in an environment; trust alone does not."""
        return not self._unnamed([Power("", entry)], environment)

    def refuse(
        self, violations: Iterable[Power], environment: Environment, *, of_release: bool = False
    ) -> tuple[Power, ...]:
        """Raise ComposePolicyError for what is never given or refused, and return what no entry allows by name."""
        unnamed = self._unnamed(violations, environment)
        if refused := [power for power in unnamed if not _may_be_given(power, environment)]:
            raise refusal(refused, environment, of_release=of_release)
        return unnamed

    def _unnamed(self, violations: Iterable[Power], environment: Environment) -> tuple[Power, ...]:
        """Return what no entry allows by name."""
        entries = (*_entries(self.allowed, environment), *environment.allowed)
        if not environment.is_home:  # nothing gives a stack what is the bot's, but to the bot's own service
            entries = tuple(entry for entry in entries if entry.partition(":")[0] not in ONLY_AT_HOME)
        # Who has the bot's state is the bot.
        entries += tuple(
            f"bot_token:{name}" for kind, _, name in (entry.partition(":") for entry in entries) if kind == "state_dir"
        )
        return tuple(power for power in dict.fromkeys(violations) if not _is_allowed(power.entry, entries))

    def _places(
        self,
        model: Mapping[str, Any],
        environment: Environment,
        holdings: EngineHoldings = NOTHING_HELD,
        copies: Path | None = None,
    ) -> Places:
        bots = frozenset(name for name in services_of(model) if self.allows_by_name(f"state_dir:{name}", environment))
        written = holdings.writable(environment)
        withheld = self.withheld(environment).beside(holdings.state_places)
        held = holdings.options_of(model, environment.project)
        return Places.of(model, environment, withheld, written, copies, bots, held)

    def _judge_live(
        self, model: Mapping[str, Any], environment: Environment, places: Places, *, of_release: bool = False
    ) -> Iterator[Power]:
        """Find what services have from where it lies: whoever gives it gives what it becomes, too.

        The model is one whose files are bound from our copies: whatever is left was not copied, for any reason. What
        was found of the path when its release was made is not judged again.
        """
        asks = environment.policy in {PolicyLevel.ASK, PolicyLevel.TRUSTED}
        holding = token_holders(environment, self._token)
        for name, source, secret, reads in _sources(model):
            if not secret:  # also of a copy: the value of a variable is one
                yield from judge_bound_token(name, source, holding, self._token)
            if Path(source).parent == self._copies:
                continue
            if not asks and (environment.policy is PolicyLevel.STRICT or (secret and not of_release)):
                yield from places.judge_checkout(name, source, secret)
            elif asks and name not in places.bots:
                yield from places.judge_live(name, source, reads=reads)
            if not secret and not of_release:
                yield from places.judge_withheld(name, source, said("binds"))

    def _judge(
        self, model: Mapping[str, Any], environment: Environment, places: Places, holdings: EngineHoldings
    ) -> Iterator[Power]:
        found = [*judge_keys(model), *judge_probes(model)]
        for name, service in services_of(model).items():
            found += judge_service(name, service, places, environment.policy)
        own = holdings.own_volumes(environment.project)
        private = environment.policy not in NAMES_ALL
        found += judge_resources(model, environment.project, places, own, private_subnets=private)
        if environment.on_swarm:
            found += judge_external(model)
        found += judge_holdings(model, environment, holdings, self.state_dir)
        yield from found
        yield from judge_joined(services_of(model), found, places.bots, is_home=environment.is_home)
        yield from judge_token(model, self._token)


def _judge_images(model: Mapping[str, Any]) -> Iterator[Power]:
    """Find services that are to run what the bot keeps under a name of its own."""
    for name, service in services_of(model).items():
        if is_own(image := str(service.get("image") or "")) and not service.get("build"):
            yield Power(said("{name} has the image {image}, which is the bot's own", name=name, image=image), "")


def _judge_files(environment: Environment, named: Sequence[FileReference], places: Places) -> Iterator[Power]:
    """Find files that the next deployment reads and that a container may change, or that another environment has."""
    who = said("the environment {name}", name=environment.name)
    for path in sorted(environment.shared):
        text = said(
            "{who} {does} {source}, which another environment has for itself", who=who, does=said("reads"), source=path
        )
        yield Power(text, f"bind:{path}")
    for path in (*environment.compose_files, *environment.env_files):
        yield from places.judge_read(environment.name, path, "reads")
    for reference in named:
        yield from places.judge_read(reference.who, reference.target, "reads")


def _sources(model: Mapping[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what is bound: by which service, from where, as which secret, and whether it is only read."""
    for name, service in services_of(model).items():
        for entry in service.get("secrets") or ():
            secret = str(entry.get("source"))
            definition = (model.get("secrets") or {}).get(secret) or {}
            if not definition.get("external"):  # that is no path: it has a power of its own
                yield name, str(definition.get("file") or "/"), secret, True
        for volume in service.get("volumes") or ():
            if volume.get("type") == "bind":
                yield name, str(volume.get("source") or ""), "", bool(volume.get("read_only"))


def _entries(allowed: tuple[str, ...], environment: Environment) -> Iterator[str]:
    """Yield the entries that count in an environment: those for all, and its own without the name before them."""
    for entry in allowed:
        name, slash, rest = entry.partition("/")
        if not slash or ":" in name:
            yield entry
        elif name == whole_of(environment.name):
            yield rest


def _is_trusted(power: Power, environment: Environment) -> bool:
    return environment.policy is PolicyLevel.TRUSTED and bool(power.kind) and power.kind not in OF_THE_BOT


def _may_be_given(power: Power, environment: Environment) -> bool:
    """Return whether a power is given by trust, or by whoever is asked."""
    gives = environment.policy == PolicyLevel.TRUSTED or (environment.policy == PolicyLevel.ASK and power.is_asked_for)
    return gives and bool(power.kind) and power.kind not in OF_THE_BOT


def _is_allowed(wanted: str, entries: tuple[str, ...]) -> bool:
    kind, _, name = wanted.partition(":")
    return bool(wanted) and any(entry == wanted or _covers(entry, kind, name) for entry in entries)


def _covers(entry: str, kind: str, name: str) -> bool:
    """Tell whether an entry allows a folder in which a path lies."""
    its_kind, _, path = entry.partition(":")
    if its_kind != kind or kind not in PATH_KINDS or not path.startswith("/"):
        return False
    return Path(name).is_relative_to(resolve(Path(path)) if kind == "bind" else path)
