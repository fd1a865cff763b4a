/* two_songs.c -- one sings, one dances, each once a second, both at the same time
 *
 * What takes gevent.spawn and gevent.sleep in Python, after monkey.patch_all():
 *
 *     cc two_songs.c -lweft && weft run ./a.out
 */
#include <stdio.h>
#include <string.h>

#include <weft.h>

#define VERSES 3

static void *perform(void *what)
{
	for (int verse = 1; verse <= VERSES; verse++) {
		printf("%s, verse %d\n", (const char *)what, verse);
		weft_sleep(WEFT_MS(1000));
	}
	return what;
}

int main(void)
{
	static char singing[] = "singing", dancing[] = "dancing";
	struct weft_task *sing, *dance;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = weft_spawn(&sing, perform, singing);
	if (r == 0)
		r = weft_spawn(&dance, perform, dancing);
	if (r) {
		fprintf(stderr, "two_songs: %s\n", strerror(-r));
		return 1;
	}
	weft_join(sing, NULL, WEFT_FOREVER);
	weft_join(dance, NULL, WEFT_FOREVER);
	weft_put(sing);
	weft_put(dance);
	return 0;
}
