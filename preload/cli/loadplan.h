/* loadplan.h -- what a load is to do: the options of `weft load', and what follows from them */
#ifndef CLI_LOADPLAN_H
#define CLI_LOADPLAN_H

#include <stdbool.h>
#include <stdint.h>

#define LOADPLAN_COUNT int64_t
#define LOADPLAN_RATE  double
#define LOADPLAN_TIME  int64_t /* ns */
#define LOADPLAN_TEXT  const char *
#define LOADPLAN_FLAG  bool

struct loadplan {
#define LOAD(field, type, initial, argument, help) LOADPLAN_##type field;
#include "loadplan.def"
#undef LOAD
};

#endif
