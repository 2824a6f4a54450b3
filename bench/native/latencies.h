// A histogram of latencies: a bucket a microsecond up to 65 ms, beyond that one for every 64 microseconds, up to 4 s.
#ifndef LATENCIES_H
#define LATENCIES_H
#include <stdint.h>
#include <string.h>

enum { FINE = 1 << 16, COARSE = 1 << 16, COARSE_US = 64 };

typedef struct {
  uint32_t buckets[FINE + COARSE];
  uint64_t count, max_us;
} Latencies;

static inline void latencies_clear(Latencies *l) { memset(l, 0, sizeof *l); }

static inline void latencies_add(Latencies *l, uint64_t us) {
  uint64_t at = us < FINE ? us : FINE + (us - FINE) / COARSE_US;
  if (at >= FINE + COARSE) at = FINE + COARSE - 1;
  l->buckets[at]++;
  l->count++;
  if (us > l->max_us) l->max_us = us;
}

// The latency that a share of all stayed below, in ms.
static inline double latencies_ms(const Latencies *l, double share) {
  uint64_t wanted = (uint64_t)((double)l->count * share), seen = 0;
  for (int i = 0; i < FINE + COARSE; i++) {
    seen += l->buckets[i];
    if (seen > wanted) return (i < FINE ? i : FINE + (double)(i - FINE) * COARSE_US) / 1000.0;
  }
  return (double)l->max_us / 1000.0;
}

#endif
