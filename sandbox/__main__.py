"""`python -m sandbox`: run the sandbox until it is asked to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from sandbox.server import Sandbox


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="loopback or a bridge's address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--openapi", type=Path, help="Discord's OpenAPI document (default: DISCORD_OPENAPI)")
    parser.add_argument("--ready-file", type=Path, help="write the addresses and tokens here too, mode 0600")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve(Sandbox(arguments.host, arguments.port, arguments.openapi), arguments.ready_file))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    return 0


async def _serve(sandbox: Sandbox, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sandbox:
        line = json.dumps(sandbox.describe())
        if ready_file is not None:
            _write_private(ready_file, line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        await stop.wait()


def _write_private(path: Path, line: str) -> None:
    """Write whole or not at all: a process that waits for the file must not read half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(line + "\n")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
