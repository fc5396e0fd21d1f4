"""A process says by a locked file that it lives, and stops saying so whatever became of the folder."""

import subprocess
import sys
from pathlib import Path

READ_ONLY = """
import subprocess, sys
from pathlib import Path
from roas.state.living_processes import Instance

folder = Path(sys.argv[1])
other, instance = Instance(folder), Instance(folder)
instance.announce()
assert other.is_alive(instance.id)
subprocess.run(["mount", "--bind", folder, folder], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
assert other.is_alive(instance.id)
instance.withdraw()
print("alive" if other.is_alive(instance.id) else "gone")
"""


def test_folder_turned_read_only_lets_go(tmp_path: Path) -> None:
    """A bot whose state folder became read-only stops as any other; others see that it is gone."""
    command = ["unshare", "--mount", sys.executable, "-c", READ_ONLY, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[3])
    assert (ended.stdout, ended.returncode) == ("gone\n", 0), ended.stderr
    assert len([*tmp_path.glob("*.lock")]) == 1
