"""Print the version of the Compose that Docker finds, in the environment that this program was given."""

import subprocess
import sys

if __name__ == "__main__":
    sys.exit(subprocess.run(["docker", "compose", "version", "--short"], check=False).returncode)
