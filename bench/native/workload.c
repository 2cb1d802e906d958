// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "workload.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint64_t new_table(workload *w) {
  uint64_t at = w->next_table;
  w->next_table += 4096;
  return at;
}

static void map(workload *w, uint64_t top, uint64_t va, uint64_t leaf) {
  uint64_t table = top;
  for (int level = 0; level < 3; level++) {
    uint64_t *entry = (uint64_t *)(w->ram + table) + index_of(va, level);
    if (!(*entry & 1)) *entry = new_table(w) | 3;
    table = *entry & ADDRESS;
  }
  ((uint64_t *)(w->ram + table))[index_of(va, 3)] = leaf | ACCESS_FLAG | 3;
}

static workload *make(int pages, const char *pattern) {
  workload *w = calloc(1, sizeof *w);
  w->pages = pages;
  strncpy(w->pattern, pattern, 3);
  w->ram = mmap(0, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (w->ram == MAP_FAILED) return NULL;
  w->next_table = 1 << 20;
  w->stage1 = new_table(w);
  for (int page = 0; page < pages; page++) {
    uint64_t scattered = (page * 40503u) & (uint32_t)(pages - 1);
    map(w, w->stage1, VA_BASE + (uint64_t)page * 4096, (DATA + scattered * 4096) | 0x40);
  }
  uint64_t end = w->next_table;
  w->stage2 = new_table(w);
  for (uint64_t at = 0; at < end; at += 4096) map(w, w->stage2, at, at | 0xc0);
  for (int page = 0; page < pages; page++) map(w, w->stage2, DATA + (uint64_t)page * 4096, (DATA + (uint64_t)page * 4096) | 0xc0);
  uint32_t random = 12345, checksum = 0x811c9dc5;
  for (int i = 0; i < TRACE; i++) {
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    uint32_t page = (*pattern == 'r' ? random : *pattern == 's' && pattern[1] == 'e' ? (uint32_t)i : (uint32_t)i * STRIDE) & (pages - 1);
    w->stream[i] = page & (STREAMS - 1);
    w->va[i] = VA_BASE + (uint64_t)page * 4096 + ((i * 64) & 0xfff);
    uint32_t words[3] = {w->stream[i], (uint32_t)(w->va[i] >> 32), (uint32_t)w->va[i]};
    for (int k = 0; k < 3; k++) checksum = (checksum ^ words[k]) * 0x01000193u;
  }
  w->checksum = checksum;
  return w;
}

workload *workload_of(int pages, const char *pattern) {
  static workload *known[32];
  int i = 0;
  for (; i < 32 && known[i]; i++)
    if (known[i]->pages == pages && !strncmp(known[i]->pattern, pattern, 3)) return known[i];
  return i < 32 ? (known[i] = make(pages, pattern)) : NULL;
}

void workload_data(workload *w) {
  if (w->data_ready) return;
  for (int page = 0; page < w->pages; page++) memset(w->ram + DATA + (uint64_t)page * 4096, page, 4096);
  w->data_ready = 1;
}
