#!/usr/bin/python3
"""test_sitecache -- weft.sites tells what a search would have found, or is not believed

    as make wrote it          the same sites as by a search, nearly all of them known
    cut, or bytes changed     searched: the same sites
    another library's, another owner's, writable by others, no file, by a relative path    searched
    bytes that are not there, under a sum that is right    searched
    WEFT_LEARN                adds a program's objects to what the file has; the same twice
    a place that it cannot write to     said, and the program runs
"""
import random
import struct

from app import *

needs("gcc")
BUILT = os.path.join(harness.BUILD, "weft.sites")
HEADER, RECORD, SITE = 56, 56, 48
THREAD = """
#include <pthread.h>
#include <unistd.h>
static void *work(void *arg) { usleep(1000); return arg; }
int main(void)
{
	pthread_t id;
	return pthread_create(&id, NULL, work, NULL) || pthread_join(id, NULL);
}
"""


def house(name, sites=BUILT):
    """A directory with the library, and with a copy of a file of sites; returns the library."""
    os.mkdir(path(name))
    shutil.copy(harness.LIBRARY, path(name))
    if sites:
        shutil.copy(sites, path(name + "/weft.sites"))
    return path(name + "/" + os.path.basename(harness.LIBRARY))


def beside(library):
    return os.path.join(os.path.dirname(library), "weft.sites")


def found(library, argv=None, env=(), **options):
    """How many sites there are, and how many of them were known."""
    argv = argv or [compile("thread", THREAD, "-pthread")]
    found = run(argv, 1, threads=1, env=dict({"LD_PRELOAD": library}, **dict(env)), **options).stats
    check(found["sites_left"] == 0, "left:", found.text())
    return found["sites"], found["sites_known"]


def searched(library, **options):
    there, known = found(library, **options)
    check(known == 0, "believed", known, "sites")
    check(there == SEARCHED, "searched, and found", there, "sites instead of", SEARCHED)


def sum_of(data):
    """As sitecache.c has it."""
    total = 0x9e3779b97f4a7c15
    for word in struct.unpack("<%dQ" % (len(data) // 8), data):
        total = (total ^ word) * 0xff51afd7ed558ccd % (1 << 64)
        total ^= total >> 32
    return total


def records(data):
    """(place, sites) of each record."""
    at = HEADER
    while at < len(data):
        size, sites = struct.unpack_from("<II", data, at)
        yield at, sites
        at += size


def summed(data):
    return data[:48] + struct.pack("<Q", sum_of(data[HEADER:])) + data[HEADER:]


SEARCHED = found(house("bare", None))[0]


@test
def what_make_wrote_is_what_a_search_finds():
    there, known = found(harness.LIBRARY)
    check(there == SEARCHED, "known and searched make", there, "sites, a search", SEARCHED)
    check(known > 300 and there - known < 10, known, "of", there, "were known")
    library = house("again", None)
    run([shutil.which("true")], 1, env={"LD_PRELOAD": library, "WEFT_LEARN": beside(library),
                                        "WEFT_FORCE": "1"})
    with open(BUILT, "rb") as a, open(beside(library), "rb") as b:
        check(a.read() == b.read(), "a second search wrote something else")


@test
def a_file_that_is_not_whole_is_not_believed():
    library, choice = house("broken"), random.Random(harness.SEED)
    with open(BUILT, "rb") as f:
        whole = f.read()
    check(summed(whole) == whole, "the sum is not what the test thinks")
    for size in (0, 1, HEADER - 1, HEADER, HEADER + RECORD, len(whole) // 2, len(whole) - 8):
        write("broken/weft.sites", whole[:size])
        searched(library)
    for _ in range(40):
        data = bytearray(whole)
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
        write("broken/weft.sites", bytes(data))
        searched(library)


@test
def a_file_whose_bytes_do_not_stand_there_is_not_believed():
    library = house("forged")
    with open(BUILT, "rb") as f:
        data = bytearray(f.read())
    for at, sites in records(data):
        if sites:
            data[at + RECORD + 16] ^= 1         # the first byte of the first site
    write("forged/weft.sites", summed(bytes(data)))
    searched(library)


@test
def records_that_make_no_sense_are_not_believed():
    library, choice = house("nonsense"), random.Random(harness.SEED)
    with open(BUILT, "rb") as f:
        whole = f.read()
    _, libc = max((sites, at) for at, sites in records(whole))
    for _ in range(60):                  # sizes, bounds, places: under a sum that is right
        data = bytearray(whole)
        at = choice.choice((0, 4, 8, 12, RECORD, RECORD + 12, RECORD + 14))
        little = [] if at == 4 else [0, 7]          # fewer sites would be a sensible record
        value = choice.choice(little + [1 << 12, 1 << 31, 0xffffffff])
        struct.pack_into("<I", data, libc + at, value)
        write("nonsense/weft.sites", summed(bytes(data)))
        there, _ = found(library)
        check(there == SEARCHED, "found", there, "sites instead of", SEARCHED)


@test
def only_a_file_of_the_owner_alone_is_believed():
    library = house("owner")
    file = beside(library)
    check(found(library)[1] > 300, "a copy of both is not believed")
    os.chmod(file, 0o664)
    searched(library)
    os.chmod(file, 0o644)
    os.chmod(library, 0o646)
    searched(library)
    os.chmod(library, 0o755)
    os.rename(file, file + ".there")
    os.symlink(file + ".there", file)
    searched(library)
    os.unlink(file)
    os.mkfifo(file)
    searched(library)
    os.unlink(file)
    os.mkdir(file)
    searched(library)
    os.rmdir(file)
    os.rename(file + ".there", file)
    searched("./" + os.path.basename(library), cwd=os.path.dirname(library))
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
        searched(library)
    os.unlink(file)
    searched(library)


@test
def what_another_library_wrote_is_not_believed():
    library = house("other")
    with open(BUILT, "rb") as f:
        data = bytearray(f.read())
    data[8] ^= 1                         # its build-id
    write("other/weft.sites", bytes(data))
    searched(library)


@test
def a_program_can_be_learned():
    library = house("learn")
    program = [PYTHON, "-c", "import threading; threading.Thread(target=print, args=('here',)).start()"]
    there, known = found(library, program)
    check(0 < known < there, known, "of", there, "known before")
    learned = {"WEFT_LEARN": beside(library)}
    check(found(library, program, learned) == (there, 0), "did not search to learn")
    more = os.path.getsize(beside(library))
    check(more > os.path.getsize(BUILT), "nothing was added")
    again, known = found(library, program)
    check(again == there and there - known < 10, known, "of", again, "known, before it was", there)
    found(library, program, learned)
    check(os.path.getsize(beside(library)) == more, "what is known was added again")
    left = sorted(os.listdir(os.path.dirname(library)))
    check(left == [os.path.basename(library), "weft.sites"], "left behind:", left)


@test
def a_place_that_cannot_be_written_to_is_said():
    for place in ("/dev/full", path("nowhere/weft.sites"), path("")):
        result = run([compile("thread", THREAD, "-pthread")], 1, threads=1, expect=False,
                     env={"WEFT_LEARN": place, "WEFT_LOG": "error"})
        check(result.rc == 0, "ended with", result.rc)
        check(b"cannot be written" in result.err, "said", result.err)
    check(os.path.exists("/dev/full") and not os.path.isfile("/dev/full"), "/dev/full was replaced")


main()
