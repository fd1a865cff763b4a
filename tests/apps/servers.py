"""servers -- small servers, good ones and bad ones, for the tests of `weft load'

    with Echo() as server:                          # a thread for each connection
        ... server.address, server.messages ...

    class Short(Echo):
        def answer(self, link, message):            # number of the message: self.count
            link.sendall(message[:10]); return False        # False: hang up

    with Http(lambda n: page(b"hello")) as server:  # n: number of the request, from 1

An answer of Http is the bytes to send, or (bytes, False) to hang up behind them. `with' ends in
stopping: the listener and every connection are closed.
"""
import itertools
import socket
import struct
import threading
import time


def page(body, *fields, status="200 OK", version="1.1", length=True):
    """An answer with a Content-Length, unless `length' is false."""
    head = ["HTTP/%s %s" % (version, status), *fields]
    if length:
        head.append("Content-Length: %d" % len(body))
    return "".join(line + "\r\n" for line in head + [""]).encode() + body


def chunked(*pieces, end=b"0\r\n\r\n"):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return page(body + end, "Transfer-Encoding: chunked", length=False)


class Server:
    """Accepts on a free port of 127.0.0.1, or at another address; serve(link) is its subject."""

    def __init__(self, family=socket.AF_INET, name=("127.0.0.1", 0), backlog=1024, pause=0):
        self.pause = pause              # seconds before each accept
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind(name)
        self.listener.listen(backlog)
        at = self.listener.getsockname()
        self.address = "unix:" + at if family == socket.AF_UNIX else "127.0.0.1:%d" % at[1]
        self.links, self.most, self.opened, self.count = set(), 0, 0, 0
        self.lock = threading.Lock()
        self.stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            time.sleep(self.pause)
            try:
                link = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                if self.stopped:
                    link.close()
                    return
                self.links.add(link)
                self.opened += 1
                self.most = max(self.most, len(self.links))
            if link.family != socket.AF_UNIX:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        try:
            self.serve(link)
        except OSError:
            pass
        with self.lock:
            self.links.discard(link)
        link.close()

    def next(self):
        """Numbers a request, from 1."""
        with self.lock:
            self.count += 1
            return self.count

    def close_listener(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)        # accept returns
        except OSError:
            pass
        self.listener.close()

    def hang_up(self):
        """Ends every connection."""
        with self.lock:
            for link in self.links:
                try:
                    link.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.stopped = True
        self.close_listener()
        self.hang_up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def read_exactly(link, size):
    got = b""
    while len(got) < size:
        piece = link.recv(size - len(got))
        if not piece:
            return None
        got += piece
    return got


def reset(link):
    """Hangs up in a way that the other side sees as an error."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Echo(Server):
    """Sends messages of a fixed size back."""

    def __init__(self, size=64, **more):
        self.size, self.messages = size, []
        super().__init__(**more)

    def serve(self, link):
        while True:
            message = read_exactly(link, self.size)
            if message is None:
                return
            number = self.next()
            with self.lock:
                self.messages.append(message)
            if self.answer(link, message, number) is False:
                return

    def answer(self, link, message, number):
        link.sendall(message)


class Http(Server):
    """Answers each request with what `answers' gives for its number."""

    def __init__(self, answers, **more):
        self.answers, self.requests = answers, []
        super().__init__(**more)

    def serve(self, link):
        left = b""
        while True:
            while b"\r\n\r\n" not in left:
                piece = link.recv(65536)
                if not piece:
                    return
                left += piece
            head, _, left = left.partition(b"\r\n\r\n")
            number = self.next()
            with self.lock:
                self.requests.append(head)
            answer = self.answers(number)
            keep = True
            if isinstance(answer, tuple):
                answer, keep = answer
            link.sendall(answer)
            if not keep:
                return


class Pieces(Http):
    """The same, and each answer comes in many small pieces."""

    def serve(self, link):
        whole = link.sendall

        class Slow:
            recv = link.recv

            @staticmethod
            def sendall(data):
                for i in itertools.count(0, 3):
                    if i >= len(data):
                        break
                    whole(data[i:i + 3])
        super().serve(Slow)
