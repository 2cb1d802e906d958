// SPDX-License-Identifier: MIT
// The hash table behind hash-tlb.c where glib's is not to be had: chains of nodes, sizes that are primes.
#include "table.h"
#include <stdlib.h>

typedef struct node {
  struct node *next;
  void *key, *value;
  uint32_t hash;
} node;
struct table {
  node **buckets;
  uint32_t size, count;
  uint32_t (*hash)(const void *);
  int (*equal)(const void *, const void *);
};

/* Primes below powers of two: a bucket is a remainder. */
static uint32_t next_size(uint32_t size) {
  static const uint32_t sizes[] = {7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071, 262139};
  int i = 0;
  while (i < 15 && sizes[i] <= size) i++;
  return sizes[i];
}

table *table_new(uint32_t (*hash)(const void *), int (*equal)(const void *, const void *)) {
  table *t = calloc(1, sizeof *t);
  t->size = next_size(0);
  t->buckets = calloc(t->size, sizeof(node *));
  t->hash = hash;
  t->equal = equal;
  return t;
}

static void table_grow(table *t) {
  uint32_t size = next_size(t->size);
  node **buckets = calloc(size, sizeof(node *));
  for (uint32_t i = 0; i < t->size; i++)
    for (node *n = t->buckets[i], *next; n; n = next) {
      next = n->next;
      n->next = buckets[n->hash % size];
      buckets[n->hash % size] = n;
    }
  free(t->buckets);
  t->buckets = buckets;
  t->size = size;
}

/* Small again, as hash tables of libraries are when all has been removed. */
static void table_shrink(table *t) {
  free(t->buckets);
  t->size = next_size(0);
  t->buckets = calloc(t->size, sizeof(node *));
}

void *table_lookup(const table *t, const void *key) {
  uint32_t hash = t->hash(key);
  for (node *n = t->buckets[hash % t->size]; n; n = n->next)
    if (n->hash == hash && t->equal(n->key, key)) return n->value;
  return NULL;
}

void table_insert(table *t, void *key, void *value) {
  if (t->count >= t->size) table_grow(t);
  node *n = malloc(sizeof *n);
  n->hash = t->hash(key);
  n->key = key;
  n->value = value;
  n->next = t->buckets[n->hash % t->size];
  t->buckets[n->hash % t->size] = n;
  t->count++;
}

void table_remove_if(table *t, int (*which)(const void *key, const void *value, const void *with), const void *with) {
  for (uint32_t i = 0; i < t->size; i++)
    for (node **at = &t->buckets[i], *n; (n = *at);) {
      if (which && !which(n->key, n->value, with)) {
        at = &n->next;
        continue;
      }
      *at = n->next;
      free(n->key);
      free(n->value);
      free(n);
      t->count--;
    }
  if (t->count == 0) table_shrink(t);
}

uint32_t table_count(const table *t) { return t->count; }
