/* weft.h -- everything that Weft offers to a C or C++ program */
#ifndef WEFT_H
#define WEFT_H

#include "weft/base.h"
#include "weft/task.h"

#endif
