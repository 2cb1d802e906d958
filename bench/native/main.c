// SPDX-License-Identifier: MIT
// Answers one line for each line of input, so that the other side can let both take turns:
//   check PAGES PATTERN           -> checksum of the trace, sum of the outputs (32 bits each)
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
      limit_use(w, entries_for(pages), 0);
      uint64_t sum = limit_call(), walked = limit_walk();
      limit_use(w, 256, 1);
      uint64_t nested = limit_call();
      hash_use(w, 1);
      uint64_t hashed = hash_translate();
      used[0] = 0;
      printf("%u %u %d\n", w->checksum, (uint32_t)sum, sum == walked && sum == nested && sum == hashed);
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
