"""Images for the shipped stack on a machine without a registry, made of this machine's own programs.

Grafana has no Debian package: a web server replaces it that answers its health check and nothing else.
"""

import json
from collections.abc import Callable
from pathlib import Path

import docker

from testbed.busybox import busybox
from testbed.cache import cached, recipe_hash
from testbed.images import has_image, import_image, pull_if_reachable
from testbed.python_base import OPTIONS, SUITE, make_root
from testbed.rootfs import Rootfs

REDIS_OWNER = (999, 1000)
PROMETHEUS_OWNER = (65534, 65534)
GRAFANA_OWNER = (472, 0)
POSTGRES_PACKAGES = ("postgresql-17",)
# The package would make a database of its own, which takes longer than all the rest.
NO_CLUSTER = (
    "mkdir -p $1/etc/postgresql-common; echo create_main_cluster=false >$1/etc/postgresql-common/createcluster.conf"
)
POSTGRES_OPTIONS = (*OPTIONS, f"--essential-hook={NO_CLUSTER}")
POSTGRES_START = (
    "test -e /var/lib/postgresql/data/PG_VERSION || initdb -D /var/lib/postgresql/data -A trust >/dev/null;"
    " exec postgres -D /var/lib/postgresql/data -k /tmp -c listen_addresses="
)
# Debian's Alertmanager reads them from there; elsewhere they are in the program.
ALERTMANAGER_TEMPLATES = Path("/usr/share/prometheus/alertmanager")


def stack_images(client: docker.DockerClient, wanted: dict[str, str]) -> dict[str, str]:
    """Return an image for each variable (`REDIS_IMAGE`, …): the wanted one from a registry, else a stand-in."""
    makers: dict[str, Callable[[docker.DockerClient], str]] = {
        "REDIS_IMAGE": redis_image,
        "PROMETHEUS_IMAGE": prometheus_image,
        "ALERTMANAGER_IMAGE": alertmanager_image,
        "GRAFANA_IMAGE": grafana_stand_in,
    }
    return {name: tag if pull_if_reachable(client, tag) else makers[name](client) for name, tag in wanted.items()}


def redis_image(client: docker.DockerClient) -> str:
    """Build an image of this machine's Redis and return its tag."""
    root = Rootfs()
    root.add_folder("data", *REDIS_OWNER)
    for name in ("redis-server", "redis-cli"):
        root.add_program(name)
    tag = "roas-testbed/redis:local"
    import_image(
        client, _with_busybox(client, root), tag, CMD='["redis-server"]', ENV="PATH=/usr/bin:/bin", EXPOSE="6379"
    )
    return tag


def postgres_image(client: docker.DockerClient) -> str:
    """Build an image of Debian's PostgreSQL, with a database of its user `postgres`, and return its tag."""
    recipe = recipe_hash(SUITE, *POSTGRES_PACKAGES, *POSTGRES_OPTIONS)
    tar = cached(f"postgres-{recipe}.tar", lambda out: make_root(POSTGRES_PACKAGES, POSTGRES_OPTIONS, out))
    tag = f"roas-testbed/postgres:{recipe}"
    if not has_image(client, tag):
        settings = {"USER": "postgres", "ENV": "PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin"}
        import_image(client, tar, tag, CMD=json.dumps(["sh", "-c", POSTGRES_START]), **settings)
    return tag


def prometheus_image(client: docker.DockerClient) -> str:
    """Build an image of this machine's Prometheus and return its tag."""
    root = Rootfs()
    root.add_folder("prometheus", *PROMETHEUS_OWNER)
    root.add_program("prometheus")
    tag = "roas-testbed/prometheus:local"
    import_image(
        client,
        _with_busybox(client, root),
        tag,
        ENTRYPOINT='["/usr/bin/prometheus"]',
        ENV="PATH=/usr/bin:/bin",
        USER="65534",
        EXPOSE="9090",
    )
    return tag


def alertmanager_image(client: docker.DockerClient) -> str:
    """Build an image of this machine's Alertmanager and return its tag."""
    root = Rootfs()
    root.add_folder("alertmanager", *PROMETHEUS_OWNER)
    root.add_program("prometheus-alertmanager")
    root.links["usr/bin/alertmanager"] = "prometheus-alertmanager"
    for template in ALERTMANAGER_TEMPLATES.glob("*.tmpl"):
        root.add(str(template), template.read_bytes())
    tag = "roas-testbed/alertmanager:local"
    import_image(
        client,
        _with_busybox(client, root),
        tag,
        ENTRYPOINT='["/usr/bin/alertmanager"]',
        ENV="PATH=/usr/bin:/bin",
        USER="65534",
        EXPOSE="9093",
    )
    return tag


def grafana_stand_in(client: docker.DockerClient) -> str:
    """Build an image that answers Grafana's health check, and return its tag."""
    root = Rootfs()
    root.add_folder("var/lib/grafana", *GRAFANA_OWNER)
    root.add("www/api/health", '{"database": "ok", "stand-in": true}')
    tag = "roas-testbed/grafana-stand-in:local"
    command = '["httpd", "-f", "-p", "3000", "-h", "/www"]'
    import_image(client, _with_busybox(client, root), tag, CMD=command, ENV="PATH=/bin", USER="472", EXPOSE="3000")
    return tag


def _with_busybox(client: docker.DockerClient, root: Rootfs) -> bytes:
    root.add_busybox(busybox(client))
    return root.tar()
