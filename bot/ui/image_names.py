"""Tell by which name people know an image of which a container has the bot's own name."""

import re

# As `engine/images/readable_names.py` writes it: without the registry, with the first digits of the image's id.
OWN_NAME = re.compile(r"roas/(?P<known>.+:.+)-[0-9a-f]{12}")


def known_name(reference: str) -> str:
    """Return the name that people know; that of the registry is missing where it was one of the bot's own."""
    own = OWN_NAME.fullmatch(reference)
    return own["known"] if own is not None else reference
