"""Images of HAProxy, of Caddy and of a web service with users, laid out as the official ones are."""

import io
import tarfile
from pathlib import Path

import docker

from testbed.busybox import busybox
from testbed.images import import_image
from testbed.python_base import python_base
from testbed.rootfs import Rootfs

HAPROXY_USER = 99
PASSWD = f"root:x:0:0::/:/bin/sh\nhaproxy:x:{HAPROXY_USER}:{HAPROXY_USER}::/var/lib/haproxy:/bin/sh\n"
WEB_APP = Path(__file__).with_name("web_app.py")


def haproxy_image(client: docker.DockerClient, tag: str = "haproxy:3.0") -> str:
    """Make an image of this machine's HAProxy: its user, its configuration's place and its folder are the official."""
    root = Rootfs()
    root.add_program("haproxy")
    root.add_busybox(busybox(client))
    root.add_folder("var/lib/haproxy", HAPROXY_USER, HAPROXY_USER)
    root.add("etc/passwd", PASSWD)
    return import_image(
        client,
        root.tar(),
        tag,
        ENTRYPOINT='["/usr/bin/haproxy", "-W", "-db"]',
        CMD='["-f", "/usr/local/etc/haproxy/haproxy.cfg"]',
        ENV="PATH=/usr/bin:/bin",
        USER="haproxy",
        STOPSIGNAL="SIGUSR1",
        WORKDIR="/var/lib/haproxy",
    )


def caddy_image(client: docker.DockerClient, tag: str = "caddy:2") -> str:
    """Make an image of this machine's Caddy, which reads its configuration where the official one does."""
    root = Rootfs()
    root.add_program("caddy")
    root.add_busybox(busybox(client))
    for folder in ("data", "config"):
        root.add_folder(folder, 0, 0)
    return import_image(
        client,
        root.tar(),
        tag,
        CMD='["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]',
        ENV=["PATH=/usr/bin:/bin", "XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"],
        WORKDIR="/srv",
    )


def web_image(client: docker.DockerClient, tag: str, *, version: str, **variables: str) -> str:
    """Make an image of the web service; `variables` are of its environment."""
    values = " ".join(f"{name}={value}" for name, value in {"VERSION": version, **variables}.items())
    base = python_base(client, with_docker=False)
    dockerfile = (
        f"FROM {base}\nCOPY web_app.py /web_app.py\nENV PYTHONDONTWRITEBYTECODE=1 {values}\n"
        'CMD ["python3", "-u", "/web_app.py"]\n'
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (("Dockerfile", dockerfile.encode()), ("web_app.py", WEB_APP.read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    out.seek(0)
    image, _ = client.images.build(fileobj=out, custom_context=True, tag=tag, rm=True)
    return str(image.id)
