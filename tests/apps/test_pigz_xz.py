#!/usr/bin/python3
"""test_pigz_xz -- pigz -p 2 and xz -T2: the same bytes as natively, in no more time"""
import hashlib
import lzma
import random
import zlib

from app import *

needs("pigz", "xz")
SIZE = 10 << 20


def make_text():
    """Words in a random order: it compresses to about a third, as text does."""
    choice = random.Random(3)
    words = [choice.randbytes(choice.randrange(1, 6)).hex().encode() for _ in range(5000)]
    return b" ".join(choice.choices(words, k=SIZE // 8))[:SIZE]


TEXT = make_text()
FILE = write("text", TEXT)
PIGZ = ["pigz", "-p", 2, "-n", "-c", FILE]
XZ = ["xz", "-T2", "-0", "--block-size=1MiB", "-c", FILE]
UNXZ = ["xz", "-T2", "-dc", path("text.xz")]


def gunzip(data):
    return zlib.decompress(data, 31)


def compressed(argv, undo, hubs, threads):
    """The native output holds the text; the output of this way is the same."""
    native = run(argv)
    check(undo(native.out) == TEXT, argv[0], "does not give the text back")
    result = run(argv, hubs, threads=threads, blocked=BLOCKED, cpus=server_cpus(hubs))
    check(result.out == native.out, "%d bytes, SHA-256 %s, but natively %d bytes, SHA-256 %s" % (
        len(result.out), hashlib.sha256(result.out).hexdigest(), len(native.out),
        hashlib.sha256(native.out).hexdigest()))
    return native.out


@each_way
def pigz_gives_the_same_bytes(hubs):
    compressed(PIGZ, gunzip, hubs, 2)


@each_way
def xz_gives_the_same_bytes(hubs):
    compressed(XZ, lzma.decompress, hubs, 2)


@each_way
def xz_decodes_with_two_threads(hubs):
    write("text.xz", run(XZ).out)
    result = run(UNXZ, hubs, threads=2, blocked=BLOCKED, cpus=server_cpus(hubs))
    check(result.out == TEXT, "xz -d gives other bytes")


@each_way
def pigz_reads_and_writes_pipes(hubs):
    pipe = "cat %s | pigz -p 2 -n | cat" % FILE
    result = run(["bash", "-o", "pipefail", "-c", pipe], hubs, threads=2)
    check(gunzip(result.out) == TEXT, "other bytes came through the pipe")


@each_hubs
def pigz_takes_no_longer(hubs):
    wall_time(hubs, lambda way, cpus: run(PIGZ, way, threads=2, cpus=cpus).wall)


@each_hubs
def xz_takes_no_longer(hubs):
    wall_time(hubs, lambda way, cpus: run(XZ, way, threads=2, cpus=cpus).wall)


main()
