/* plan.h -- what a load is to do: the options of `weft load', and what follows from them */
#ifndef CLI_LOAD_PLAN_H
#define CLI_LOAD_PLAN_H

#include "option.h"

struct loadplan {
#define LOAD(field, type, initial, argument, help) OPTION_FIELD_##type field;
#include "load/plan.def"
#undef LOAD
};

#endif
