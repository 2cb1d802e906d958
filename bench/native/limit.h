// SPDX-License-Identifier: MIT
#ifndef LIMIT_H
#define LIMIT_H
#include "workload.h"

void limit_use(workload *w, int entries, int nested);
uint64_t limit_inline(void);
uint64_t limit_call(void);
uint64_t limit_dependent(void);
uint64_t limit_walk(void);
uint64_t limit_dma(int bytes, int count);

#endif
