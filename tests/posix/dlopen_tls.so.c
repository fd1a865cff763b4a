/* dlopen_tls.so.c -- the shared object of dlopen_tls.c: thread-local variables of its own
 *
 * dlopen_tls_static.so.c makes the same object with a block of static TLS, which must be small.
 *
 * flags: -shared -fPIC
 */
#ifndef BLOCK
#define BLOCK 5000
#define MODEL "global-dynamic"
#endif

static __thread int dynamic_value = 11;
static __thread char dynamic_block[BLOCK];
static __thread int static_value __attribute__((tls_model(MODEL))) = 22;

__thread int exported = 33;

int block_size(void);
int *dynamic_address(void);
char *block_address(void);
int *static_address(void);
int *exported_address(void);

int block_size(void)
{
	return BLOCK;
}

int *dynamic_address(void)
{
	return &dynamic_value;
}

char *block_address(void)
{
	return dynamic_block;
}

int *static_address(void)
{
	return &static_value;
}

int *exported_address(void)
{
	return &exported;
}
