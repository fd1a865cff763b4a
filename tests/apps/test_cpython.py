#!/usr/bin/python3
"""test_cpython -- CPython's own tests of threads and sockets lose nothing

Each module runs natively once, then with one hub and with two, four modules at a time. A method
that passes natively and not under Weft is repeated bare, and is lost if it passes again. A module
that takes longer than 3 × native + 60 s is ended, and what it had not done counts in the same way.
"""
import functools
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor

from app import *

needs(PYTHON, "test/regrtest.py")
AT_ONCE = 4
LIMIT = 180                 # s for a module natively

# The modules, the longest first, and how many threads each has at once beside the first (at least).
MODULES = {
    "test_socket": 1, "test_selectors": 1, "test_threading": 10, "test_queue": 50, "test_select": 1,
    "test_httpservers": 1, "test_thread": 10, "test_sched": 1, "test_socketserver": 1,
    "test_threading_local": 10,
}

# Under Weft from the start: these make a thread only after their tests.
EARLY = ("test_select", "test_selectors")


def outcomes(file):
    """{method: "passed", "skipped" or "failed"} from a JUnit file; empty where there is none."""
    result = {}
    try:
        cases = xml.etree.ElementTree.parse(file).iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        return result
    for case in cases:
        kinds = {child.tag for child in case}
        outcome = "skipped" if "skipped" in kinds else "passed"
        if kinds & {"failure", "error"}:
            outcome = "failed"
        if result.get(case.get("name")) != "failed":
            result[case.get("name")] = outcome
    return result


def run_module(module, hubs, timeout, threads=0, only=()):
    """Runs a module, or some of its methods. Returns (Result, outcomes)."""
    file = path("%s.%s.%s.xml" % (module, hubs, bool(only)))
    argv = [PYTHON, "-m", "test", "-v", "-u", "network", "-i", "*VSOCK*", "--junit-xml", file]
    for name in only:
        argv += ["-m", name]
    env = {"WEFT_FORCE": "1"} if hubs is not None and module in EARLY else None
    result = run(argv + [module], hubs, expect=False, timeout=timeout, threads=threads, cwd=SCRATCH,
                 env=env)
    return result, outcomes(file)


@functools.lru_cache
def everything(hubs):
    """All modules in one way: {module: (Result, outcomes)}."""
    def one(module):
        if hubs is None:
            return run_module(module, None, LIMIT)
        limit = 3 * everything(None)[module][0].wall + 60
        return run_module(module, hubs, limit, MODULES[module])

    if hubs is not None:
        everything(None)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(MODULES, pool.map(one, MODULES)))


def last_words(result):
    lines = result.out.decode(errors="replace").splitlines()[-20:]
    lines += result.err.decode(errors="replace").splitlines()[-20:]
    return "\n".join("| " + line for line in lines)


def of_method(result, name):
    """What the module printed about a method that failed."""
    text = result.out.decode(errors="replace")
    for title in ("ERROR: ", "FAIL: "):
        for part in text.split("=" * 70 + "\n")[1:]:
            if part.startswith(title) and name in part:
                return "\n".join("| " + line for line in part.splitlines()[:25])
    return "| (nothing was printed about it)"


def judge(module, hubs):
    """Raises Failure with a line for each method that is lost."""
    result, got = everything(hubs)[module]
    native_result, native = everything(None)[module]
    wanted = [name for name, outcome in native.items() if outcome == "passed"]
    gone = [name for name in wanted if got.get(name) != "passed"]
    again = run_module(module, None, LIMIT, only=gone)[1] if gone else {}
    lost = [name for name in gone if again.get(name) == "passed"]
    print("     %s: %d passed natively in %.1f s, %d %s in %.1f s; lost %d" % (
        module, len(wanted), native_result.wall, list(got.values()).count("passed"),
        harness.way_name(hubs), result.wall, len(lost)))
    if result.stats:
        print("     " + result.stats.text())
    for name in lost:
        print("lost %s (%s)" % (name, got.get(name, "did not run")))
        if got.get(name) == "failed":
            print(of_method(result, name.rpartition(".")[2]))
    if lost and not got:
        print("status %s; it ended with\n%s" % (harness.status_name(result.rc), last_words(result)))
    for problem in result.problems:
        print("problem: " + problem)
    if result.report:
        print(result.report)
    check(not lost, len(lost), "methods lost")
    check(not result.problems, *result.problems)


def register(module, hubs):
    def one():
        if hubs is not None:
            return judge(module, hubs)
        result, got = everything(None)[module]
        passed = list(got.values()).count("passed")
        print("     %s: %d of %d passed in %.1f s" % (module, passed, len(got), result.wall))
        check(passed, module, "passes nothing:", result.text())
    one.__name__ = "%s.%s" % (module, "native" if hubs is None else "%d_hub" % hubs)
    test(one)


for way in WAYS:
    for name in MODULES:
        register(name, way)

main(600)
