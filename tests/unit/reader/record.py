#!/usr/bin/python3
"""record -- run load tools against servers that behave and that do not; keep what they print

usage: tests/unit/reader/record.py [-f] [NAME...]

Each case of CASES becomes a file NAME beside this script: the command, the server and how the tool
ended in its first lines, then its standard output, its standard error and the file that it wrote.
Recorded cases are kept: `-f NAME' records one anew, whose row in `expected' is then to be
looked at again. Paths of the machine are replaced; nothing else is.

Debian: wrk hey apache2-utils nghttp2-client redis-server redis-tools mariadb-server-core
mariadb-client postgresql nginx-light libc-bin locales.
"""
import glob
import os
import shlex
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TMP = tempfile.mkdtemp(prefix="weft-record.")
LIMIT = 20          # seconds for one tool

NGINX = """
daemon off; master_process off; pid %(dir)s/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http {
	access_log off; default_type text/plain; keepalive_requests 1000000;
	client_body_temp_path %(dir)s/nginx; proxy_temp_path %(dir)s/nginx;
	fastcgi_temp_path %(dir)s/nginx; uwsgi_temp_path %(dir)s/nginx; scgi_temp_path %(dir)s/nginx;
	split_clients "$connection.$connection_requests" $tenth { 10%% no; * yes; }
	server {
		listen 127.0.0.1:%(port)d %(option)s;
		location / { return 200 "a page of thirty-two characters\\n"; }
		location /missing { return 404; }
		location /moved { return 302 http://127.0.0.1/elsewhere; }
		location /tenth { if ($tenth = no) { return 503; } return 200 "well\\n"; }
		location /grows { return 200 "$connection\\n"; }
	}
}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(check, what):
    """Waits until check() is true or raises no OSError."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            if check() is not False:
                return
        except OSError:
            pass
        time.sleep(.05)
    sys.exit("record: %s is not ready" % what)


class Process:
    """A server that is a process: `kill' is its sudden end."""

    def __init__(self, port, *argv, ready=None, **more):
        self.port = port
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, **more)
        until(ready or (lambda: socket.create_connection(("127.0.0.1", port)).close()), argv[0])

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()


def nginx(option=""):
    port = free_port()
    with open(TMP + "/nginx.conf", "w", encoding="utf-8") as f:
        f.write(NGINX % {"dir": TMP, "port": port, "option": option})
    return Process(port, "nginx", "-c", TMP + "/nginx.conf")


def nginx_http2():
    return nginx("http2")


def nothing():
    """Nobody listens."""
    class Nothing:
        port = free_port()

        def close(self):
            pass
    return Nothing()


class Misbehaved(socketserver.ThreadingTCPServer):
    """A server whose answer to each request is what `answer', a function of its socket, does."""
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, answer):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    while self.request.recv(65536):
                        if not answer(self.request):
                            return
                except OSError:
                    pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def misbehaved(delay, text):
    def answer(s):
        time.sleep(delay)
        s.sendall(text)
        return text.endswith(b"well\n")
    return lambda: Misbehaved(answer)


mute = misbehaved(3600, b"")
closing = misbehaved(0, b"")
short = misbehaved(0, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
def few():
    """Five connections are served, others closed at once."""
    class Few(Misbehaved):
        served = 0

        def verify_request(self, request, client_address):
            self.served += 1
            return self.served <= 5

    def answer(s):
        s.sendall(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nwell\n")
        return True
    return Few(answer)


slow = misbehaved(1.2, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwell\n")
slow_once = misbehaved(1.2, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwell")


def redis(*options):
    port = free_port()
    return Process(port, "redis-server", "--port", str(port), "--save", "", "--dir", TMP, *options)


def redis_full():
    return redis("--maxmemory", "1")


def redis_locked():
    return redis("--requirepass", "secret")


def redis_few():
    return redis("--maxclients", "5")


def mariadb_few():
    return mariadb("--max-connections=10")


def mariadb(*options):
    data, sock = TMP + "/mariadb", TMP + "/mariadb.sock"
    if not os.path.exists(data):
        subprocess.run(["mariadb-install-db", "--no-defaults", "--datadir=" + data,
                        "--auth-root-authentication-method=normal", "--skip-test-db"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Process(0, "mariadbd", "--no-defaults", "--user=" + os.environ.get("USER", "root"),
                     "--datadir=" + data, "--socket=" + sock, "--skip-networking",
                     "--innodb-buffer-pool-size=8M", *options,
                     ready=lambda: socket.socket(socket.AF_UNIX).connect(sock))
    subprocess.run(["mariadb", "--no-defaults", "-uroot", "--socket=" + sock, "-e",
                    "CREATE DATABASE IF NOT EXISTS bench"], check=True)
    return server


class Postgres(Process):
    def __init__(self):
        data, port = TMP + "/postgres", free_port()
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.user = {"user": "nobody", "cwd": "/"} if os.geteuid() == 0 else {}
        if not os.path.exists(data):
            os.mkdir(data)
            if self.user:
                shutil.chown(data, "nobody")
            subprocess.run([self.bin + "/initdb", "-D", data, "-U", "bench", "-A", "trust"],
                           check=True, stdout=subprocess.DEVNULL, **self.user)
        super().__init__(port, self.bin + "/postgres", "-D", data, "-h", "127.0.0.1", "-p",
                         str(port), "-c", "unix_socket_directories=", "-c", "fsync=off",
                         **self.user)
        time.sleep(1)
        subprocess.run(["pgbench", "-i", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "bench",
                        "postgres"], check=True, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.send_signal(signal.SIGQUIT)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


SQL = {
    "select.sql": "SELECT 1;\n",
    "wrong.sql": "SELECT no_such_column;\n",
    "sleep.sql": "SELECT pg_sleep(0.02);\n",
    "conflict.sql": "BEGIN ISOLATION LEVEL SERIALIZABLE;\n"
                    "UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;\nEND;\n",
}
AUTO = "mariadb-slap --no-defaults -uroot --socket={dir}/mariadb.sock --csv "
SLAP = AUTO + "--create-schema=bench --no-drop "
PG = "pgbench -h 127.0.0.1 -p {port} -U bench "
REDIS = "redis-benchmark -p {port} "
URL = "http://127.0.0.1:{port}"
GERMAN = "env LOCPATH={dir} LC_ALL=de_DE.UTF-8 "
kill_server, pause_server = "kill the server", "stop the server"    # after half a second

# name: (server, command) or (server, command, what happens after half a second)
CASES = {
    "wrk.ok": (nginx, "wrk -t1 -c10 -d1s " + URL + "/"),
    "wrk.latency": (nginx, "wrk -t1 -c10 -d1s --latency " + URL + "/"),
    "wrk.threads": (nginx, "wrk -t2 -c200 -d2s --latency " + URL + "/"),
    "wrk.minute": (slow, "wrk -t1 -c1 -d61s --latency " + URL + "/"),
    "wrk.slow": (slow, "wrk -t1 -c10 -d3s --latency " + URL + "/"),
    "wrk.moved": (nginx, "wrk -t1 -c10 -d1s " + URL + "/moved"),
    "wrk.missing": (nginx, "wrk -t1 -c10 -d1s " + URL + "/missing"),
    "wrk.tenth": (nginx, "wrk -t1 -c10 -d1s --latency " + URL + "/tenth"),
    "wrk.refused": (nothing, "wrk -t1 -c10 -d1s " + URL + "/"),
    "wrk.server-killed": (nginx, "wrk -t1 -c10 -d1s " + URL + "/", kill_server),
    "wrk.server-stopped": (nginx, "wrk -t1 -c10 -d3s --timeout 1s " + URL + "/", pause_server),
    "wrk.late": (slow, "wrk -t1 -c10 -d3s --timeout 1s " + URL + "/"),
    "wrk.mute": (mute, "wrk -t1 -c10 -d3s --timeout 1s " + URL + "/"),
    "wrk.mute-short": (mute, "wrk -t1 -c10 -d1s " + URL + "/"),
    "wrk.closing": (closing, "wrk -t1 -c2 -d1s " + URL + "/"),
    "wrk.short": (short, "wrk -t1 -c2 -d1s " + URL + "/"),
    "wrk.few": (few, "wrk -t1 -c10 -d1s " + URL + "/"),
    "wrk.killed": (nginx, "wrk -t1 -c10 -d1s " + URL + "/", signal.SIGKILL),
    "wrk.terminated": (nginx, "wrk -t1 -c10 -d1s " + URL + "/", signal.SIGTERM),
    "wrk.interrupted": (nginx, "wrk -t1 -c10 -d1s " + URL + "/", signal.SIGINT),
    "wrk.locale": (nginx, GERMAN + "wrk -t1 -c10 -d1s --latency " + URL + "/"),
    "wrk.usage": (nothing, "wrk --no-such-option " + URL + "/"),

    "hey.ok": (nginx, "hey -n 5000 -c 10 " + URL + "/"),
    "hey.duration": (nginx, "hey -z 1s -c 10 " + URL + "/"),
    "hey.slow": (slow, "hey -n 30 -c 10 " + URL + "/"),
    "hey.few": (nginx, "hey -n 5 -c 1 " + URL + "/"),
    "hey.moved": (nginx, "hey -n 500 -c 10 -disable-redirects " + URL + "/moved"),
    "hey.missing": (nginx, "hey -n 500 -c 10 " + URL + "/missing"),
    "hey.tenth": (nginx, "hey -n 5000 -c 10 " + URL + "/tenth"),
    "hey.refused": (nothing, "hey -n 500 -c 10 " + URL + "/"),
    "hey.server-killed": (nginx, "hey -n 20000 -c 2 -q 5000 " + URL + "/", kill_server),
    "hey.server-stopped": (nginx, "hey -z 2s -c 10 -t 1 " + URL + "/", pause_server),
    "hey.mute": (mute, "hey -n 20 -c 10 -t 1 " + URL + "/"),
    "hey.closing": (closing, "hey -n 200 -c 2 " + URL + "/"),
    "hey.short": (short, "hey -n 200 -c 2 " + URL + "/"),
    "hey.few-served": (few, "hey -z 1s -c 10 " + URL + "/"),
    "hey.killed": (nginx, "hey -z 1s -c 10 " + URL + "/", signal.SIGKILL),
    "hey.interrupted": (nginx, "hey -z 1s -c 10 " + URL + "/", signal.SIGINT),
    "hey.csv": (nginx, "hey -n 20 -c 1 -o csv " + URL + "/"),
    "hey.locale": (nginx, GERMAN + "hey -n 500 -c 10 " + URL + "/"),
    "hey.usage": (nothing, "hey -n 5 -c 10 " + URL + "/"),

    "ab.ok": (nginx, "ab -n 2000 -c 10 " + URL + "/"),
    "ab.keepalive": (nginx, "ab -k -n 20000 -c 10 " + URL + "/"),
    "ab.file": (nginx, "ab -k -n 20000 -c 10 -e {dir}/ab.csv " + URL + "/"),
    "ab.stdout": (nginx, "ab -k -q -n 20000 -c 10 -e/dev/stdout " + URL + "/"),
    "ab.slow": (slow_once, "ab -n 20 -c 10 " + URL + "/"),
    "ab.plain": (nginx, "ab -d -S -q -n 500 -c 10 " + URL + "/"),
    "ab.one": (nginx, "ab -n 1 -c 1 " + URL + "/"),
    "ab.time": (nginx, "ab -t 1 -k -c 10 " + URL + "/"),
    "ab.moved": (nginx, "ab -n 500 -c 10 " + URL + "/moved"),
    "ab.missing": (nginx, "ab -n 50 -c 10 " + URL + "/missing"),
    "ab.tenth": (nginx, "ab -n 500 -c 10 " + URL + "/tenth"),
    "ab.length": (nginx, "ab -n 500 -c 10 " + URL + "/grows"),
    "ab.variable": (nginx, "ab -l -n 500 -c 10 " + URL + "/grows"),
    "ab.refused": (nothing, "ab -n 50 -c 10 " + URL + "/"),
    "ab.refused-r": (nothing, "ab -r -n 50 -c 10 " + URL + "/"),
    "ab.server-killed": (nginx, "ab -k -t 2 -n 1000000 -c 10 " + URL + "/", kill_server),
    "ab.server-killed-r": (nginx, "ab -r -k -t 2 -n 1000000 -c 10 " + URL + "/", kill_server),
    "ab.mute": (mute, "ab -s 1 -n 50 -c 10 " + URL + "/"),
    "ab.mute-r": (mute, "ab -r -s 1 -n 20 -c 10 " + URL + "/"),
    "ab.closing": (closing, "ab -n 50 -c 2 " + URL + "/"),
    "ab.closing-r": (closing, "ab -r -n 50 -c 2 " + URL + "/"),
    "ab.short": (short, "ab -r -n 50 -c 2 " + URL + "/"),
    "ab.few": (few, "ab -r -k -n 500 -c 10 " + URL + "/"),
    "ab.html": (nginx, "ab -w -n 50 -c 2 " + URL + "/"),
    "ab.killed": (nginx, "ab -k -t 1 -n 1000000 -c 10 " + URL + "/", signal.SIGKILL),
    "ab.interrupted": (nginx, "ab -k -t 1 -n 1000000 -c 10 " + URL + "/", signal.SIGINT),
    "ab.locale": (nginx, GERMAN + "ab -n 500 -c 10 -e /dev/stdout " + URL + "/"),
    "ab.usage": (nothing, "ab -n 5 -c 10 " + URL + "/"),

    "h2load.ok": (nginx_http2, "h2load -n 20000 -c 10 -m 10 " + URL + "/"),
    "h2load.http1": (nginx, "h2load --h1 -n 10000 -c 10 " + URL + "/"),
    "h2load.duration": (nginx, "h2load --h1 -D 1 -c 10 " + URL + "/"),
    "h2load.slow": (slow, "h2load --h1 -n 20 -c 10 " + URL + "/"),
    "h2load.moved": (nginx, "h2load --h1 -n 500 -c 10 " + URL + "/moved"),
    "h2load.missing": (nginx, "h2load --h1 -n 500 -c 10 " + URL + "/missing"),
    "h2load.tenth": (nginx, "h2load --h1 -n 5000 -c 10 " + URL + "/tenth"),
    "h2load.refused": (nothing, "h2load --h1 -n 500 -c 10 " + URL + "/"),
    "h2load.server-killed": (nginx, "h2load --h1 -n 1000000 -c 10 " + URL + "/", kill_server),
    "h2load.server-killed-d": (nginx, "h2load --h1 -D 2 -c 10 " + URL + "/", kill_server),
    "h2load.tenth-d": (nginx, "h2load --h1 -D 1 -c 10 " + URL + "/tenth"),
    "h2load.refused-d": (nothing, "h2load --h1 -D 1 -c 10 " + URL + "/"),
    "h2load.closing-d": (closing, "h2load --h1 -D 1 -c 10 " + URL + "/"),
    "h2load.few-d": (few, "h2load --h1 -D 1 -c 10 " + URL + "/"),
    "h2load.mute": (mute, "h2load --h1 -N 1 -n 20 -c 10 " + URL + "/"),
    "h2load.mute-duration": (mute, "h2load --h1 -D 1 -c 10 " + URL + "/"),
    "h2load.closing": (closing, "h2load --h1 -n 50 -c 2 " + URL + "/"),
    "h2load.short": (short, "h2load --h1 -n 50 -c 2 " + URL + "/"),
    "h2load.wrong-protocol": (nginx, "h2load -n 50 -c 2 " + URL + "/"),
    "h2load.killed": (nginx, "h2load --h1 -D 1 -c 10 " + URL + "/", signal.SIGKILL),
    "h2load.interrupted": (nginx, "h2load --h1 -D 1 -c 10 " + URL + "/", signal.SIGINT),
    "h2load.locale": (nginx, GERMAN + "h2load --h1 -n 500 -c 10 " + URL + "/"),
    "h2load.usage": (nothing, "h2load -n 5 -c 10 " + URL + "/"),

    "redis-benchmark.ok": (redis, REDIS + "--csv -t get -n 50000"),
    "redis-benchmark.several": (redis, REDIS + "--csv -t set,get,lpush -n 20000 -c 10"),
    "redis-benchmark.default-n": (redis, REDIS + "--csv -P 16 -t get"),
    "redis-benchmark.one": (redis, REDIS + "--csv -n 20000 incr counter"),
    "redis-benchmark.short": (redis, REDIS + "--csv -t get -n 1000"),
    "redis-benchmark.threads": (redis, REDIS + "--csv --threads 2 -t get -n 50000"),
    "redis-benchmark.plain": (redis, REDIS + "-t get -n 20000"),
    "redis-benchmark.quiet": (redis, REDIS + "-q -t get -n 20000"),
    "redis-benchmark.full": (redis_full, REDIS + "--csv -t set -n 2000"),
    "redis-benchmark.full-several": (redis_full, REDIS + "--csv -t get,set -n 2000"),
    "redis-benchmark.wrong": (redis, REDIS + "--csv -n 2000 no-such-command"),
    "redis-benchmark.locked": (redis_locked, REDIS + "--csv -t get -n 2000"),
    "redis-benchmark.password": (redis_locked, REDIS + "--csv -a wrong -t get -n 2000"),
    "redis-benchmark.refused": (nothing, REDIS + "--csv -t get -n 2000"),
    "redis-benchmark.server-killed": (redis, REDIS + "--csv -t get -n 10000000", kill_server),
    "redis-benchmark.killed": (redis, REDIS + "--csv -t get -n 10000000", signal.SIGKILL),
    "redis-benchmark.interrupted": (redis, REDIS + "--csv -t get -n 10000000", signal.SIGINT),
    "redis-benchmark.locale": (redis, GERMAN + REDIS + "--csv -t get -n 20000"),
    "redis-benchmark.few": (redis_few, REDIS + "--csv -t get -n 20000 -c 10"),
    "redis-benchmark.usage": (nothing, "redis-benchmark --csv --no-such-option"),

    "mariadb-slap.ok": (mariadb, AUTO + "-a -c 4 --number-of-queries=400"),
    "mariadb-slap.query": (mariadb, SLAP + "-q 'SELECT 1' -c 4 --number-of-queries=4000"),
    "mariadb-slap.iterations": (mariadb, SLAP + "-q 'SELECT 1' -c 4 -i 5 --number-of-queries=2000"),
    "mariadb-slap.levels": (mariadb, SLAP + "-q 'SELECT 1' -c 2,4 --number-of-queries=2000"),
    "mariadb-slap.short": (mariadb, SLAP + "-q 'SELECT 1' -c 1"),
    "mariadb-slap.file": (mariadb, SLAP.replace("--csv", "--csv={dir}/slap.csv")
                          + "-q 'SELECT 1' -c 4 --number-of-queries=4000"),
    "mariadb-slap.plain": (mariadb, AUTO.replace("--csv", "") + "-a -c 4 --number-of-queries=400"),
    "mariadb-slap.no-schema": (mariadb, SLAP.replace("bench", "absent") + "-q 'SELECT 1' -c 4 "
                               "--number-of-queries=4000"),
    "mariadb-slap.wrong": (mariadb, SLAP + "-q 'SELECT no_such_column' -c 4"),
    "mariadb-slap.partly-wrong": (mariadb, SLAP + "-q 'SELECT 1; SELECT no_such_column' -c 4 "
                                  "--delimiter=';' --number-of-queries=400"),
    "mariadb-slap.few": (mariadb_few, SLAP + "-q 'SELECT SLEEP(0.001)' -c 20 "
                         "--number-of-queries=4000"),
    "mariadb-slap.refused": (nothing, AUTO + "-a -c 4 --number-of-queries=400"),
    "mariadb-slap.server-killed": (mariadb, SLAP + "-q 'SELECT SLEEP(0.01)' -c 4 "
                                   "--number-of-queries=800", kill_server),
    "mariadb-slap.killed": (mariadb, SLAP + "-q 'SELECT SLEEP(0.01)' -c 4 --number-of-queries=800",
                            signal.SIGKILL),
    "mariadb-slap.locale": (mariadb, GERMAN + SLAP + "-q 'SELECT 1' -c 4 --number-of-queries=4000"),
    "mariadb-slap.usage": (nothing, SLAP + "--no-such-option"),

    "pgbench.ok": (Postgres, PG + "-S -c 4 -t 500 postgres"),
    "pgbench.duration": (Postgres, PG + "-c 4 -T 1 -P 1 postgres"),
    "pgbench.scripts": (Postgres, PG + "-c 2 -t 200 -b tpcb-like -b select-only -r postgres"),
    "pgbench.connect": (Postgres, PG + "-C -S -c 2 -t 50 postgres"),
    "pgbench.conflict": (Postgres, PG + "-c 8 -j 2 -t 100 -f {dir}/conflict.sql postgres"),
    "pgbench.conflict-d": (Postgres, PG + "-c 8 -j 2 -T 1 -f {dir}/conflict.sql postgres"),
    "pgbench.skipped": (Postgres, PG + "-c 1 -T 1 -R 100 -L 30 -f {dir}/sleep.sql postgres"),
    "pgbench.late": (Postgres, PG + "-c 4 -T 1 -L 10 -f {dir}/sleep.sql postgres"),
    "pgbench.wrong": (Postgres, PG + "-c 4 -t 500 -f {dir}/wrong.sql postgres"),
    "pgbench.partly-wrong": (Postgres, PG + "-c 4 -t 20 -f {dir}/select.sql@9 "
                             "-f {dir}/wrong.sql@1 postgres"),
    "pgbench.few": (Postgres, PG + "-S -c 110 -T 1 postgres"),
    "pgbench.refused": (nothing, PG + "-c 4 -t 500 postgres"),
    "pgbench.no-database": (Postgres, PG + "-c 4 -t 500 no_such_database"),
    "pgbench.server-killed": (Postgres, PG + "-S -c 4 -T 2 postgres", kill_server),
    "pgbench.killed": (Postgres, PG + "-S -c 4 -T 2 postgres", signal.SIGKILL),
    "pgbench.interrupted": (Postgres, PG + "-S -c 4 -T 2 postgres", signal.SIGINT),
    "pgbench.locale": (Postgres, GERMAN + PG + "-S -c 4 -t 500 postgres"),
    "pgbench.usage": (nothing, PG + "--no-such-option postgres"),
}


def clean(text):
    return text.replace(TMP.encode(), b"DIR")


def side_file():
    """What the tool wrote into a file of its own: at most one of these."""
    for name in ("/ab.csv", "/slap.csv"):
        if os.path.exists(TMP + name):
            with open(TMP + name, "rb") as f:
                text = f.read()
            os.unlink(TMP + name)
            return text
    return None


def act(server, tool, event):
    time.sleep(.5)
    if event == kill_server:
        server.kill()
    elif event == pause_server:
        server.pause()
    elif event:
        tool.send_signal(event)


def record(name, make, command, event=None):
    server = make()
    argv = shlex.split(command.format(port=server.port, dir=TMP))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PG", "MYSQL"))}
    tool = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    actor = threading.Thread(target=act, args=(server, tool, event))
    actor.start()
    try:
        out, err = tool.communicate(timeout=LIMIT if "minute" not in name else 100)
    except subprocess.TimeoutExpired:
        event = "the tool killed in the end"
        tool.kill()
        out, err = tool.communicate()
    actor.join()
    server.close()
    status = tool.returncode
    how = "%d" % status if status >= 0 else signal.Signals(-status).name
    event = signal.Signals(event).name + " to the tool" if isinstance(event, int) else event
    server = make_name(make) + (", " + event if event else "")
    parts = [("command", shlex.join(argv)), ("server", server), ("status", how)]
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(clean("".join("# %s: %s\n" % part for part in parts).encode()))
        sections = {"standard output": out, "standard error": err, "file": side_file()}
        for title, text in sections.items():
            if text is not None:
                end = b"\n" if text and not text.endswith(b"\n") else b""
                f.write(b"==== %s\n" % title.encode() + clean(text) + end)
    print("%-32s %-8s %d + %d bytes" % (name, how, len(out), len(err)), flush=True)


def make_name(make):
    named = {mute: "mute", closing: "closes after each request", short: "sends half of each answer",
             slow: "answers after 1.2 s", slow_once: "answers after 1.2 s and closes",
             few: "serves five connections and closes others",
             redis_few: "redis, maxclients 5", mariadb_few: "mariadb, max-connections 10",
             nothing: "none", nginx_http2: "nginx, HTTP/2",
             redis_full: "redis, maxmemory 1", redis_locked: "redis with a password",
             Postgres: "PostgreSQL"}
    return named.get(make, make.__name__)


def main():
    names = [a for a in sys.argv[1:] if a != "-f"]
    for name in SQL:
        with open(os.path.join(TMP, name), "w", encoding="utf-8") as f:
            f.write(SQL[name])
    os.chmod(TMP, 0o755)
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", TMP + "/de_DE.UTF-8"], check=False)
    try:
        for name, case in CASES.items():
            wanted = name in names if names else not os.path.exists(os.path.join(HERE, name))
            if wanted and ("-f" in sys.argv or not os.path.exists(os.path.join(HERE, name))):
                record(name, *case)
    finally:
        shutil.rmtree(TMP, True)


main()
