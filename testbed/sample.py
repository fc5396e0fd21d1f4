"""The sample app: a tiny web server whose image is made in a moment, for each behaviour that a deployment meets."""

import json
from typing import Literal, get_args

import docker

from testbed.busybox import busybox
from testbed.images import import_image
from testbed.rootfs import Rootfs

Behaviour = Literal["healthy", "unhealthy", "exits", "ends", "slow", "fades"]
PORT = 8080
HEALTH_COMMAND = f"wget -q -O /dev/null http://127.0.0.1:{PORT}/health"
# What a compose file says of it where it is to be known soon how it starts. A probe takes 50 ms of a core.
CHECK = {
    "test": ["CMD-SHELL", HEALTH_COMMAND],
    "interval": "5s",
    "retries": 1,
    "start_period": "2s",
    "start_interval": "100ms",
}
# And where it is to be known soon that it broke.
WATCHED = {"interval": "1s"}

# `BEHAVIOUR` and `DELAY` in the container's environment win over what is baked in.
# The server needs no signal of its own: the kernel ends it with the container's first process. A shell that has to send
# one in its first moments may end with 2. Who shares another's network finds the port taken: it rests instead.
SERVER = f"""#!/bin/sh
trap 'exit 0' TERM INT
echo "sample app $(cat /version): $BEHAVIOUR"
case $BEHAVIOUR in
exits) echo "sample app: cannot go on" >&2; exit 3 ;;
ends) exit 0 ;;
healthy|fades) echo ok >/www/health ;;
esac
httpd -f -p {PORT} -h /www &
case $BEHAVIOUR in
slow) sleep "$DELAY"; echo ok >/www/health ;;
fades) sleep "$DELAY"; rm -f /www/health ;;
esac
while :; do wait $!; sleep 86400 & done
"""


def sample_image(
    client: docker.DockerClient,
    tag: str,
    *,
    version: str = "v1",
    behaviour: Behaviour = "healthy",
    delay_seconds: float = 2,
    healthcheck: bool = False,
) -> str:
    """Build the sample app's image under a tag and return its id.

    It serves /health, /version and, from whatever is mounted at /config, /config/… on port 8080. Behaviours: `healthy`;
    `unhealthy` (never has /health); `exits` (with 3, at once); `ends` (with 0: a one-shot service); `slow` (healthy
    after the delay); `fades` (unhealthy after the delay). With `healthcheck`, the image brings its own.
    """
    if behaviour not in get_args(Behaviour):
        raise ValueError(f"unknown behaviour: {behaviour}")
    root = Rootfs()
    root.add_busybox(busybox(client))
    root.add("version", version)
    root.add("serve", SERVER, 0o755)
    root.add("config/.keep", "")
    root.links |= {"www/version": "../version", "www/config": "../config"}
    return import_image(
        client,
        root.tar(),
        tag,
        CMD='["/serve"]',
        ENV=["PATH=/bin", f"BEHAVIOUR={behaviour}", f"DELAY={delay_seconds}"],
        EXPOSE=str(PORT),
        LABEL=f"sample.version={json.dumps(version)}",
        **({"HEALTHCHECK": _check()} if healthcheck else {}),
    )


def _check() -> str:
    times = "--interval=5s --timeout=2s --retries=3 --start-period=10s --start-interval=100ms"
    return f"{times} CMD {HEALTH_COMMAND}"
