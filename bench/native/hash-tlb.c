// SPDX-License-Identifier: MIT
// A TLB of the shape that emulators use: entries in a hash table, keyed by address, ASID, VMID, granule and level, so that a
// hit asks once for each level; a mutex; the configuration in a second hash table; 256 entries, and all of them go when one
// more is to come; maintenance visits every entry.
#include "hash-tlb.h"
#include "table.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ENTRIES 256

typedef struct {
  uint64_t va;
  uint16_t asid, vmid;
  uint8_t granule, level;
} tag;
typedef struct {
  uint64_t va, physical, mask;
  int rights;
  uint8_t level, granule;
} entry;
typedef struct {
  uint32_t stream;
} device;
typedef struct {
  int valid, stage, top_bits, granule, start_level, aborts;
  uint16_t asid, vmid;
  uint64_t top;
} config;

INLINE uint32_t rotate(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }

/* Three words mixed and finished as Bob Jenkins's lookup3 does it. */
static uint32_t tag_hash(const void *p) {
  const tag *k = p;
  uint32_t a, b, c;
  a = b = c = 0xdeadbeef + (uint32_t)sizeof *k;
  a += k->asid + k->vmid + k->level + k->granule;
  b += (uint32_t)k->va;
  c += k->va >> 32;
  a -= c, a ^= rotate(c, 4), c += b;
  b -= a, b ^= rotate(a, 6), a += c;
  c -= b, c ^= rotate(b, 8), b += a;
  a -= c, a ^= rotate(c, 16), c += b;
  b -= a, b ^= rotate(a, 19), a += c;
  c -= b, c ^= rotate(b, 4), b += a;
  c ^= b, c -= rotate(b, 14);
  a ^= c, a -= rotate(c, 11);
  b ^= a, b -= rotate(a, 25);
  c ^= b, c -= rotate(b, 16);
  a ^= c, a -= rotate(c, 4);
  b ^= a, b -= rotate(a, 14);
  c ^= b, c -= rotate(b, 24);
  return c;
}
static int tag_equal(const void *x, const void *y) {
  const tag *a = x, *b = y;
  return a->va == b->va && a->asid == b->asid && a->vmid == b->vmid && a->level == b->level && a->granule == b->granule;
}
static uint32_t pointer_hash(const void *p) { return (uint32_t)((uintptr_t)p >> 4) * 0x9e3779b1u; }
static int pointer_equal(const void *a, const void *b) { return a == b; }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static table *tlb, *configs;
static device devices[STREAMS];
static workload *w;
static int limit_entries;

void hash_use(workload *use, int capped) {
  w = use;
  limit_entries = capped;
  if (tlb) table_remove_if(tlb, NULL, NULL);
  else tlb = table_new(tag_hash, tag_equal), configs = table_new(pointer_hash, pointer_equal);
  for (uint32_t i = 0; i < STREAMS; i++) {
    devices[i].stream = i;
    config *c = table_lookup(configs, &devices[i]);
    if (!c) table_insert(configs, &devices[i], c = calloc(1, sizeof *c));
    *c = (config){1, 1, 48, 12, 0, 0, i + 1, 0, use->stage1};
  }
}

static NOINLINE int load_checked(uint64_t address, uint64_t *out) {
  if (address > RAM_SIZE - 8) return 1;
  *out = load(w, address);
  return 0;
}

static NOINLINE int walk(const config *c, uint64_t va, int need, entry *out) {
  uint64_t table = c->top, descriptor;
  for (int level = c->start_level; level < 4; level++) {
    if (load_checked(table + (index_of(va, level) << 3), &descriptor)) return 1;
    if (!(descriptor & 1)) return 2;
    if (level < 3 && (descriptor & 2)) {
      table = descriptor & ADDRESS;
      continue;
    }
    if (!(descriptor & ACCESS_FLAG)) return 3;
    int rights = descriptor & 0x80 ? 1 : 3;
    if ((rights & need) != need) return 4;
    uint64_t mask = (1ull << (39 - 9 * level)) - 1;
    *out = (entry){va & ~mask, descriptor & ADDRESS & ~mask, mask, rights, level, c->granule};
    return 0;
  }
  return 2;
}

static entry *lookup(const config *c, uint64_t va) {
  for (int level = c->start_level; level < 4; level++) {
    uint64_t mask = (1ull << (39 - 9 * level)) - 1;
    tag key = {va & ~mask, c->asid, c->vmid, c->granule, level};
    entry *found = table_lookup(tlb, &key);
    if (found) return found;
  }
  return NULL;
}

static void insert(const config *c, const entry *made) {
  if (limit_entries && table_count(tlb) >= MOST_ENTRIES) table_remove_if(tlb, NULL, NULL);
  tag *key = malloc(sizeof *key);
  entry *value = malloc(sizeof *value);
  *key = (tag){made->va, c->asid, c->vmid, c->granule, made->level};
  *value = *made;
  table_insert(tlb, key, value);
}

static NOINLINE int translate(device *d, uint64_t va, int need, entry *out) {
  int fault = 0;
  pthread_mutex_lock(&mutex);
  config *c = table_lookup(configs, d);
  if (!c || !c->valid) fault = 8;
  else if (c->aborts) fault = 9;
  else if (va >> c->top_bits) fault = 10;
  else {
    entry *found = lookup(c, va);
    if (found) {
      if ((found->rights & need) != need) fault = 4;
      else *out = *found;
    } else {
      entry made;
      fault = walk(c, va, need, &made);
      if (!fault) insert(c, &made), *out = made;
    }
  }
  pthread_mutex_unlock(&mutex);
  return fault;
}

uint64_t hash_translate(void) {
  uint64_t sum = 0;
  for (int i = 0; i < TRACE; i++) {
    entry out;
    if (translate(&devices[w->stream[i]], w->va[i], 1, &out)) abort();
    sum += (out.physical | (w->va[i] & out.mask)) - DATA;
  }
  return sum;
}

static int has_asid(const void *key, const void *value, const void *with) {
  (void)value;
  return ((const tag *)key)->asid == *(const uint16_t *)with;
}
static int has_page(const void *key, const void *value, const void *with) {
  const tag *k = key, *asked = with;
  return k->asid == asked->asid && (asked->va & ~((const entry *)value)->mask) == k->va;
}

/* Nanoseconds of one command with so many entries of 256 ASIDs: there is no cap on them here. */
double hash_invalidate(int entries, char what) {
  hash_use(w, 0);
  for (int i = 0; i < entries; i++) {
    config c = {.asid = 1 + (i & 255), .granule = 12};
    entry made = {VA_BASE + (uint64_t)(i >> 8) * 4096, DATA, 4095, 3, 3, 12};
    insert(&c, &made);
  }
  uint16_t asid = 8;
  tag page = {VA_BASE, 9, 0, 12, 3};
  double start = now_ns();
  pthread_mutex_lock(&mutex);
  if (what == 'i') table_remove_if(tlb, has_asid, &asid);
  else if (what == 'v') table_remove_if(tlb, has_page, &page);
  else table_remove_if(tlb, NULL, NULL);
  pthread_mutex_unlock(&mutex);
  double spent = now_ns() - start;
  if (table_count(tlb) != (uint32_t)(entries - (what == 'i' ? entries / 256 : what == 'v' ? 1 : entries))) abort();
  return spent;
}
