// SPDX-License-Identifier: MIT
#ifndef HASH_TLB_H
#define HASH_TLB_H
#include "workload.h"

/* Empties the TLB. capped: 256 entries, as emulators have it. */
void hash_use(workload *w, int capped);
uint64_t hash_translate(void);
double hash_invalidate(int entries, char what);

#endif
