"""Choose ports that stay free until somebody listens there, however many tests and engines run at the same time."""

import secrets
import socket

# Below those that the kernel gives to whoever connects: one that it chose for us would be given to others, too, as soon
# as we let it go.
PORTS = range(15_000, 30_000)
# Who is given a port has the name of it for good; the kernel takes that back when the process ends.
_held: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on, and that no other process is given while this one lives."""
    while True:
        port = secrets.choice(PORTS)
        name, probe = socket.socket(socket.AF_UNIX), socket.socket()
        try:
            name.bind(f"\0roas-testbed-port-{port}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        except OSError:
            name.close()
        else:
            _held.append(name)
            return port
        finally:
            probe.close()
