// SPDX-License-Identifier: MIT
// A hash table that owns its keys and values, as a library has it.
#ifndef TABLE_H
#define TABLE_H
#include <stdint.h>

typedef struct table table;

table *table_new(uint32_t (*hash)(const void *), int (*equal)(const void *, const void *));
uint32_t table_count(const table *t);
/* NULL: there is none. */
void *table_lookup(const table *t, const void *key);
/* Key and value are from malloc; there is none with that key yet. */
void table_insert(table *t, void *key, void *value);
/* Frees all for which it is true; NULL: all. */
void table_remove_if(table *t, int (*which)(const void *key, const void *value, const void *with), const void *with);

#endif
