/* spin.c -- compute so many rounds, and nothing else
 *
 *   spin ROUNDS
 *
 * Built with -DSLOWER=P it computes P per cent more rounds. The program is the same but for one
 * number, which is read from memory so that it cannot change the code.
 */
#include <stdint.h>
#include <stdlib.h>

#ifndef SLOWER
#define SLOWER 0
#endif

static volatile uint64_t more = SLOWER;

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, state = 88172645463325252;

	rounds += rounds * more / 100;
	while (rounds--) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
	}
	return state == 0; /* never; so the loop is not left out */
}
