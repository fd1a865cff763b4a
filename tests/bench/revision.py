"""revision -- another revision of Weft, built aside in build/revision/ID

Nothing of git's state changes: the files are those of `git archive'. One that is built already is
taken as it is; others than the last one are removed.
"""
import os
import shutil
import subprocess
import sys

from harness import ROOT, Failure, check

ASIDE = os.path.join(ROOT, "build/revision")


def git(*words):
    return subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def build(name):
    """Returns the directory of its build and its short name; Failure where there can be none."""
    check(name, "which revision? make bench-against REV=COMMIT")
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    check(found.returncode == 0, "`%s' names no commit" % name)
    commit = found.stdout.decode().strip()
    there = os.path.join(ASIDE, commit)
    if not os.path.exists(os.path.join(there, "build/weft")):
        shutil.rmtree(ASIDE, ignore_errors=True)
        os.makedirs(there)
        unpack = subprocess.run(["tar", "-x", "-C", there], input=git("archive", commit).stdout)
        check(unpack.returncode == 0, "`%s' could not be unpacked" % name)
        print("building %s" % commit[:10], file=sys.stderr, flush=True)
        clean = {k: v for k, v in os.environ.items() if k not in ("B", "T") and k[:4] != "MAKE"
                 and k != "MFLAGS"}
        made = subprocess.run(["make", "-s", "-C", there, "-j%d" % len(os.sched_getaffinity(0)),
                               "all"], env=clean, stdout=subprocess.DEVNULL)
        if made.returncode or not os.path.exists(os.path.join(there, "build/weft")):
            shutil.rmtree(there)
            raise Failure("`%s' does not build, or has no `weft' yet" % name)
    return os.path.join(there, "build"), commit[:10]
