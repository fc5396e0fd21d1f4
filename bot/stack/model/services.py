"""Read single fields of the services of a resolved compose model, and write those that a release adds."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from roas.stack.model.durations import read_duration

NETWORK_MODE = "network_mode"
SHARED_NAMESPACES = (NETWORK_MODE, "pid", "ipc")
OF_SERVICE = "service:"
VOLUMES_FROM = "volumes_from"
# In `x-deploy` of an adopted service: the hash that its containers have, so that they need not be recreated.
ADOPTED_HASH = "adopted_hash"
# In `x-deploy` of a pinned service: the content that its `image` has to mean.
IMAGE_ID = "image_id"
# In `x-deploy` of a pinned service: its fields as the files have them, where a release has others, and the names that
# the same image had in the releases before, which its containers may still be hashed with.
WRITTEN, WRITTEN_BEFORE = "written", "written_before"
# What a release leaves out of its model, and Compose 2.26 hashes; and what it binds by content, or names by ID.
LEFT_OUT = ("depends_on", "develop", "profiles")
BOUND = ("volumes", "configs", "secrets")
NOTHING = "/dev/null"
# Where a container finds the secrets that it is given.
MOUNTED_SECRETS = "/run/secrets/"
# What every node of a Swarm has at the same place, so that a service there may bind it.
ENGINE_SOCKETS = frozenset({"/var/run/docker.sock", "/run/docker.sock"})
# In `x-deploy` of a service that was adopted and is recreated: the fields in which it is another.
UNLIKE = "unlike"
# In `x-deploy` of a service: the places in its containers to which Compose copies what a release binds, and those of
# volumes that it borrows read-only, which Compose lets it write to.
COPIED, BORROWED = "copied", "borrowed"
# Of a one-shot service in a Swarm: what is another one with each release, which runs it again.
ROUND = "round"
# Of a service that was adopted on a Swarm: its spec is as it was found, without what this bot would add; and the
# configs and secrets that it has there, as Swarm names them, whose content only Swarm knows.
AS_FOUND, SWARM_FILES = "as_found", "swarm_files"
# Of a service that has another number of replicas than its files say: what these say, and in which places.
SCALED = "scaled"
# What a release adds to `x-deploy`, or writes there in its own way.
OF_RELEASE = frozenset(
    {"depends_on", IMAGE_ID, ADOPTED_HASH, UNLIKE, COPIED, BORROWED, ROUND, AS_FOUND, SWARM_FILES}
    | {WRITTEN, WRITTEN_BEFORE, SCALED}
)
# In the `x-deploy` of a proxy of a release: the kept content of each of its bound files, by the file's place.
LIVE = "live"
OF_BOT = (OF_RELEASE - {"depends_on"}) | {LIVE}
# In the `x-deploy` of a whole model: the services of inactive profiles.
INACTIVE = "inactive"
# Of a secret or config that a service of a Swarm is given: which version of it the Swarm has.
OBJECT = "x-object"
# In a model: the powers that it cannot show any more, since what asked for them is not in a release.
RECORDED = "x-roas-powers"
PULLED_NOT_BUILT = frozenset({"always", "missing", "if_not_present", "never"})
# What Compose calls the conditions of `deploy.restart_policy`.
CONDITIONS = {"any": "always", "none": "no", "": "no"}


def services_of(model: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the services of a model; one without any fields is an empty mapping."""
    return {str(name): service or {} for name, service in (model.get("services") or {}).items()}


def real_name(key: str, definition: Mapping[str, Any] | None, project: str) -> str:
    """Return what the engine calls a network or a volume of a model."""
    return str((definition or {}).get("name") or f"{project}_{key}")


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return what is a mapping, or a list of `name=value`, as a mapping; of a name alone, the value is None."""
    if isinstance(value, Mapping):
        return value
    pairs = (str(entry).partition("=") for entry in value) if isinstance(value, list) else ()
    return {name: text if sign else None for name, sign, text in pairs}


def as_files_say(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved model without what only the bot says of a release: no file forges that."""
    kept = {key: value for key, value in model.items() if key != RECORDED}
    if isinstance(whole := model.get("x-deploy"), Mapping):
        kept["x-deploy"] = {key: value for key, value in whole.items() if key != INACTIVE}
    kept["services"] = {}
    for name, service in services_of(model).items():
        if isinstance(own := service.get("x-deploy"), Mapping):
            service = {**service, "x-deploy": {key: value for key, value in own.items() if key not in OF_BOT}}
        for kind in ("secrets", "configs"):
            if entries := service.get(kind):
                given = [{key: value for key, value in entry.items() if key != OBJECT} for entry in entries]
                service = {**service, kind: given}
        kept["services"][name] = service
    return kept


def shared_with(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the services whose namespaces a service shares."""
    modes = (str(fields.get(key) or "") for key in SHARED_NAMESPACES)
    return frozenset(mode.removeprefix(OF_SERVICE) for mode in modes if mode.startswith(OF_SERVICE))


def lenders_of(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return what a service takes volumes from, also where a release has these written out."""
    entries = written_fields(fields).get(VOLUMES_FROM) or fields.get(VOLUMES_FROM) or ()
    return frozenset(str(entry).partition(":")[0] for entry in entries)


def linked_to(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the services that a service links to."""
    return frozenset(str(link).partition(":")[0] for link in fields.get("links") or ())


def with_needs(model: Mapping[str, Any], services: Iterable[str]) -> frozenset[str]:
    """Return services with all that they share with, link to or take volumes from: that is there before they are made.

    What they only depend on is not among a stored model's `depends_on`: there, it is the bot that waits for it.
    """
    known, found, left = services_of(model), set[str](), list(services)
    while left:
        name = left.pop()
        if name not in found and name in known:
            found.add(name)
            left += [*shared_with(known[name]), *linked_to(known[name]), *lenders_of(known[name])]
    return frozenset(found)


def dependents_of(services: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> frozenset[str]:
    """Return what depends on services of a resolved model, and on those again, but for these themselves."""
    named, found = frozenset(names), frozenset(names)
    while more := {name for name, fields in services.items() if found & set(fields.get("depends_on") or ())} - found:
        found |= more
    return found - named


def adopted_hash(service: Mapping[str, Any]) -> str:
    """Return the hash that a service's adopted containers have; empty where there are none to keep."""
    return str((service.get("x-deploy") or {}).get(ADOPTED_HASH) or "")


def copied_targets(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where Compose copies a file into the containers of a service, instead of mounting it."""
    return _targets(service, COPIED)


def borrowed_targets(service: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where a service has volumes of another one, read-only."""
    return _targets(service, BORROWED)


def _targets(service: Mapping[str, Any], key: str) -> tuple[str, ...]:
    extension = service.get("x-deploy")
    return tuple(map(str, extension.get(key) or ())) if isinstance(extension, Mapping) else ()


def with_targets(service: Mapping[str, Any], key: str, targets: Iterable[str]) -> dict[str, Any]:
    """Return a service that says of some places in its containers that they are copied to, or borrowed."""
    named, extension = sorted(set(targets)), service.get("x-deploy") or {}
    if not named or not isinstance(extension, Mapping):  # what makes no sense is refused where it is read
        return dict(service)
    return {**service, "x-deploy": {**extension, key: named}}


def inactive_services(model: Mapping[str, Any]) -> frozenset[str]:
    """Return the services that the compose files have in inactive profiles only, as far as a model says it."""
    return frozenset((model.get("x-deploy") or {}).get(INACTIVE) or ())


def with_inactive_services(model: Mapping[str, Any], inactive: Iterable[str]) -> dict[str, Any]:
    """Return a model that says which services the compose files have in inactive profiles only."""
    return {**model, "x-deploy": {**(model.get("x-deploy") or {}), INACTIVE: sorted(inactive)}}


def without_home_services(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model of an environment that is not home: without `x-deploy.home_only` services.

    Nothing waits for those any more. They are named among those of inactive profiles: who started one by hand keeps it.
    """
    services = services_of(model)
    home = {name for name, service in services.items() if (service.get("x-deploy") or {}).get("home_only")}
    if not home:
        return dict(model)
    left = {name: _not_waiting_for(home, service) for name, service in services.items() if name not in home}
    return with_inactive_services({**model, "services": left}, home | inactive_services(model))


def _not_waiting_for(others: Collection[str], service: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(service)
    for holder, key in ((found, "depends_on"), (extension := dict(found.get("x-deploy") or {}), "depends_on")):
        if isinstance(holder.get(key), Mapping):
            holder[key] = {name: how for name, how in holder[key].items() if name not in others}
    return found | ({"x-deploy": extension} if extension else {})


def with_one_shots(model: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the model with what the settings know of services that end; what the compose file says counts."""
    services = {
        name: {**service, "x-deploy": {"one_shot": True, **(service.get("x-deploy") or {})}}
        if name in names
        else service
        for name, service in services_of(model).items()
    }
    return {**model, "services": services} if names else dict(model)


def written_fields(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a pinned service as the files have them, where it has others; None for what they lack."""
    written = (service.get("x-deploy") or {}).get(WRITTEN)
    return written if isinstance(written, Mapping) else {}


def with_written(model: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model that says of each service how its files have what is bound by content, joined or borrowed."""
    services, written_there = {}, services_of(files)
    for name, fields in services_of(model).items():
        there = written_there[name]
        bound = {key: there.get(key) for key in BOUND if there.get(key) != fields.get(key)}
        written = {**written_fields(there), **bound}
        if there.get(VOLUMES_FROM):
            written |= {VOLUMES_FROM: there[VOLUMES_FROM], "volumes": there.get("volumes")}
        services[name] = {**fields, "x-deploy": {**(fields.get("x-deploy") or {}), WRITTEN: written}}
    return {**model, "services": services}


def as_written(service: Mapping[str, Any], *, with_binds: bool = False) -> dict[str, Any]:
    """Return a pinned service as its files have it, of which Compose makes its hash.

    What is bound by content stays that, unless the binds of the files are asked for, too: then its containers are
    those that somebody's Compose makes of them.
    """
    written = {key: value for key, value in written_fields(service).items() if with_binds or key not in BOUND}
    if VOLUMES_FROM in written and not with_binds:
        written["volumes"] = own_volumes(service) or None
    fields = {key: value for key, value in {**service, **written}.items() if value is not None and key != "x-deploy"}
    # Compose wants one of the two, and hashes this one in no version. Nothing can be built of it.
    return fields if fields.get("image") else {**fields, "build": {"context": NOTHING}}


def binds_copies(service: Mapping[str, Any]) -> bool:
    """Return whether a pinned service binds by content what its files bind from where it lies."""
    ours, theirs = as_written(service), as_written(service, with_binds=True)
    return any(ours.get(key) != theirs.get(key) for key in BOUND)


def own_volumes(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the volumes of a pinned service without those that a release writes out for `volumes_from`."""
    targets = {volume.get("target") for volume in written_fields(service).get("volumes") or ()}
    return [volume for volume in service.get("volumes") or () if volume.get("target") in targets]


def written_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pinned model as its files have it, but for what is bound by content."""
    services = {name: as_written(fields) for name, fields in services_of(model).items()}
    return {**model, "services": with_known_needs(services)}


def named_model(model: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a pinned model as its files have it, with images by the `names` of the files as far as these mean them."""
    named = written_model(model)
    pinned = {name: fields["image"] for name, fields in services_of(model).items() if name not in names}
    services = {
        name: {**fields, "image": pinned[name]} if name in pinned else fields
        for name, fields in named["services"].items()
    }
    return {**named, "services": services}


def with_known_needs(services: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return services that depend on none which is not there: Compose takes no model with such a one."""
    return {
        name: {
            **fields,
            "depends_on": {on: how for on, how in (fields.get("depends_on") or {}).items() if on in services},
        }
        if fields.get("depends_on")
        else dict(fields)
        for name, fields in services.items()
    }


def image_reference(project: str, name: str, service: Mapping[str, Any]) -> str:
    """Return the image that a service names, or the name that Compose gives to what it builds."""
    return str(service.get("image") or f"{project}-{name}")


def pinned_image_id(service: Mapping[str, Any]) -> str:
    """Return the image ID that a service of a release's model is pinned to; empty where its `image` says it all."""
    return str((service.get("x-deploy") or {}).get(IMAGE_ID) or "")


def image_of(service: Mapping[str, Any]) -> str:
    """Return by what an engine knows the image of a service of a release's model, of the release before, too."""
    return pinned_image_id(service) or str(service.get("image") or "")


def pinned_round(service: Mapping[str, Any]) -> str:
    """Return what a release's model runs a one-shot service of a Swarm again by; empty for any other service."""
    return str((service.get("x-deploy") or {}).get(ROUND) or "")


def is_built(service: Mapping[str, Any]) -> bool:
    """Return whether a service's image is built rather than pulled."""
    return bool(service.get("build")) and service.get("pull_policy") not in PULLED_NOT_BUILT


def restart_policy(service: Mapping[str, Any]) -> tuple[str, int]:
    """Return the policy's name and its most retries; as for Compose, what `deploy` says outdoes `restart`."""
    name, _, retries = str(service.get("restart") or "").partition(":")
    policy = (service.get("deploy") or {}).get("restart_policy")
    if policy is not None:
        name, retries = str(policy.get("condition") or ""), str(policy.get("max_attempts") or "")
    return CONDITIONS.get(name, name), int(retries) if retries.isdigit() else 0


def restart_text(name: str, retries: int) -> str | None:
    """Return a policy as `restart` has it; None for that of a service that says nothing."""
    if name == "no":
        return None
    return f"{name}:{retries}" if name == "on-failure" and retries else name


def replicas_of(service: Mapping[str, Any]) -> int:
    """Return how many containers a service has."""
    scale = service.get("scale")
    replicas = (service.get("deploy") or {}).get("replicas")
    return int(next((value for value in (scale, replicas) if value is not None), 1))


def stop_grace_seconds(service: Mapping[str, Any]) -> float:
    """Return how long a service's containers may take to stop."""
    return read_duration(service.get("stop_grace_period") or "10s")
