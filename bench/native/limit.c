// SPDX-License-Identifier: MIT
// The limit: what a translation costs in C that has been tuned by hand and does nothing but that. A direct-mapped TLB behind
// a table of streams; a walk of four loads; a nested walk of 24.
#include "limit.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
  uint32_t valid, context, hash, pad;
  uint64_t top;
} config;
typedef struct {
  uint64_t tag, data;
} line;

#define MAX_STREAM 1023
static config configs[MAX_STREAM + 1];
static line *lines;
static uint32_t mask;
static workload *w;
static int nested;
static uint8_t device[1 << 20] __attribute__((aligned(64)));

void limit_use(workload *use, int entries, int is_nested) {
  w = use;
  nested = is_nested;
  free(lines);
  lines = aligned_alloc(64, sizeof(line) * entries);
  memset(lines, 0, sizeof(line) * entries);
  mask = entries - 1;
  for (uint32_t i = 0; i < STREAMS; i++) configs[i] = (config){1, i + 1, ((i + 1) * 0x9e3779b1u) << 6, 0, use->stage1};
}

/* Returns 0 and the output with its rights in bits 0 (read) and 1 (write), or a fault. */
INLINE int walk(const workload *m, uint64_t top, uint64_t va, uint32_t need, uint64_t *out) {
  uint64_t table = top, entry;
  for (int level = 0;; level++) {
    entry = load(m, table | (index_of(va, level) << 3));
    if ((entry & 3) != 3) return 1;
    if (level == 3) break;
    table = entry & ADDRESS;
  }
  if (!(entry & ACCESS_FLAG)) return 2;
  uint32_t rights = 1 | (entry & 0x80 ? 0 : 2);
  if ((rights & need) != need) return 3;
  *out = (entry & ADDRESS) | rights;
  return 0;
}

INLINE int walk2(const workload *m, uint64_t ipa, uint32_t need, uint64_t *out) {
  uint64_t table = m->stage2, entry;
  for (int level = 0;; level++) {
    entry = load(m, table | (index_of(ipa, level) << 3));
    if ((entry & 3) != 3) return 17;
    if (level == 3) break;
    table = entry & ADDRESS;
  }
  if (!(entry & ACCESS_FLAG)) return 18;
  uint32_t rights = (entry >> 6) & 3;
  if ((rights & need) != need) return 19;
  *out = (entry & ADDRESS) | rights;
  return 0;
}

INLINE int walk_nested(const workload *m, uint64_t top, uint64_t va, uint32_t need, uint64_t *out) {
  uint64_t table = top, entry, physical;
  int fault;
  for (int level = 0;; level++) {
    if ((fault = walk2(m, table, 1, &physical))) return fault;
    entry = load(m, (physical & ADDRESS) | (index_of(va, level) << 3));
    if ((entry & 3) != 3) return 1;
    table = entry & ADDRESS;
    if (level == 3) break;
  }
  if (!(entry & ACCESS_FLAG)) return 2;
  uint32_t rights = 1 | (entry & 0x80 ? 0 : 2);
  if ((rights & need) != need) return 3;
  if ((fault = walk2(m, table, need, &physical))) return fault;
  *out = (physical & ADDRESS) | (rights & physical & 3);
  return 0;
}

static NOINLINE int miss(const config *c, uint64_t va, uint32_t need, uint64_t *out) {
  return nested ? walk_nested(w, c->top, va, need, out) : walk(w, c->top, va, need, out);
}

INLINE int translate(uint32_t stream, uint64_t va, uint32_t need, uint64_t *physical) {
  if (UNLIKELY(stream > MAX_STREAM)) return 8;
  const config *c = &configs[stream];
  if (UNLIKELY(!c->valid)) return 9;
  uint64_t tag = (va & ~0xfffull) | c->context;
  line *e = &lines[((va >> 12) ^ c->hash) & mask];
  if (UNLIKELY(e->tag != tag)) {
    uint64_t out;
    int fault = miss(c, va, need, &out);
    if (fault) return fault;
    e->tag = tag;
    e->data = out;
  }
  if (UNLIKELY((e->data & need) != need)) return 3;
  *physical = (e->data & ~0xfffull) | (va & 0xfff);
  return 0;
}

INLINE int without_tlb(uint32_t stream, uint64_t va, uint32_t need, uint64_t *physical) {
  if (UNLIKELY(stream > MAX_STREAM)) return 8;
  const config *c = &configs[stream];
  if (UNLIKELY(!c->valid)) return 9;
  uint64_t out;
  int fault = nested ? walk_nested(w, c->top, va, need, &out) : walk(w, c->top, va, need, &out);
  if (fault) return fault;
  *physical = (out & ~0xfffull) | (va & 0xfff);
  return 0;
}

static NOINLINE int translate_call(uint32_t stream, uint64_t va, uint32_t need, uint64_t *physical) { return translate(stream, va, need, physical); }
static NOINLINE int walk_call(uint32_t stream, uint64_t va, uint32_t need, uint64_t *physical) { return without_tlb(stream, va, need, physical); }

#define LOOP(name, function, next)                                                   \
  uint64_t name(void) {                                                              \
    uint64_t sum = 0, physical = 0;                                                  \
    for (int i = 0; i < TRACE; i++) {                                                \
      if (function(w->stream[i], w->va[i] + (next), 1, &physical)) abort();          \
      sum += physical - DATA;                                                        \
    }                                                                                \
    return sum;                                                                      \
  }
LOOP(limit_inline, translate, 0)
LOOP(limit_call, translate_call, 0)
/* The next address waits for the last output. */
LOOP(limit_dependent, translate_call, physical >> 60)
LOOP(limit_walk, walk_call, 0)

uint64_t limit_dma(int bytes, int count) {
  uint64_t sum = 0, physical;
  for (int i = 0; i < count; i++) {
    uint64_t va = bytes < 4096 ? w->va[i] : bytes == 4096 ? w->va[i] & ~0xfffull : VA_BASE + (((w->va[i] - VA_BASE) >> 20) << 20);
    for (int done = 0; done < bytes; done += 4096) {
      int part = bytes < 4096 ? bytes : 4096;
      if (translate(w->stream[bytes > 4096 ? 0 : i], va + done, 1, &physical)) abort();
      memcpy(device + done, w->ram + physical, part);
    }
    __asm__ volatile("" ::"r"(device) : "memory");
    sum += device[i & 63];
  }
  return sum;
}
