"""Print the version of the Compose that the product finds, in the environment that this program was given."""

import subprocess
import sys

from roas.stack.compose.runner import compose_command

if __name__ == "__main__":
    sys.exit(subprocess.run([*compose_command(), "version", "--short"], check=False).returncode)
