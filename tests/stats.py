"""stats -- read the statistics files that processes under Weft leave

The layout is core/stat.h's, and the names of counters and kinds are read from the headers, so that
nothing is typed twice. The files are read, never mapped: a writer may cut one short at any time.
"""
import os
import re
import struct

_CORE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "core")
_HEAD = struct.Struct("<QIIIIIIqqq128s")


def _text(name):
    with open(os.path.join(_CORE, name)) as f:
        return f.read()


_header = re.sub(r"/\*.*?\*/", "", _text("stat.h"), flags=re.S)
NAMES = re.findall(r"^STAT\((\w+),", _text("stat.def"), re.M)
MAGIC = int(re.search(r"#define\s+STAT_MAGIC\s+(0x\w+?)ull", _header).group(1), 16)
HUBS = int(re.search(r"#define\s+STAT_HUBS\s+(\d+)", _header).group(1))
CARRIERS = int(re.search(r"#define\s+STAT_CARRIERS\s+(\d+)", _header).group(1))
KINDS = re.findall(r"CARRIER_(\w+)", re.search(r"enum stat_carrier_kind \{(.*?)\}", _header, re.S)
                   .group(1))


class Stats:
    """One process's counters.

    active, pid, hubs, alive, alive_max, activation_ns, why; count {name: sum over the hubs};
    by_hub {name: [per hub…, shared]}; carriers [(tid, "HUB" | "SPARE" | "DETACHED" | …)]
    """

    def __init__(self, data, brief=False):
        (magic, _, counters, self.pid, mode, self.hubs, _, self.alive, self.alive_max,
         self.activation_ns, why) = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("no statistics")
        self.active = mode == 1
        self.why = why.partition(b"\0")[0].decode(errors="replace")
        rows = data[_HEAD.size:_HEAD.size + 8 * CARRIERS].rstrip(b"\0")
        rows += b"\0" * (-len(rows) % 8)
        self.carriers = [(tid, KINDS[kind] if kind < len(KINDS) else str(kind))
                         for tid, kind in struct.iter_unpack("<II", rows) if tid]
        self.count, self.by_hub = {}, {}
        if not brief:
            self._counters(data, counters)

    def _counters(self, data, counters):
        at = _HEAD.size + 8 * CARRIERS
        values = struct.unpack_from("<%dQ" % ((HUBS + 1) * counters), data, at)
        for number, name in enumerate(NAMES[:counters]):
            column = values[number::counters]
            self.by_hub[name] = list(column[:self.hubs]) + [column[HUBS]]
            self.count[name] = sum(column)

    def __getitem__(self, name):
        return self.count[name]

    def text(self):
        """One line: what is not zero."""
        head = "%s, pid %d, %d hubs, %d alive, %d at once, activation %.2f ms" % (
            "active" if self.active else "native (%s)" % self.why, self.pid, self.hubs, self.alive,
            self.alive_max, self.activation_ns / 1e6)
        return "; ".join([head] + ["%s %d" % c for c in self.count.items() if c[1]])


def read(path, brief=False):
    """Stats of one file, or None when it holds none (yet)."""
    try:
        with open(path, "rb", buffering=0) as f:
            return Stats(f.read(_HEAD.size + 8 * CARRIERS if brief else -1), brief)
    except (OSError, ValueError, struct.error):
        return None


def read_all(directory, brief=False):
    """{pid: Stats} of the files stat.PID in a directory."""
    result = {}
    try:
        names = os.listdir(directory)
    except OSError:
        names = []
    for name in names:
        if re.fullmatch(r"stat\.\d+", name):
            stats = read(os.path.join(directory, name), brief)
            if stats:
                result[int(name[5:])] = stats
    return result
