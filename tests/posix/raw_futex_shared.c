/* raw_futex_shared.c -- raw_futex.c without FUTEX_PRIVATE_FLAG
 *
 * threads: 8
 * kthreads: any
 * blocked: 100
 */
#define FLAG 0
#include "raw_futex.c"
