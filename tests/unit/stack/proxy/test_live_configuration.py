"""A configuration is read before it counts: how many servers it has, and by which command it is checked."""

import pytest

from roas.stack.proxy.live_configuration import _caddy, count_servers

TEXT = """
defaults
    default-server check inter 250ms
frontend users
    use_backend web
backend web
    server-template web 1 web:8080 init-addr libc,none
    server-template web 2-6 web:8080
    # server old 10.0.0.1:80
    server one 10.0.0.1:80 check
backend ranged
    server-template web 3-5 web:8080
listen both
    server one 10.0.0.1:80
backend none
"""


def test_servers_are_counted() -> None:
    found = count_servers(TEXT)
    assert {name: found[name] for name in ("web", "ranged", "both", "none")} == {
        "web": 7,
        "ranged": 3,
        "both": 1,
        "none": 0,
    }


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (
            ["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
            ["/usr/bin/caddy", "validate", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
        ),
        (["caddy", "run", "--watch", "-c", "/file"], ["caddy", "validate", "-c", "/file"]),
        (["caddy", "file-server"], []),
    ],
)
def test_caddy_is_asked_with_its_own_configuration(argv: list[str], command: list[str]) -> None:
    assert _caddy(argv, "validate") == command
