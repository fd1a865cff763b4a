"""The library is all that is needed: no other object is loaded for it, and none is looked for.

Before 2.34 a part of glibc is a file of its own, libdl, which a program may not have.
"""
import re
import shutil
import unittest

from cli import *

THREADS = """
#include <pthread.h>
#include <stdio.h>
#include <string.h>
static void *work(void *arg) { return arg; }
int main(void)
{
	char line[4096];
	pthread_t thread;
	if (pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL))
		return 1;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, ".so"))
			fputs(strrchr(line, '/') + 1, stdout);
	return 3;
}
"""


@unittest.skipUnless(real, "the library is not built")
class Alone(Case):
    def objects(self, **variables):
        """The names of the objects that are mapped once the program has had a thread."""
        status, out, err = output_of([compile("threads", THREADS, "-pthread")], environment(**variables))
        self.assertEqual((status, err), (3, ""))
        return {name for name in out.split() if not re.fullmatch(r"libdl-2\.([12]\d|3[0-3])\.so", name)}

    def test_no_other_object_is_loaded(self):
        native = self.objects()
        active = self.objects(LD_PRELOAD=library, WEFT_REQUIRE="1")
        self.assertEqual(active - native, {os.path.basename(library)})

    def test_objects_that_the_program_does_not_know_are_searched_as_well(self):
        """Without the file of what is known of libc."""
        os.makedirs(path("bare"), exist_ok=True)
        shutil.copy(library, path("bare/libweft.so"))
        pages = path("stats")
        native = self.objects()
        active = self.objects(LD_PRELOAD=path("bare/libweft.so"), WEFT_REQUIRE="1", WEFT_STATS=pages)
        self.assertEqual(active - native, {"libweft.so"})
        status, out, err = self.command("stats", "--raw", pages)
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"(?m)^sites_known 0$")
        self.assertRegex(out, r"(?m)^sites [1-9]\d+$")


if __name__ == "__main__":
    main()
