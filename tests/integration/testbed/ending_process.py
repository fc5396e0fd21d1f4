"""Write without a flush, leave a thread and something to be done at the end, and end in the way that is asked for."""

import atexit
import sys
import threading


def close() -> None:
    sys.stdin.read()
    print("begun", flush=True)
    sys.stdout.close()


def write() -> None:
    sys.stdin.read()
    print("begun")
    begun = threading.Event()

    def last() -> None:
        begun.wait()
        threading.Event().wait(0.2)
        print("the thread's word")

    threading.Thread(target=last).start()
    atexit.register(print, "the last word")
    begun.set()


if __name__ == "__main__":
    how = sys.argv[1]
    close() if how == "closes" else write()
    if how == "exits":
        sys.exit(9)
    if how == "says":
        sys.exit("said at the end")
    if how == "raises":
        raise ValueError("raised")
