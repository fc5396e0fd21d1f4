"""Put the wall clock of a container's processes off and its disk on the brakes; their monotonic clocks stay."""

import subprocess
from pathlib import Path

LIBRARY = "hands.so"
CLOCK_OFFSET, DISK_DELAY = "clock-offset", "disk-delay"
COMPILE_SECONDS = 60
# Both are read at each call: a clock is set, and a disk becomes slow, under processes that run.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long number(const char *place) {
    char text[32] = {0};
    int file = open(place, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, at);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += number(CLOCK);
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

static void brake(void) {
    long milliseconds = number(DISK);
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (milliseconds > 0) nanosleep(&pause, NULL);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    brake();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    brake();
    return real(file);
}
"""


def prepare_library(folder: Path) -> str:
    """Compile the library into a folder that the containers see, and return the variable that loads it."""
    source = folder / "hands.c"
    source.write_text(SOURCE)
    places = [f'-DCLOCK="{folder / CLOCK_OFFSET}"', f'-DDISK="{folder / DISK_DELAY}"']
    command = ["cc", "-shared", "-fPIC", "-O1", *places, "-o", str(folder / LIBRARY), str(source), "-ldl"]
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)
    set_clock(folder, 0)
    set_disk_delay(folder, 0)
    return f"LD_PRELOAD={folder / LIBRARY}"


def set_clock(folder: Path, seconds: int) -> None:
    """Let the containers' wall clock be so much ahead, or behind."""
    _write(folder / CLOCK_OFFSET, seconds)


def set_disk_delay(folder: Path, milliseconds: int) -> None:
    """Let each fsync of the containers take so much longer."""
    _write(folder / DISK_DELAY, milliseconds)


def _write(path: Path, value: int) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(str(value))
    fresh.rename(path)
