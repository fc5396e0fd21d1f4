"""Find what would keep HAProxy from being told of containers, before a deployment does."""

from collections import Counter

from roas.engine.proxy.haproxy import HAProxyRuntime
from roas.messages.message import said
from roas.models.proxy import ServiceProxy

NEEDED_LEVEL = "admin"
# A section of resolvers that HAProxy makes by itself, of /etc/resolv.conf.
BUILT_IN = "default"


async def find_problems(runtime: HAProxyRuntime, proxy: ServiceProxy, servers: int) -> list[str]:
    """Return what is wrong, and how to put it right, in a sentence each. Raises ProxyError where it cannot be asked."""
    found: list[str] = []
    if (level := await runtime.level()) != NEEDED_LEVEL:
        found.append(
            said("The socket of {proxy} has level {level}: give it `level admin`.", proxy=proxy.service, level=level)
        )
    seen = await runtime.servers(proxy.all_backends)
    # Without a resolver each server has the address that its name had at the start.
    if all(one.address for one in seen) and not await runtime.resolvers() - {BUILT_IN}:
        found.append(
            said(
                "{proxy} has no `resolvers` section: without Docker's resolver it never learns of new containers.",
                proxy=proxy.service,
            )
        )
    there = Counter(one.backend for one in seen)
    found += [
        said(
            "The backend {backend} of {proxy} has {there} servers, and a deployment needs {servers}: raise the number "
            "of its `server-template`.",
            backend=backend,
            proxy=proxy.service,
            there=there[backend],
            servers=servers,
        )
        for backend in proxy.all_backends
        if there[backend] < servers
    ]
    return found
