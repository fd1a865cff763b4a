/* conf.h -- the WEFT_* options, read once from the environment
 *
 * Bad values keep the default and are named in a log line. Threads: read-only after conf_read.
 */
#ifndef CORE_CONF_H
#define CORE_CONF_H

#include "base.h"

struct conf {
#define OPT_INT(field) int field;
#define OPT_FLAG(field) bool field;
#define OPT_LEVEL(field) int field;
#define OPT_TEXT(field) const char *field;
#define OPT(field, type, dflt, name, arg, help) OPT_##type(field)
#include "conf.def"
#undef OPT
};

extern struct conf conf;

/* conf_read -- take the options from an environment; texts are copied. */
void conf_read(char **environ);

/* conf_lists -- does a comma separated list name this word, or `all'? */
bool conf_lists(const char *list, const char *word);

#endif
