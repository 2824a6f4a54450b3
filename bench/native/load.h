// What the parts of the load client share.
#ifndef LOAD_H
#define LOAD_H
#include <stdint.h>
#include <time.h>

// Where the load goes, and what is sent. A `%d` in `get` becomes the number of the stream, a `%s` its word; a `%s` in
// `body` the data.
typedef struct {
  int port;
  const char *get, *post, *body;
  const char *post_headers;
  char **words; // one for each stream; from the first again where there are fewer
  int word_count;
  int window; // connects under way at a time
  int server_pid;
} Options;

// Microseconds of a clock that never goes back, raised to sixteen digits, so that every stamp has the same length.
static inline uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1000000000000000ULL + (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#endif
