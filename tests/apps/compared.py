"""compared -- programs that `weft compare' is given by its tests, and what they look at afterwards

    from compared import *

    class Subject(Compare):
        def test_what_a_user_sees(self):
            status, out, err = self.compare("true")         # 6 pairs
            status, out, err = self.serve("--echo=64")      # of SERVER, 100 ms each

SERVER says in its first lines what words it takes; $MODE has further ones, for one variant alone.
"""
import json
import pty
import signal
import time

import cli
from cli import *

cli.LIMIT = LIMIT = 90                  # seconds: a comparison makes many runs
FEW = "--pairs=6", "--time=10m"         # as few as give a verdict
SHORT = *FEW, "--seconds=100ms", "--ready=tcp:{port}"
STARVED = "not one request was answered"
TRIES = 5                               # where other work takes the CPUs for a whole window
PATIENCE = 5                            # seconds for a comparison that was killed to clean up

SERVER = r"""
/* serve PORT [WORD...] -- echo, or HTTP where a GET comes; a thread for each connection
 *
 * never       does not listen               exit       ends with status 3 instead
 * die=N       with status 4, after N requests          bad    each second HTTP answer is a 500
 * deaf        ignores SIGTERM               daemon=F   leaves a process behind, its number in F
 * slow        takes 2 ms for each answer
 * note=F      appends {"dir", "preload", "weft"} and such to F
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;
static char words[8][300];
static int count;
static atomic_long requests;

static const char *word(const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strncmp(words[i], name, strlen(name)))
			return words[i] + strlen(name);
	return NULL;
}

static void served(void)
{
	if (word("slow"))
		usleep(2000);
	if (++requests, word("die=") && requests > atol(word("die="))) {
		fprintf(stderr, "out of cheese\n");
		_exit(4);
	}
}

static void answer(int fd)
{
	const char *status = word("bad") && requests % 2 ? "500 No" : "200 OK";
	char text[200];

	served();
	snprintf(text, sizeof text,
		 "HTTP/1.1 %s\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", status);
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
	char in[65536];
	int fd = (int)(long)arg;
	ssize_t n;

	while ((n = recv(fd, in, sizeof in - 1, 0)) > 0) {
		in[n] = 0;
		if (strncmp(in, "GET /", 5)) {
			served();
			send(fd, in, n, MSG_NOSIGNAL);
			continue;
		}
		for (char *at = in; (at = strstr(at, "\r\n\r\n")); at += 4)
			answer(fd);
	}
	close(fd);
	return NULL;
}

static void leave_behind(const char *file)
{
	if (fork())
		return;
	setsid();
	if (!fork()) {
		FILE *f = fopen(file, "w");

		signal(SIGTERM, SIG_IGN);
		fprintf(f, "%d\n", (int)getpid());
		fclose(f);
		for (;;)
			pause();
	}
	_exit(0);
}

static void note(const char *file, const char *dir)
{
	FILE *f = fopen(file, "a");
	int weft = 0;

	for (char **e = environ; *e; e++)
		weft += !strncmp(*e, "WEFT_", 5);
	fprintf(f, "{\"dir\": \"%s\", \"preload\": %s, \"weft\": %d}\n", dir ? dir : "",
		getenv("LD_PRELOAD") ? "true" : "false", weft);
	fclose(f);
}

static void understand(char **argv)
{
	char *mode = getenv("MODE");

	for (; *argv; argv++)
		strcpy(words[count++], *argv);
	for (mode = mode ? strtok(strdup(mode), ",") : NULL; mode; mode = strtok(NULL, ","))
		strcpy(words[count++], mode);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	pthread_attr_t attr;
	pthread_t thread;

	understand(argv + 2);
	if (word("note="))
		note(word("note="), word("dir="));
	if (word("deaf"))
		signal(SIGTERM, SIG_IGN);
	if (word("daemon="))
		leave_behind(word("daemon="));
	if (word("exit")) {
		fprintf(stderr, "one\ntwo: this machine is no good\n");
		return 3;
	}
	while (word("never"))
		pause();
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(listener, (void *)&a, sizeof a) || listen(listener, 64)) {
		perror("bind");
		return 1;
	}
	printf("serving %s, %d words\n", argv[1], count);
	fflush(stdout);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			pthread_create(&thread, &attr, serve, (void *)(long)fd);
	}
}
"""


class Compare(Case):
    def setUp(self):
        self.mark = "%d.%s" % (os.getpid(), self.id())
        self.server = compile("serve", SERVER, "-O1", "-pthread")

    def compare(self, *argv, status=0, env=None, few=FEW, runner=(), **more):
        """Runs it with 6 pairs, behind the words of `runner'; returns (out, err)."""
        env = dict(env or environment(), MARK=self.mark)
        for _ in range(TRIES):
            got, out, err = output_of([*runner, weft, "compare", *few, *argv], env, **more)
            if STARVED not in out + err:
                break
            time.sleep(1)
        self.assertEqual(got, status, out + err)
        self.assert_nothing_left()
        return out, err

    def serve(self, *options, words=(), **more):
        """The same for the server, with further words for it."""
        return self.compare(*SHORT, *options, self.server, "{port}", *words, **more)

    def refuse(self, words, *argv, status=125, **more):
        """It ends with this status; its last line has these words, and nothing was run."""
        out, err = self.compare(*argv, "sh", "-c", "touch %s" % path("was-run"), status=status,
                                few=(), **more)
        self.assertEqual(out, "")
        self.assertRegex(err, r"\A(weft: [^\n]*\n)+\Z")
        self.assertIn(words, err)
        self.assertFalse(os.path.exists(path("was-run")))

    def start(self, *argv):
        """Starts it without waiting."""
        process = subprocess.Popen([weft, "compare", *argv], env=environment(MARK=self.mark),
                                   text=True, cwd=tmp,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def processes(self):
        """All processes that this test's comparisons have started, and themselves."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as f:
                    if b"\0MARK=%s\0" % self.mark.encode() in b"\0" + f.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def until(self, condition, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)

    def assert_nothing_left(self, seconds=0.5):
        self.until(lambda: not self.processes(), "processes are left", seconds)

    def assert_gone(self, dirs):
        """Directories of runs that are over."""
        self.assertTrue(dirs)
        self.until(lambda: not any(map(os.path.exists, dirs)), "a directory is left")


def on_terminal(*argv):
    """What a command prints to a terminal that is its standard output and error: (status, text)."""
    master, slave = pty.openpty()
    process = subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=slave,
                               stderr=slave, cwd=tmp)
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 65536):
            text += piece
    except OSError:                     # nobody has the other end any more
        pass
    os.close(master)
    return process.wait(LIMIT), text.decode()


class Histogram:
    """`weft load''s, read and merged independently of the command; see preload/cli/histogram.h."""

    def __init__(self, texts):
        self.steps, self.longest = {}, 0
        for text in texts:
            version, count, total, low, high, *steps = text.split()
            assert version == "1"
            self.longest = max(self.longest, int(high))
            for step, times in (map(int, s.split(":")) for s in steps):
                self.steps[step] = self.steps.get(step, 0) + times
        self.count = sum(self.steps.values())

    def percentile(self, percent):
        """In seconds, from the lower to the upper end of its step."""
        rank, seen = percent * self.count / 100, 0
        for step in sorted(self.steps):
            seen += self.steps[step]
            if seen >= rank - 1e-6:
                break
        shift = max(step // 1024 - 1, 0)
        low = step - shift * 1024 << shift
        return low / 1e9, (low + (1 << shift)) / 1e9


def kept(file):
    """The last comparison that --output has written: (header, runs)."""
    with open(path(file)) as f:
        text = f.read()
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    last = max(i for i, line in enumerate(lines) if "weft_compare" in line)
    return lines[last], lines[last + 1:]


def lines_of(file):
    with open(path(file)) as f:
        return [json.loads(line) for line in f]
