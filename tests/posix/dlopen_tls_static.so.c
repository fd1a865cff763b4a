/* dlopen_tls_static.so.c -- dlopen_tls.so.c with a variable that needs static TLS
 *
 * flags: -shared -fPIC
 */
#define BLOCK 100
#define MODEL "initial-exec"
#include "dlopen_tls.so.c"
