// The open streams: connects them, reads them, counts what they get.
#ifndef STREAMS_H
#define STREAMS_H
#include "latencies.h"
#include "load.h"
#include <stddef.h>

typedef enum { UNUSED, CONNECTING, HEADERS, OPEN, CLOSED } StreamState;

typedef struct {
  int fd;
  StreamState state;
  uint32_t kept; // bytes of a line that has not ended yet
  char *rest;    // those bytes; made when first needed
  uint64_t events, last_stamp;
} Stream;

typedef struct {
  const Options *options;
  int epoll;
  Stream *all;
  int capacity, used;
  int opened, pending, refused, dropped;
  uint64_t delivered, disordered, bytes, last_delivery_us;
  Latencies *latencies;
} Streams;

void streams_init(Streams *s, const Options *options, int epoll);
// Raises the number of streams that are wanted to `count`; they are opened by streams_dial.
void streams_reserve(Streams *s, int count);
// Begins to connect stream `index`; a stream that is open is closed before.
void streams_dial(Streams *s, int index);
// What epoll said about stream `index`.
void streams_ready(Streams *s, int index, uint32_t events);
// Forgets what was counted; the streams stay open.
void streams_clear_counts(Streams *s);
// How many open streams did not get exactly `events` since the counts were cleared.
int streams_short_of(const Streams *s, uint64_t events);

#endif
