// A load client for Server-Sent Events, light enough that the server is what is measured. One thread, one epoll loop:
// it opens streams, publishes events over keep-alive connections, counts what arrives, and reads latency from a stamp
// inside each event.
//
//   load-client --port 8090 --get '/connect?user=%d' --post /broadcast --body '{"event":"tick","data":%s}'
//
// It does what stdin tells it, a line a step, and answers each with a line of JSON; the end of stdin ends it.
//
//   open 1000               opens streams until there are so many
//   publish 16 2 0 100      publishes over 16 connections for 2 seconds, each as soon as its last is answered, data of 100 bytes
//   publish 4 2 50.5 100    the same at 50.5 events a second
//   reconnect 500           closes the first 500 streams and opens them again
//
//   listen                  counts what others publish from here on
//   heard 200               waits until 200 events have come to every stream, and answers as `publish` does
//
// Between steps streams are read on, and `idle` answers with what the server holds.
#define _GNU_SOURCE
#include "publishers.h"
#include "server-figures.h"
#include "streams.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  STREAM_EVENTS = 64, // streams read between two looks at the publishers
  PUBLISHERS_MARK = -1,
  STDIN_MARK = -2,
  CONNECT_TIMEOUT_US = 60000000,
  QUIET_US = 5000000, // no delivery for so long: what has not come is lost
  LINE_BYTES = 256,
};

typedef struct {
  Options options;
  int epoll;
  Streams streams;
  Publishers publishers;
  bool publishing, input_ready;
  uint64_t listening_us;
  double listening_server_cpu, listening_client_cpu;
} Client;

// Waits for something to happen, and sees to it.
static void turn(Client *c) {
  struct epoll_event events[STREAM_EVENTS];
  int n = epoll_wait(c->epoll, events, STREAM_EVENTS, 20);
  for (int i = 0; i < n; i++) {
    int mark = (int)events[i].data.u32;
    if (mark == STDIN_MARK) c->input_ready = true;
    else if (mark != PUBLISHERS_MARK) streams_ready(&c->streams, mark, events[i].events);
  }
  if (c->publishing) c->publishing = publishers_poll(&c->publishers);
}

// Connects the streams from `first` up to `end`, a window of them at a time.
static void connect_streams(Client *c, int first, int end) {
  Streams *s = &c->streams;
  int opened_before = s->opened, wanted = end - first, pid = c->options.server_pid;
  double server_cpu = cpu_seconds(pid);
  s->refused = s->dropped = 0;
  for (int i = first; i < end && i < s->used; i++) opened_before -= s->all[i].state == OPEN;
  uint64_t began = now_us();
  for (int next = first; next < end || s->pending > 0;) {
    while (next < end && s->pending < c->options.window) streams_dial(s, next++);
    turn(c);
    if (now_us() - began > CONNECT_TIMEOUT_US) break;
  }
  double seconds = (double)(now_us() - began) / 1e6;
  int opened = s->opened - opened_before;
  printf("{\"wanted\":%d,\"opened\":%d,\"refused\":%d,\"dropped\":%d,\"seconds\":%.4f,\"connectsPerS\":%.0f,"
         "\"serverCpuS\":%.2f,\"rssKb\":%ld}\n",
         wanted, opened, s->refused, s->dropped, seconds, opened / seconds,
         cpu_seconds(pid) - server_cpu, rss_kb(pid));
}

static void publish_events(Client *c, int publishers, double seconds, double rate, int bytes) {
  Streams *s = &c->streams;
  Publishers *p = &c->publishers;
  int pid = c->options.server_pid;
  streams_clear_counts(s);
  s->dropped = 0;
  uint64_t opened = (uint64_t)s->opened;
  double server_cpu = cpu_seconds(pid), client_cpu = cpu_seconds(getpid());
  c->publishing = true;
  publishers_begin(p, publishers, seconds, rate, bytes);
  while (c->publishing) turn(c);
  uint64_t answered = now_us();
  for (;;) {
    uint64_t heard = s->last_delivery_us > answered ? s->last_delivery_us : answered;
    if (s->delivered >= p->published * opened || now_us() - heard > QUIET_US) break;
    turn(c);
  }
  server_cpu = cpu_seconds(pid) - server_cpu;
  client_cpu = cpu_seconds(getpid()) - client_cpu;
  uint64_t end = s->last_delivery_us > answered ? s->last_delivery_us : answered;
  double took = (double)(end - p->began_us) / 1e6;
  printf("{\"streams\":%llu,\"published\":%llu,\"publishErrors\":%llu,\"delivered\":%llu,\"expected\":%llu,"
         "\"streamsShort\":%d,\"disordered\":%llu,\"dropped\":%d,\"seconds\":%.4f,\"deliveriesPerS\":%.0f,"
         "\"publishesPerS\":%.1f,\"megabytesPerS\":%.1f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,"
         "\"serverCpuS\":%.2f,\"clientCpuS\":%.2f,\"rssKb\":%ld}\n",
         (unsigned long long)opened, (unsigned long long)p->published, (unsigned long long)p->errors,
         (unsigned long long)s->delivered, (unsigned long long)(p->published * opened),
         streams_short_of(s, p->published),
         // Several publishers stamp at the same time, and their events may pass each other on the way.
         publishers == 1 ? (unsigned long long)s->disordered : 0ULL, s->dropped, took,
         (double)s->delivered / took, (double)p->published / took, (double)s->bytes / took / 1e6,
         latencies_ms(s->latencies, 0.5), latencies_ms(s->latencies, 0.99), (double)s->latencies->max_us / 1000.0,
         server_cpu, client_cpu, rss_kb(pid));
}

static void listen_from_here(Client *c) {
  streams_clear_counts(&c->streams);
  c->streams.dropped = 0;
  c->listening_us = now_us();
  c->listening_server_cpu = cpu_seconds(c->options.server_pid);
  c->listening_client_cpu = cpu_seconds(getpid());
  printf("{\"listening\":true}\n");
}

// What was published by somebody else since `listen`. Its order is that of several publishers: nobody's.
static void hear_events(Client *c, unsigned long long published) {
  Streams *s = &c->streams;
  int pid = c->options.server_pid;
  unsigned long long opened = (unsigned long long)s->opened;
  uint64_t asked = now_us();
  for (;;) {
    uint64_t heard = s->last_delivery_us > asked ? s->last_delivery_us : asked;
    if (s->delivered >= published * opened || now_us() - heard > QUIET_US) break;
    turn(c);
  }
  double took = (double)(s->last_delivery_us - c->listening_us) / 1e6;
  printf("{\"streams\":%llu,\"published\":%llu,\"publishErrors\":0,\"delivered\":%llu,\"expected\":%llu,"
         "\"streamsShort\":%d,\"disordered\":0,\"dropped\":%d,\"seconds\":%.4f,\"deliveriesPerS\":%.0f,"
         "\"publishesPerS\":%.1f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,"
         "\"serverCpuS\":%.2f,\"clientCpuS\":%.2f,\"rssKb\":%ld}\n",
         opened, published, (unsigned long long)s->delivered, published * opened, streams_short_of(s, published),
         s->dropped, took, (double)s->delivered / took, (double)published / took,
         latencies_ms(s->latencies, 0.5), latencies_ms(s->latencies, 0.99), (double)s->latencies->max_us / 1000.0,
         cpu_seconds(pid) - c->listening_server_cpu, cpu_seconds(getpid()) - c->listening_client_cpu, rss_kb(pid));
}

static void step(Client *c, const char *line) {
  int count, bytes;
  unsigned long long published;
  double seconds, rate;
  if (sscanf(line, "open %d", &count) == 1) {
    int used = c->streams.used;
    streams_reserve(&c->streams, count);
    connect_streams(c, used, count);
  } else if (sscanf(line, "reconnect %d", &count) == 1 && count <= c->streams.used) {
    connect_streams(c, 0, count);
  } else if (sscanf(line, "publish %d %lf %lf %d", &count, &seconds, &rate, &bytes) == 4 &&
             count <= MAX_PUBLISHERS && bytes <= MAX_DATA_BYTES) {
    publish_events(c, count, seconds, rate, bytes);
  } else if (strcmp(line, "listen") == 0) {
    listen_from_here(c);
  } else if (sscanf(line, "heard %llu", &published) == 1) {
    hear_events(c, published);
  } else if (strcmp(line, "idle") == 0) {
    printf("{\"streams\":%d,\"dropped\":%d,\"rssKb\":%ld}\n", c->streams.opened, c->streams.dropped,
           rss_kb(c->options.server_pid));
  } else {
    fprintf(stderr, "not a step: %s\n", line);
    exit(1);
  }
  fflush(stdout);
}

// Takes the steps that stdin gives, until it ends.
static void follow_input(Client *c) {
  char lines[LINE_BYTES];
  size_t held = 0;
  for (;;) {
    c->input_ready = false;
    while (!c->input_ready) turn(c);
    ssize_t got = read(STDIN_FILENO, lines + held, sizeof lines - held);
    if (got <= 0) return;
    held += (size_t)got;
    char *end;
    while ((end = memchr(lines, '\n', held)) != NULL) {
      *end = 0;
      step(c, lines);
      held -= (size_t)(end + 1 - lines);
      memmove(lines, end + 1, held);
    }
    if (held == sizeof lines) return;
  }
}

static void allow_many_files(void) {
  struct rlimit limit = {1 << 20, 1 << 20};
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  // Only root may go beyond what it was given.
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// One word a line.
static void read_words(Options *o, const char *path) {
  FILE *file = fopen(path, "r");
  char *line = NULL;
  size_t size = 0;
  int room = 0;
  for (ssize_t length; file != NULL && (length = getline(&line, &size, file)) > 0;) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    if (o->word_count == room) o->words = realloc(o->words, sizeof(char *) * (size_t)(room = room * 2 + 1024));
    o->words[o->word_count++] = strdup(line);
  }
  if (o->word_count == 0) {
    fprintf(stderr, "%s holds no words\n", path);
    exit(1);
  }
  free(line);
  fclose(file);
}

static Options read_options(int argc, char **argv) {
  Options o = {.get = "/", .post = "/", .body = "%s", .post_headers = "", .window = 200};
  static const struct option known[] = {
      {"port", 1, 0, 'p'},  {"get", 1, 0, 'g'},         {"post", 1, 0, 'P'},   {"body", 1, 0, 'b'},
      {"post-header", 1, 0, 'h'}, {"window", 1, 0, 'w'}, {"pid", 1, 0, 'i'}, {"words", 1, 0, 'W'},
      {0, 0, 0, 0},
  };
  static char header[1024];
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (c) {
    case 'p': o.port = atoi(optarg); break;
    case 'g': o.get = optarg; break;
    case 'P': o.post = optarg; break;
    case 'b': o.body = optarg; break;
    case 'w': o.window = atoi(optarg); break;
    case 'W': read_words(&o, optarg); break;
    case 'i': o.server_pid = atoi(optarg); break;
    case 'h':
      snprintf(header, sizeof header, "%s\r\n", optarg);
      o.post_headers = header;
      break;
    default: exit(1);
    }
  }
  if (o.port == 0 || strstr(o.body, "%s") == NULL) {
    fprintf(stderr, "--port is needed, and --body holds a %%s for the data\n");
    exit(1);
  }
  return o;
}

int main(int argc, char **argv) {
  Client c = {.options = read_options(argc, argv), .epoll = epoll_create1(0)};
  allow_many_files();
  streams_init(&c.streams, &c.options, c.epoll);
  publishers_init(&c.publishers, &c.options);
  struct epoll_event publishers = {.events = EPOLLIN, .data.u32 = (uint32_t)PUBLISHERS_MARK};
  epoll_ctl(c.epoll, EPOLL_CTL_ADD, c.publishers.epoll, &publishers);
  struct epoll_event input = {.events = EPOLLIN, .data.u32 = (uint32_t)STDIN_MARK};
  epoll_ctl(c.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
  follow_input(&c);
  return 0;
}
