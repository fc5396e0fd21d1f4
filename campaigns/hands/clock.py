"""Put the wall clock of a container's processes off, as a host does whose clock is set; its monotonic clocks stay."""

import subprocess
from pathlib import Path

LIBRARY, OFFSET = "clock.so", "clock-offset"
COMPILE_SECONDS = 60
# The offset is read at each question: a clock is set under processes that run.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
    char text[32] = {0};
    int file = open(PLACE, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, at);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += offset();
    return code;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def prepare_clock(folder: Path) -> str:
    """Compile the library into a folder that the containers see, and return the variable that loads it."""
    source = folder / "clock.c"
    source.write_text(SOURCE)
    place = f'-DPLACE="{folder / OFFSET}"'
    command = ["cc", "-shared", "-fPIC", "-O1", place, "-o", str(folder / LIBRARY), str(source), "-ldl"]
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)
    set_clock(folder, 0)
    return f"LD_PRELOAD={folder / LIBRARY}"


def set_clock(folder: Path, seconds: int) -> None:
    """Let the containers' wall clock be so much ahead, or behind."""
    fresh = folder / f"{OFFSET}.new"
    fresh.write_text(str(seconds))
    fresh.rename(folder / OFFSET)
