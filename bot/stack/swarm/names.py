"""Name what a stack has in a Swarm, so that `docker stack` knows it, and so that the same thing has the same name."""

STACK_IMAGE = "com.docker.stack.image"
SERVICE = "io.roas.service"
NONCE = "io.roas.write"  # another one with each write of ours: the API returns no version for an update
LOGIN = "io.roas.login"  # a keyed hash of the login that a write came with: none is kept by the Swarm for us to see
ROUND_LABEL = "io.roas.round"  # of one-shot services: another release runs them again
DIGITS = 12
LONGEST_NAME = 63


def stack_name(project: str, name: str) -> str:
    """Return what a service, network or volume of a stack is called, as `docker stack deploy` calls it."""
    return f"{project}_{name}"


def content_name(project: str, name: str, content: str) -> str:
    """Return what a config or secret is called: it cannot be changed, so that other content has another name."""
    suffix = f"-{content[:DIGITS]}"
    plain = "".join(text if text.isascii() and (text.isalnum() or text in "._-") else "-" for text in name)
    return f"{project}_{plain}"[: LONGEST_NAME - len(suffix)].rstrip("._-") + suffix
