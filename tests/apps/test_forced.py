#!/usr/bin/python3
"""test_forced -- programs of one thread, activated at start: outputs and statuses are native's

    forced      WEFT_FORCE=1 with one hub and with two
    straight    the same, and every system call left to the kernel (WEFT_SKIP=all)
"""
import re

from app import *

needs("bash", "perl", "git", "gcc", "g++", "make", "tar", "gzip", "gdb", PYTHON)
MODES = {"1_hub": (1, ""), "2_hubs": (2, ""), "straight": (1, "all")}


def each_mode(function):
    """Registers function(mode) once for each mode."""
    for mode in MODES:
        def one(mode=mode):
            function(mode)
        one.__name__ = "%s.%s" % (function.__name__, mode)
        test(one)
    return function


def forced(argv, mode, rc=0, **options):
    """Runs a program activated at start; all its processes that were to activate have."""
    hubs, skip = MODES[mode]
    env = dict(options.pop("env", {}), WEFT_FORCE="1", WEFT_SKIP=skip)
    result = run(argv, hubs, rc=rc, env=env, **options)
    check(result.all, "no statistics")
    for pid, stats in result.all.items():
        check(stats.active, "process %d: %s" % (pid, stats.text()))
    sites = sum(s["sites"] for s in result.all.values())
    calls = sum(s["calls"] for s in result.all.values())
    check(sites > 300, "only %d sites redirected" % sites)
    check(calls == 0 if skip else calls > 0, "%d calls reached a handler" % calls)
    return result


def as_natively(argv, mode, rc=0, fresh=None, **options):
    """Both runs give the same; fresh(), if any, makes the surroundings anew. Returns the output."""
    if fresh:
        fresh()
    native = run(argv, rc=rc, **options)
    if fresh:
        fresh()
    result = forced(argv, mode, rc, **options)
    for name in ("out", "err"):
        ours, theirs = getattr(result, name), getattr(native, name)
        check(ours == theirs, "std%s\n%s\nnatively\n%s" % (
            name, ours.decode(errors="replace"), theirs.decode(errors="replace")))
    return native.out


def folder(name):
    """A function that makes this directory empty."""
    def fresh():
        shutil.rmtree(path(name), True)
        os.mkdir(path(name))
    return fresh


BASH = r"""
set -u -o pipefail
sum=0
for i in $(seq 1 200); do sum=$((sum + i)); done
echo "sum $sum"
seq 1 1000 | sort -r | head -3 | tr '\n' ' '; echo "status ${PIPESTATUS[*]}"
(sleep 0.05; exit 3) & first=$!
(exit 4) & second=$!
wait $first; echo "first $?"; wait $second; echo "second $?"
trap 'echo caught usr1' USR1
kill -USR1 $$
trap 'echo caught child' CHLD
/bin/true
trap - CHLD
while read -r a b; do echo "$b-$a"; done < <(printf '1 2\n3 4\n')
cat <<< "here $(printf '%s' string | wc -c)"
read -r -t 0.05 nothing < <(sleep 0.2); echo "time-out $(($? > 128))"
coproc both { while read -r line; do echo "<$line>"; done; }
echo one >&"${both[1]}"; read -r answer <&"${both[0]}"; echo "$answer"
exec {both[1]}>&-; wait
mkfifo fifo; (echo through a fifo > fifo) & cat fifo; wait; rm fifo
ulimit -n 64; for i in $(seq 10 40); do eval "exec $i>/dev/null" || echo "no $i"; done
echo "to stderr" >&2
sh -c 'kill -TERM $$'; echo "terminated $?"
exit 7
"""


@each_mode
def bash_scripts(mode):
    out = as_natively(["bash", write("script.sh", BASH)], mode, rc=7, cwd=SCRATCH)
    for line in (b"sum 20100", b"first 3", b"second 4", b"caught usr1", b"<one>",
                 b"terminated 143"):
        check(line in out, line, "is not in", out)


SCRIPT = r"""
import hashlib, json, os, select, signal, socket, subprocess, sys, tempfile, time, zlib

def child(value):
    pid = os.fork()
    if pid == 0:
        os._exit(value)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

print([child(i) for i in range(5)])
print(subprocess.run(["sort", "-n"], input=b"10\n9\n8\n", capture_output=True))
print(subprocess.run("echo $0; exit 9", shell=True, executable="/bin/bash").returncode)
a, b = socket.socketpair()
a.settimeout(0.05)
try:
    a.recv(1)
except socket.timeout as e:
    print("time-out", e)
print(select.select([a], [b], [], 0.01)[1] == [b])
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b"hello")
print(peer.recv(100))
seen = []
signal.signal(signal.SIGALRM, lambda *a: seen.append(a[0]))
signal.setitimer(signal.ITIMER_REAL, 0.02)
begun = time.monotonic()
time.sleep(0.1)
print(seen, time.monotonic() - begun >= 0.1)
def stop(*_):
    raise RuntimeError("from a handler")
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.02)
try:
    peer.recv(1)
except RuntimeError as e:
    print("stopped", e)
with tempfile.TemporaryFile() as f:
    f.write(os.urandom(1 << 20))
    f.seek(0)
    data = f.read()
print(len(zlib.decompress(zlib.compress(data))), hashlib.sha256(b"x" * 1000).hexdigest())
r, w = os.pipe()
os.close(w)
print(os.read(r, 1), json.dumps({"a": [1, 2.5, None]}), os.get_blocking(r))
try:
    os.read(12345, 1)
except OSError as e:
    print(e)
print("to stderr", file=sys.stderr)
os.kill(os.getpid(), signal.SIGTERM)
"""


@each_mode
def python_scripts(mode):
    as_natively([PYTHON, "-u", write("script.py", SCRIPT)], mode, rc=-signal.SIGTERM)


@each_mode
def python_waits_for_subprocesses_in_a_loop(mode):
    script = ("import asyncio, sys\n"
              "async def main():\n"
              "    p = [await asyncio.create_subprocess_exec('echo', str(i), stdout=-1)"
              " for i in range(4)]\n"
              "    print([(await q.communicate())[0] for q in p], [q.returncode for q in p])\n"
              "    await asyncio.gather(*[asyncio.sleep(.01) for _ in range(10)])\n"
              "asyncio.run(main())\n")
    as_natively([PYTHON, "-c", script], mode)


PERL = r"""
use strict; use warnings; use IO::Socket::INET; use POSIX qw(:sys_wait_h);
$| = 1;
my %count; $count{$_ % 7}++ for 1 .. 1000;
print join(",", map { "$_=$count{$_}" } sort keys %count), "\n";
pipe(my $r, my $w) or die;
my $pid = fork // die;
if (!$pid) { close $r; select(undef, undef, undef, 0.02); print $w "from the child\n"; exit 5 }
close $w; print scalar <$r>; waitpid $pid, 0; print "status ", WEXITSTATUS($?), "\n";
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die $!;
my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $server->sockport) or die;
my $peer = $server->accept; print $client "a line\n"; $client->flush; print "got ", scalar <$peer>;
eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; <$peer>; };
print "died of $@";
print `echo from a shell; exit 3`; print $? >> 8, "\n";
open(my $p, "-|", "seq 1 5") or die; my @l = <$p>; close $p; print "lines ", scalar @l, "\n";
local $SIG{CHLD} = sub { local $?; 1 while waitpid(-1, WNOHANG) > 0 };
for (1 .. 5) { fork or exit 0 } sleep 0.1; warn "to stderr\n"; exit 6;
"""


@each_mode
def perl_scripts(mode):
    out = as_natively(["perl", write("script.pl", PERL)], mode, rc=6)
    check(b"died of alarm" in out and b"from the child" in out, out)


GIT = r"""
set -e
export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=c
export GIT_COMMITTER_EMAIL=c@d
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b main one; cd one
for i in 1 2 3 4 5; do seq 1 $((i * 100)) > file$i; git add .; git commit -q -m "commit $i"; done
git checkout -q -b side HEAD~2; echo side > side; git add side; git commit -q -m side
git checkout -q main; git merge -q --no-edit side
git log --oneline --graph; git status --short; git diff --stat HEAD~3
git gc -q; git fsck; cd ..; git clone -q "file://$PWD/one" two; git -C two log --format='%H %s'
git -C two rev-parse HEAD^{tree}; git -C two archive HEAD | sha256sum
git -C two grep -n 99 -- file1; git -C two bisect nothing 2> /dev/null || echo "status $?"
"""


@each_mode
def git_commits_clones_and_logs(mode):
    out = as_natively(["bash", "-c", GIT], mode, fresh=folder("git"), cwd=path("git"))
    check(out.count(b"commit 5") == 2 and b"status 1" in out, out)


MAKE = r"""
all: program; ./program
%.o: %.c; $(CC) -O1 -g0 -c -o $@ $<
program: a.o b.o c.o d.o; $(CC) -o $@ $^; sha256sum $^
.PHONY: all fail
fail: ; @echo failing; exit 3
"""


def sources():
    folder("make")()
    write("make/Makefile", MAKE)
    for letter in "bcd":
        write("make/%s.c" % letter, "int %s(int x) { return x * %d; }" % (letter, ord(letter)))
    write("make/a.c", "#include <stdio.h>\nint b(int), c(int), d(int);\n"
          "int main(void) { printf(\"%d\\n\", b(c(d(1)))); return 0; }\n")


@each_mode
def make_and_gcc_build_the_same(mode):
    script = "make -s -j2 --no-print-directory && make -s fail; echo $?; gcc -c none.c; echo $?"
    out = as_natively(["bash", "-c", script], mode, fresh=sources, cwd=path("make"))
    check(b"%d\n" % (98 * 99 * 100) in out, out)


@each_mode
def compiled_cxx_throws(mode):
    source = write("throw.cc", r"""
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>
struct noisy { ~noisy() { std::puts("destroyed"); } };
int main()
{
	std::vector<std::string> v(1000, "text");
	try { noisy n; v.at(2000); } catch (const std::out_of_range &e) { std::puts("caught"); }
	return (int)v.size() % 256;
}
""")
    script = "g++ -O1 -o %s %s && %s; echo $?" % (path("throw"), source, path("throw"))
    out = as_natively(["bash", "-c", script], mode)
    check(out == b"destroyed\ncaught\n232\n", out)


@each_mode
def tar_and_gzip_pipelines(mode):
    def fresh():
        folder("tar")()
        os.mkdir(path("tar/in"))
        for i in range(30):
            write("tar/in/%d" % i, bytes(range(256)) * (i * 37))
    script = ("set -o pipefail; tar -c --sort=name --mtime=@1 --owner=0 --group=0 in | gzip -n |"
              " tee copy.gz | sha256sum; mkdir out; gzip -dc copy.gz | tar -x -C out;"
              " cat out/in/* | sha256sum; dd if=copy.gz bs=1k 2> /dev/null | wc -c;"
              " gzip -t none.gz; echo $?; yes | head -1000000 | tail -c 10 | od -c;"
              " echo ${PIPESTATUS[*]}; yes | head -3 > head; echo ${PIPESTATUS[*]}")
    as_natively(["bash", "-c", script], mode, fresh=fresh, cwd=path("tar"))


# Handlers that a signal enters while a call waits: what they throw, and what they see below them.
HANDLERS = r"""
#include <cstdio>
#include <cstdlib>
#include <csignal>
#include <cstring>
#include <execinfo.h>
#include <initializer_list>
#include <sys/time.h>
#include <unistd.h>
#include <time.h>

static int how;
static volatile bool told;
static itimerval often = {{0, 10000}, {0, 10000}}, never;

extern "C" void __attribute__((noinline)) on_alarm(int)
{
	void *frames[64];
	int n;

	if (how == 't') {
		setitimer(ITIMER_REAL, &never, nullptr);
		throw 42;
	}
	if (told)		/* the timer goes on, lest the first signal come before the call */
		return;
	told = true;
	n = backtrace(frames, 64);
	char **names = backtrace_symbols(frames, n);
	for (int i = 0; i < n; i++)
		for (const char *known : {"on_alarm", "inner", "outer", "main+"})
			if (strstr(names[i], known))
				printf("%s ", known);
	puts("");
	free(names);
}

struct noisy {
	~noisy() { puts("destroyed"); }
};

extern "C" int __attribute__((noinline)) inner(int fd)
{
	noisy n;
	timespec t = {0, 50000000};
	char c;

	return fd < 0 ? nanosleep(&t, nullptr) : (int)read(fd, &c, 1);
}

extern "C" int __attribute__((noinline)) outer(int fd)
{
	int r = inner(fd);

	printf("inner %d\n", r);
	return r;
}

int main(int argc, char **argv)
{
	int fds[2];

	how = argv[1][0];
	struct sigaction action = {};
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, nullptr);
	void *first[1];
	backtrace(first, 1);
	if (pipe(fds))
		return 2;
	for (int fd : {fds[0], -1}) {
		told = false;
		setitimer(ITIMER_REAL, &often, nullptr);
		try {
			outer(fd);
			setitimer(ITIMER_REAL, &never, nullptr);
		} catch (int value) {
			printf("caught %d\n", value);
			sigset_t set;
			sigemptyset(&set);
			sigaddset(&set, SIGALRM);
			sigprocmask(SIG_UNBLOCK, &set, nullptr);
		}
	}
	return argc;
}
"""


def handlers():
    source = write("handlers.cc", HANDLERS)
    flags = "-O1 -g -rdynamic -fnon-call-exceptions -fasynchronous-unwind-tables".split()
    done = subprocess.run(["g++", *flags, "-o", path("handlers"), source],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, done.stdout)
    return path("handlers")


@each_mode
def handlers_throw_through_a_call_that_waits(mode):
    out = as_natively([handlers(), "throw"], mode, rc=2)
    check(out == b"destroyed\ncaught 42\n" * 2, out)


@each_mode
def handlers_see_the_stack_below_a_call_that_waits(mode):
    out = as_natively([handlers(), "backtrace"], mode, rc=2)
    check(out.count(b"on_alarm inner outer main+") == 2, out)


# -- gdb -------------------------------------------------------------------------------------------

def gdb(mode, *commands):
    """Output of gdb with the program "handlers backtrace" below it; natively where mode is None."""
    words = ["gdb", "-q", "-batch", "-nx", "-ex", "set confirm off", "-ex", "set pagination off"]
    stats = path("gdb.stat")
    if mode:
        hubs, skip = MODES[mode]
        words += ["-ex", "set exec-wrapper env LD_PRELOAD=%s WEFT_FORCE=1 WEFT_REQUIRE=1 "
                  "WEFT_HUBS=%d WEFT_STATS=%s WEFT_SKIP=%s" % (harness.LIBRARY, hubs, stats, skip)]
    for command in commands:
        words += ["-ex", command]
    out = run(words + ["--args", handlers(), "backtrace"], timeout=20).out.decode()
    if mode:
        left = harness.read(stats)
        check(left and left.active, "not activated below gdb:", left and left.text(), out)
    return out


def names(text):
    """The functions of the program in a backtrace, innermost first."""
    return [n for n in re.findall(r"^#\d+ +(?:0x\w+ in )?([\w<> ]+?) (?:\(|called)", text, re.M)
            if n in ("on_alarm", "inner", "outer", "main")]


@each_mode
def gdb_shows_the_stack_of_a_handler(mode):
    commands = ("handle SIGALRM nostop noprint pass", "break on_alarm", "run", "bt", "continue")
    native, ours = gdb(None, *commands), gdb(mode, *commands)
    for text in (native, ours):
        check(names(text)[:4] == ["on_alarm", "inner", "outer", "main"], text)
        check(text.count("Breakpoint 1, ") >= 2, "it does not go on behind the handler:", text)


@each_mode
def gdb_finishes_functions_that_wait(mode):
    commands = ("handle SIGALRM nostop noprint pass", "break inner", "run", "bt", "finish",
                "delete", "continue")
    for text in (gdb(None, *commands), gdb(mode, *commands)):
        check(names(text)[:3] == ["inner", "outer", "main"], text)
        check("Value returned is" in text, "finish does not return:", text)
        check("exited with code 02" in text, "it does not run to its end:", text)


@each_mode
def gdb_steps_over_calls(mode):
    commands = ("handle SIGALRM nostop noprint pass", "break outer", "run", "next", "next", "next",
                "info line", "delete", "continue")
    for text in (gdb(None, *commands), gdb(mode, *commands)):
        check("exited with code 02" in text, "it does not run to its end:", text)


main(600)
