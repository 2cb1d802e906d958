// SPDX-License-Identifier: MIT
// Answers one line for each line of input, so that the other side can let both take turns:
//   check PAGES PATTERN           -> checksum of the trace, sum of the outputs (32 bits each), 1 if all ways agree
//   run WHAT PAGES PATTERN        -> nanoseconds of one pass over the trace
//   run dma-BYTES PAGES PATTERN COUNT
//   run hash-tlbi-{asid,va,all} ENTRIES
#include "hash-tlb.h"
#include "limit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile uint64_t sink;
static char used[256];

static int entries_for(int pages) { return 4 * pages < 256 ? 256 : 4 * pages; }

/* What limit_dma has to return: of each transfer a byte of its first page, summed up. */
static uint64_t dma_sum(const workload *w, int bytes, int count) {
  uint32_t first = bytes > 4096 ? ~(uint32_t)(bytes / 4096 - 1) : ~0u;
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += (uint8_t)((((uint32_t)((w->va[i] - VA_BASE) >> 12) & first) * 40503u) & (uint32_t)(w->pages - 1));
  return sum;
}

/* Every way to translate that is measured gives the outputs of the first one. @returns whether that is so */
static int check(workload *w, uint64_t *sum) {
  int same = 1;
  limit_use(w, entries_for(w->pages), 0);
  *sum = limit_call();
  same &= limit_call() == *sum && limit_inline() == *sum && limit_dependent() == *sum && limit_walk() == *sum;
  /* Data pages that DMA is measured on: more of them need not be there. */
  for (int bytes = 64; w->pages == 1024 && bytes <= 1 << 20; bytes = bytes == 64 ? 4096 : bytes << 8) {
    workload_data(w);
    same &= limit_dma(bytes, 64) == dma_sum(w, bytes, 64);
  }
  limit_use(w, 256, 0);
  same &= limit_call() == *sum;
  limit_use(w, 256, 1);
  same &= limit_call() == *sum && limit_walk() == *sum;
  hash_use(w, 1);
  same &= hash_translate() == *sum;
  return same;
}

/* Sets up what a subject needs, unless it was the last one, and goes once through it untimed. */
static double run(const char *what, workload *w, const char *key, int count) {
  int dma = !strncmp(what, "dma-", 4), hash = !strncmp(what, "hash-", 5);
  int nested = !strncmp(what, "nested-", 7), few = strstr(what, "miss") != NULL;
  uint64_t (*pass)(void) = hash                       ? hash_translate
                           : strstr(what, "inline")    ? limit_inline
                           : strstr(what, "dependent") ? limit_dependent
                           : strstr(what, "walk")      ? limit_walk
                                                       : limit_call;
  int bytes = dma ? atoi(what + 4) : 0;
  if (strcmp(key, used)) {
    if (hash) hash_use(w, 1);
    else limit_use(w, few ? 256 : entries_for(w->pages), nested);
    if (dma) workload_data(w);
    snprintf(used, sizeof used, "%s", key);
  }
  sink += dma ? limit_dma(bytes, count) : pass();
  double start = now_ns();
  sink += dma ? limit_dma(bytes, count) : pass();
  return now_ns() - start;
}

int main(void) {
  char text[256], verb[16], what[32], pattern[8] = "";
  while (fgets(text, sizeof text, stdin)) {
    int pages = 0, count = 0;
    text[strcspn(text, "\n")] = 0;
    if (sscanf(text, "%15s", verb) != 1) continue;
    if (!strcmp(verb, "check") && sscanf(text, "%*s %d %7s", &pages, pattern) == 2) {
      workload *w = workload_of(pages, pattern);
      if (!w) return 1;
      uint64_t sum;
      int same = check(w, &sum);
      used[0] = 0;
      printf("%u %u %d\n", w->checksum, (uint32_t)sum, same);
    } else if (sscanf(text, "run hash-tlbi-%15s %d", what, &pages) == 2) {
      used[0] = 0;
      hash_use(workload_of(64, "rnd"), 0);
      printf("%.1f\n", hash_invalidate(pages, what[0] == 'a' && what[1] == 's' ? 'i' : what[0]));
    } else if (sscanf(text, "run %31s %d %7s %d", what, &pages, pattern, &count) >= 3) {
      workload *w = workload_of(pages, pattern);
      if (!w) return 1;
      printf("%.1f\n", run(what, w, text, count));
    } else {
      printf("? %s\n", text);
    }
    fflush(stdout);
  }
  return 0;
}
