// SPDX-License-Identifier: MIT
// The workload of bench/workload.mjs once more: page tables in flat RAM and a trace of accesses. Whoever changes one changes the other.
#ifndef WORKLOAD_H
#define WORKLOAD_H
#include <stdint.h>

#define TRACE 0x10000
#define VA_BASE 0x7f1200000000ull
#define STRIDE 37
#define STREAMS 4
#define RAM_SIZE (512ull << 20)
#define DATA (256ull << 20)

typedef struct {
  int pages;
  char pattern[4];
  uint8_t *ram;
  /* Top tables: of stage 1 alone; of stage 2, which maps stage 1's tables and the data one to one. */
  uint64_t stage1, stage2;
  uint64_t next_table;
  uint32_t stream[TRACE];
  uint64_t va[TRACE];
  uint32_t checksum;
  int data_ready;
} workload;

/* Made at the first call, kept for the next one. NULL: too many. */
workload *workload_of(int pages, const char *pattern);
/* Puts bytes into the data pages. */
void workload_data(workload *w);
/* What this thread has computed: time in which others have the processor does not count, as bench/measure.mjs has it. */
double now_ns(void);

#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ADDRESS 0x0000fffffffff000ull
#define ACCESS_FLAG 0x400

INLINE uint64_t load(const workload *w, uint64_t address) { return *(const uint64_t *)(w->ram + address); }
INLINE unsigned index_of(uint64_t va, int level) { return (va >> (39 - 9 * level)) & 511; }

#endif
