// SPDX-License-Identifier: MIT
// The hash table behind hash-tlb.c: the one that QEMU uses.
#include "table.h"
#include <glib.h>
#include <stdlib.h>

/* The functions' types differ in names alone: guint and gboolean are what they look like. */
table *table_new(uint32_t (*hash)(const void *), int (*equal)(const void *, const void *)) {
  return (table *)g_hash_table_new_full(hash, equal, free, free);
}

uint32_t table_count(const table *t) { return g_hash_table_size((GHashTable *)t); }

void *table_lookup(const table *t, const void *key) { return g_hash_table_lookup((GHashTable *)t, key); }

void table_insert(table *t, void *key, void *value) { g_hash_table_insert((GHashTable *)t, key, value); }

typedef struct {
  int (*which)(const void *key, const void *value, const void *with);
  const void *with;
} asked;

static gboolean is_asked(void *key, void *value, void *data) {
  const asked *a = data;
  return a->which(key, value, a->with);
}

void table_remove_if(table *t, int (*which)(const void *key, const void *value, const void *with), const void *with) {
  if (which) g_hash_table_foreach_remove((GHashTable *)t, is_asked, &(asked){which, with});
  else g_hash_table_remove_all((GHashTable *)t);
}
