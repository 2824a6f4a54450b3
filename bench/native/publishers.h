// The publishers: keep-alive connections that post events, each one after the other.
#ifndef PUBLISHERS_H
#define PUBLISHERS_H
#include "load.h"
#include <stdbool.h>
#include <stddef.h>

enum { MAX_PUBLISHERS = 256, MAX_DATA_BYTES = 8192 };

typedef struct {
  int fd;
  bool busy; // waits for its answer
  size_t got;
  char *answer;
} Publisher;

typedef struct {
  const Options *options;
  int epoll; // of their own, so that they are looked at before many streams are read
  int timer;
  Publisher all[MAX_PUBLISHERS];
  int connected, count;
  int data_bytes;
  double rate; // events a second; 0: as soon as the last is answered
  uint64_t began_us, until_us;
  uint64_t sent, published, errors;
} Publishers;

void publishers_init(Publishers *p, const Options *options);
// Publishes for some seconds over `count` connections. At a rate, an event bears the time at which it was due.
void publishers_begin(Publishers *p, int count, double seconds, double rate, int data_bytes);
// Reads what was answered and sends what is due. Returns whether there is more to come.
bool publishers_poll(Publishers *p);

#endif
