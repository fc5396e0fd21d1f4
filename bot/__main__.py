"""`roas` runs the bot; `roas deploy|status|…` does without Discord."""

import gc
import sys

# Python looks for cycles after every 700 new objects by default, some hundred times while the program is imported; that
# is a sixth of the time that a command takes to start.
OBJECTS_BETWEEN_COLLECTIONS = 20_000


def main() -> int:
    """Run the command line and return its exit code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    from roas.commands import run_command_line

    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
