"""The bot's process ends with its own code, whoever asks it to stop once more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from testbed.inherited import chosen_programs

SCRIPT = """
import atexit, os, signal, sys
from testbed.inherited import chosen_programs
from roas import service
async def serve(settings):
    return 0
service.serve = serve
atexit.register(lambda: [os.kill(os.getpid(), number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)])
from roas.cli import run_command_line
sys.exit(run_command_line([]))
"""
SETTINGS = {
    "DISCORD_TOKEN": "a.b.c",
    "DISCORD_GUILD_ID": "1",
    "DISCORD_OPS_CHANNEL_ID": "2",
}


def test_second_stop_changes_no_exit_code(tmp_path: Path) -> None:
    variables = {**chosen_programs(), "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**variables, **SETTINGS, "STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 0, done.stderr
