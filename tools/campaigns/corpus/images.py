"""Make an image that stands in for each image of a stack: it runs until it is told to stop, and its probes pass."""

import json
from collections.abc import Iterable
from pathlib import Path

import docker

from testbed.busybox import busybox
from testbed.images import import_image
from testbed.rootfs import APPLETS, Rootfs
from tools.campaigns.corpus.stacks import Model

SOURCE = "corpus/stand-in"
CRASHING = "crashing"
TODAY, NEXT = "today", "next"
VERSIONS = (TODAY, NEXT, CRASHING)
# What its answer is searched for, by the health checks that people write.
ANSWER = '#!/bin/sh\necho "PONG OK ok pong healthy alive running imok"\n'
SERVE = """#!/bin/sh
trap 'exit 0' TERM INT
[ "$VERSION_OF" != crashing ] || exit 1
[ "$ONCE" != all ] || exit 0
[ -z "$*" ] || ! grep -qxF -- "$*" /once || exit 0
while :; do sleep 3600 & wait $!; done
"""
# What ends at once is of a version, too: its job goes well in the one that crashes.
ONCE = "once-"
OWN_PROBE = "--interval=1s CMD true"
# Nobody would answer what goes over a network.
REAL = frozenset({*APPLETS, "bash", "exit"}) - {"wget", "nc", "nslookup", "ping"}


def stand_ins(client: docker.DockerClient, model: Model) -> dict[str, str]:
    """Make the images of a stack, and return the id by version; that of what ends at once, under `once-` and that."""
    made = {version: _image(client, model, version, once=False) for version in VERSIONS}
    if model.one_shots:
        made |= {f"{ONCE}{version}": _image(client, model, f"{ONCE}{version}", once=True) for version in VERSIONS}
    return made


def tag_images(client: docker.DockerClient, model: Model, made: dict[str, str], version: str) -> dict[str, str]:
    """Give the images of a stack their names, and return the ids of those that are named by a digest alone."""
    by_digest = {}
    for name in sorted(model.images):
        users = {service for service in model.services if model.image(service) == name}
        image_id = made[f"{ONCE}{version}" if users <= model.one_shots else version]
        if "@" in name:
            by_digest[name] = image_id
            continue
        repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
        client.api.tag(image_id, repository, tag, force=True)
    return by_digest


def name_by_digest(data: Path, by_digest: dict[str, str]) -> None:
    """Write into the notes of an engine that is stopped that it pulled images by a digest."""
    path = data / "image" / "overlay2" / "repositories.json"
    notes = json.loads(path.read_text()) if path.exists() else {"Repositories": {}}
    for name, image_id in by_digest.items():
        repository, digest = _familiar(name.partition("@")[0]), name.partition("@")[2]
        notes["Repositories"].setdefault(repository, {})[f"{repository}@{digest}"] = image_id
    path.write_text(json.dumps(notes))


def _familiar(name: str) -> str:
    """Return a repository as the engine writes it."""
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    return repository.removeprefix("docker.io/").removeprefix("library/")


def _image(client: docker.DockerClient, model: Model, version: str, *, once: bool) -> str:
    root = Rootfs()
    root.add_busybox(busybox(client))
    root.links["bin/bash"] = "busybox"
    root.add("serve", SERVE, 0o755)
    root.add("version", version)
    root.add("once", "".join(f"{line}\n" for line in _commands(model)))
    for programs, text in ((model.probes, ANSWER), (model.entrypoints, SERVE)):
        for program in sorted(programs):
            if Path(program).name not in REAL:
                root.add(_path(program), text, 0o755)
    root.add("etc/passwd", _lines(model.users, "root:x:0:0::/:/bin/sh", "{name}:x:{id}:{id}::/:/bin/sh"))
    root.add("etc/group", _lines(model.users, "root:x:0:", "{name}:x:{id}:"))
    return import_image(
        client,
        root.tar(),
        f"{SOURCE}:{version}",
        ENTRYPOINT='["/serve"]',
        ENV=["PATH=/usr/local/bin:/usr/bin:/bin", f"ONCE={'all' if once else ''}", f"VERSION_OF={version}"],
        **({"HEALTHCHECK": OWN_PROBE} if model.needs_own_probe else {}),
    )


def _path(program: str) -> str:
    return program if program.startswith("/") else f"usr/local/bin/{program.rpartition('/')[2]}"


def _commands(model: Model) -> Iterable[str]:
    """Return the commands of services whose end others wait for and whose image others run, too."""
    for name in sorted(model.one_shots & set(model.services)):
        command = model.services[name].get("command") or []
        yield " ".join(map(str, command))


def _lines(names: Iterable[str], first: str, line: str) -> str:
    others = (line.format(name=name, id=1000 + number) for number, name in enumerate(sorted(set(names) - {"root"})))
    return "".join(f"{item}\n" for item in (first, *others))
