"""Run the example of docs/plugin.md as it stands there, against the Discord that the settings name."""

import logging
import os
import re
from pathlib import Path

from roas.configuration.loading import load_settings
from roas.discord_bot import redirect

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plugin.md"


def example() -> str:
    """Return the code that the page shows."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # a host's own doing
    named = {**os.environ, "ROAS_ENV_FILE": ".env"}  # the example puts them into the environment itself
    redirect(load_settings(needs_discord=False, environ=named))
    exec(compile(example(), str(PAGE), "exec"), {"__name__": "__main__"})  # noqa: S102 - our own page
