"""Load what is done with a Redis only where the settings name one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roas.settings import Settings
    from roas.state.redis_parts import RedisParts


def redis_parts(settings: "Settings") -> "RedisParts | None":
    """Return what `open_application` needs for the Redis of the settings; None where they name none."""
    if settings.redis_url is None:
        return None
    from roas.state.redis_parts import REDIS

    return REDIS
