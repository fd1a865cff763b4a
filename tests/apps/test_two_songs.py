#!/usr/bin/python3
"""test_two_songs -- tests/examples/two_songs.c: both at the same time, a verse a second"""
from app import *
from harness import BUILD, ROOT

needs("gcc")
with open(ROOT + "/tests/examples/two_songs.c") as f:
    songs = compile("two_songs", f.read(), "-I" + ROOT + "/include", "-L" + BUILD, "-lweft",
                    "-Wl,-rpath," + BUILD)


@each_hubs
def two_songs_take_three_seconds(hubs):
    result = run([songs], hubs, linked=True, threads=2, timeout=20)
    lines = result.out.decode().splitlines()
    for performance in "singing", "dancing":
        check([line for line in lines if line.startswith(performance)]
              == ["%s, verse %d" % (performance, n) for n in (1, 2, 3)], "printed %s" % lines)
    check(len(lines) == 6, "printed %s" % lines)
    for n in 1, 2, 3:
        verses = {line[-1] for line in lines[2 * n - 2:2 * n]}
        check(verses == {str(n)}, "not side by side: %s" % lines)
    check(3 <= result.wall < 5, "took %.2f s" % result.wall)


main()
