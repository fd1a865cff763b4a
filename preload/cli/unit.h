/* unit.h -- numbers for people
 *
 * Threads: one.    Errors: none.    Memory: a text holds until the fourth call of the same function.
 */
#ifndef CLI_UNIT_H
#define CLI_UNIT_H

#include <stddef.h>
#include <stdint.h>

const char *unit_grouped(uint64_t n);	   /* a space before each three digits */
const char *unit_time(double ns);	   /* four digits and a unit */
const char *unit_bytes(double bytes);	   /* three digits and a unit, of powers of 1024 */
const char *unit_number(double value);	   /* grouped, or four digits */

#endif
