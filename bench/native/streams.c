#define _GNU_SOURCE
#include "streams.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  STREAMS_AN_ADDRESS = 20000, // an address has about 28,000 ports to connect from
  REST_BYTES = 16384,         // the longest line that may be cut by the end of a read
  READ_BYTES = 1 << 18,
  REFUSALS_SHOWN = 3,
};

void streams_init(Streams *s, const Options *options, int epoll) {
  *s = (Streams){.options = options, .epoll = epoll, .latencies = calloc(1, sizeof(Latencies))};
}

void streams_reserve(Streams *s, int count) {
  if (count <= s->capacity) return;
  s->all = realloc(s->all, (size_t)count * sizeof *s->all);
  memset(s->all + s->capacity, 0, (size_t)(count - s->capacity) * sizeof *s->all);
  s->capacity = count;
}

static void close_stream(Stream *stream) {
  close(stream->fd);
  stream->state = CLOSED;
  stream->kept = 0;
}

static void refuse(Streams *s, Stream *stream, const char *why) {
  if (s->refused++ < REFUSALS_SHOWN) fprintf(stderr, "a stream was refused: %.300s\n", why);
  if (stream->fd >= 0) close_stream(stream);
}

void streams_dial(Streams *s, int index) {
  Stream *stream = &s->all[index];
  if (stream->state == OPEN) {
    s->opened--;
    close_stream(stream);
  }
  if (index >= s->used) s->used = index + 1;
  *stream = (Stream){.state = CONNECTING, .rest = stream->rest};
  stream->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (stream->fd < 0) {
    stream->state = CLOSED;
    refuse(s, stream, strerror(errno));
    return;
  }
  int on = 1;
  setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // The port is chosen when connecting, where the kernel knows the other end: so it may be one in use elsewhere.
  setsockopt(stream->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in from = {.sin_family = AF_INET};
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index / STREAMS_AN_ADDRESS));
  bind(stream->fd, (struct sockaddr *)&from, sizeof from);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->options->port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(stream->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
    refuse(s, stream, strerror(errno));
    return;
  }
  s->pending++;
  struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)index};
  epoll_ctl(s->epoll, EPOLL_CTL_ADD, stream->fd, &event);
}

static void send_request(Streams *s, Stream *stream, int index) {
  char request[4096], path[2048];
  const char *get = s->options->get, *mark = strstr(get, "%d"), *word = strstr(get, "%s");
  if (word != NULL && s->options->word_count > 0)
    snprintf(path, sizeof path, "%.*s%s%s", (int)(word - get), get, s->options->words[index % s->options->word_count],
             word + 2);
  else if (mark != NULL) snprintf(path, sizeof path, "%.*s%d%s", (int)(mark - get), get, index, mark + 2);
  else snprintf(path, sizeof path, "%s", get);
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n", path,
                        s->options->port);
  if (write(stream->fd, request, (size_t)length) != length) {
    s->pending--;
    refuse(s, stream, strerror(errno));
    return;
  }
  stream->state = HEADERS;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = (uint32_t)index};
  epoll_ctl(s->epoll, EPOLL_CTL_MOD, stream->fd, &event);
}

static void keep(Stream *stream, const char *from, size_t length) {
  if (length > REST_BYTES) {
    fprintf(stderr, "a line is longer than %d bytes\n", REST_BYTES);
    exit(1);
  }
  if (stream->rest == NULL) stream->rest = malloc(REST_BYTES);
  memcpy(stream->rest, from, length);
  stream->kept = (uint32_t)length;
}

// Counts the data lines that bear a stamp. Lines of chunk sizes are passed over like any other: every server here
// puts a frame into one chunk, and one that would not is found out by events that are missing.
static void count_events(Streams *s, Stream *stream, const char *at, const char *end, uint64_t now) {
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (line_end == NULL) {
      keep(stream, at, (size_t)(end - at));
      return;
    }
    if (line_end - at > 5 && memcmp(at, "data:", 5) == 0) {
      const char *mark = memmem(at, (size_t)(line_end - at), "\"t\":", 4);
      if (mark != NULL) {
        uint64_t stamp = strtoull(mark + 4, NULL, 10);
        s->delivered++;
        stream->events++;
        if (stamp < stream->last_stamp) s->disordered++;
        stream->last_stamp = stamp;
        latencies_add(s->latencies, stamp < now ? now - stamp : 0);
        s->last_delivery_us = now;
      }
    }
    at = line_end + 1;
  }
}

void streams_ready(Streams *s, int index, uint32_t events) {
  static char buffer[REST_BYTES + READ_BYTES];
  Stream *stream = &s->all[index];
  if (stream->state == CLOSED) return;
  if (stream->state == CONNECTING && (events & (EPOLLERR | EPOLLHUP)) == 0) {
    send_request(s, stream, index);
    return;
  }
  size_t kept = stream->kept;
  if (kept > 0) memcpy(buffer, stream->rest, kept);
  stream->kept = 0;
  ssize_t got = read(stream->fd, buffer + kept, READ_BYTES);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    stream->kept = (uint32_t)kept;
    return;
  }
  if (got <= 0) {
    if (stream->state == OPEN) {
      s->opened--;
      s->dropped++;
      close_stream(stream);
    } else {
      s->pending--;
      refuse(s, stream, got < 0 ? strerror(errno) : "closed without an answer");
    }
    return;
  }
  s->bytes += (uint64_t)got;
  const char *at = buffer, *end = buffer + kept + got;
  if (stream->state == HEADERS) {
    const char *body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    if (body == NULL) {
      keep(stream, at, (size_t)(end - at));
      return;
    }
    s->pending--;
    if (memcmp(at, "HTTP/1.1 200", 12) != 0) {
      buffer[kept + (size_t)got] = 0;
      refuse(s, stream, buffer);
      return;
    }
    stream->state = OPEN;
    s->opened++;
    at = body + 4;
  }
  count_events(s, stream, at, end, now_us());
}

void streams_clear_counts(Streams *s) {
  for (int i = 0; i < s->used; i++) s->all[i].events = s->all[i].last_stamp = 0;
  s->delivered = s->disordered = s->bytes = s->last_delivery_us = 0;
  latencies_clear(s->latencies);
}

int streams_short_of(const Streams *s, uint64_t events) {
  int count = 0;
  for (int i = 0; i < s->used; i++) count += s->all[i].state == OPEN && s->all[i].events != events;
  return count;
}
