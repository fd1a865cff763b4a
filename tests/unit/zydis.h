/* zydis.h -- a second opinion on instructions: Zydis 4, where it is installed
 *
 * Older distributions have an older one with other calls, or none: then HAVE_ZYDIS is not defined, and what needs it is skipped.
 */
#ifndef TESTS_UNIT_ZYDIS_H
#define TESTS_UNIT_ZYDIS_H

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>
#ifdef ZYDIS_MAX_OPERAND_COUNT_VISIBLE /* of 4.0 and later */
#define HAVE_ZYDIS 1
#endif
#endif

#endif
