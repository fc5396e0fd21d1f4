"""Run the example of docs/plugin.md as it stands there, against the Discord that the settings name."""

import logging
import re
from pathlib import Path

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plugin.md"


def example() -> str:
    """Return the code that the page shows."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # a host's own doing
    named = dict(line.split("=", 1) for line in Path(".env").read_text().splitlines())
    Route.BASE = named["DISCORD_API_URL"]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(named["DISCORD_GATEWAY_URL"])
    exec(compile(example(), str(PAGE), "exec"), {"__name__": "__main__"})  # noqa: S102 - our own page
