"""Read each setting under two names: its own, and one with the prefix `ROAS_`, which wins.

In a bot of somebody else's a plain name such as LOG_LEVEL is likely that bot's own: there only the prefixed one
is read.
"""

from collections.abc import Collection
from typing import Any

from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
)

PREFIX = "ROAS_"
# What many a bot has under the same names, for itself.
OF_THE_HOST = frozenset({"log_level", "log_format", "http_host", "http_port", "redis_url"})


class WithoutSource(PydanticBaseSettingsSource):
    """Leave some settings out of what another source has."""

    def __init__(self, source: PydanticBaseSettingsSource, left_out: Collection[str]) -> None:
        super().__init__(source.settings_cls)
        self._source = source
        self._left_out = left_out

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return a field's value as the other source does."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return the settings that are not left out; one of those that cannot be read is no fault of ours."""
        return {name: value for name, value in self._source().items() if name not in self._left_out}


def both_names(
    settings_class: type[BaseSettings],
    environment: PydanticBaseSettingsSource,
    dotenv: PydanticBaseSettingsSource,
    left_out: Collection[str] = (),
) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return the sources by rank: prefixed names of the environment and of `.env`, then plain ones not left out."""
    file = dotenv.env_file if isinstance(dotenv, DotEnvSettingsSource) else None
    return (
        EnvSettingsSource(settings_class, env_prefix=PREFIX),
        DotEnvSettingsSource(settings_class, env_file=file, env_prefix=PREFIX),
        WithoutSource(environment, left_out),
        WithoutSource(dotenv, left_out),
    )
