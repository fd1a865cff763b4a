"""autopsy -- what a program that does not end is doing, and how it is ended

Everything is found by the mark that its run put into the environment (WEFT_TEST_RUN), so that
children which moved to sessions of their own are found as well, and nothing else is.
"""
import functools
import os
import re
import signal
import subprocess
import time

import stats

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GDB_LIMIT = 30          # seconds
LINES = 600             # of a debugger's output
DEBUGGED = 4            # processes of one run


@functools.lru_cache
def call_names():
    """{number: name} of the system calls, from the system's header."""
    try:
        with open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h") as f:
            return {int(n): name for name, n in re.findall(r"#define __NR_(\w+) (\d+)", f.read())}
    except OSError:
        return {}


def family(mark):
    """Pids of the processes whose environment carries the mark, zombies not included."""
    wanted = b"WEFT_TEST_RUN=" + mark.encode() + b"\0"
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/environ" % name, "rb") as f:
                    if wanted in f.read():
                        pids.append(int(name))
            except OSError:
                pass
    return pids


def end(pid, mark):
    """End the process group that a run made, and whoever carries its mark, by SIGKILL."""
    if pid is not None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
    until = time.monotonic() + 5
    while time.monotonic() < until:
        left = family(mark)
        if not left:
            return
        for one in left:
            try:
                os.kill(one, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.01)


def _read(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError as e:
        return e.strerror


def kernel_threads(pid, most=64):
    """Lines: each kernel thread's name, state, call and kernel stack."""
    names, lines = call_names(), []
    try:
        tids = sorted(os.listdir("/proc/%d/task" % pid), key=int)
    except OSError:
        return ["process %d has no threads left" % pid]
    for tid in tids[:most]:
        path = "/proc/%d/task/%s/" % (pid, tid)
        stat = _read(path + "stat")
        state = stat.rpartition(")")[2].split()[:1]
        call = _read(path + "syscall").split()
        name = names.get(int(call[0]), call[0]) if call and call[0].isdigit() else " ".join(call)
        stack = " < ".join(re.findall(r"\] ([\w.]+)\+", _read(path + "stack"))[:6])
        lines.append("%s %-15s %s %s(%s) wchan %s: %s" % (
            tid, _read(path + "comm"), " ".join(state), name, " ".join(call[1:4]),
            _read(path + "wchan"), stack))
    if len(tids) > most:
        lines.append("… and %d more" % (len(tids) - most))
    return lines


def debugger(pid):
    """Lines: backtraces of all kernel threads and of all tasks, as gdb sees them."""
    script = os.path.join(ROOT, "scripts/gdb/weft.py")
    argv = ["gdb", "-nx", "-iex", "set auto-load python-scripts off", "-p", str(pid), "-batch",
            "-ex", "set pagination off", "-ex",
            "set width 0", "-ex", "thread apply all backtrace 24"]
    if os.path.exists(script):
        argv += ["-ex", "source " + script, "-ex", "weft-hubs", "-ex", "weft-tasks", "-ex", "weft-bt all"]
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    try:
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment) as gdb:
            try:
                out = gdb.communicate(timeout=GDB_LIMIT)[0]
            except subprocess.TimeoutExpired:
                gdb.kill()
                out = gdb.communicate()[0] + b"\ngdb took too long\n"
    except OSError as e:
        return ["gdb: " + e.strerror]
    text = out.decode(errors="replace")
    text = re.sub(r"^(\[New LWP.*|warning: .*|Download failed.*|\s*)\n", "", text, flags=re.M)
    lines = text.splitlines()
    return lines[:LINES] + (["… %d lines more" % (len(lines) - LINES)] if len(lines) > LINES else [])


def report(pid, directory, mark, brief=False):
    """Text: the state of every process of a run; with brief, without a debugger."""
    lines = []
    for number, one in enumerate(sorted(set(family(mark)) | {pid})):
        lines.append("-- process %d: %s" % (one, _read("/proc/%d/cmdline" % one).replace("\0", " ")))
        lines += kernel_threads(one)
        mine = stats.read(os.path.join(directory, "stat.%d" % one))
        if mine:
            lines.append("statistics: " + mine.text())
            lines.append("carriers: " + ", ".join("%d %s" % c for c in mine.carriers))
        if not brief and number < DEBUGGED:
            lines += debugger(one)
    return "\n".join(lines) + "\n"
