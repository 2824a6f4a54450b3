#define _GNU_SOURCE
#include "publishers.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { ANSWER_BYTES = 16384, REQUEST_BYTES = 4 * MAX_DATA_BYTES, ERRORS_SHOWN = 3, TIMER_MARK = MAX_PUBLISHERS };

void publishers_init(Publishers *p, const Options *options) {
  *p = (Publishers){.options = options, .epoll = epoll_create1(0)};
  p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = TIMER_MARK};
  epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->timer, &event);
}

static void fail(Publishers *p, const char *what) {
  if (p->errors++ < ERRORS_SHOWN) fprintf(stderr, "an event was not published: %.300s\n", what);
}

static bool connect_publisher(Publishers *p, int index) {
  Publisher *publisher = &p->all[index];
  publisher->fd = socket(AF_INET, SOCK_STREAM, 0);
  publisher->busy = false;
  publisher->got = 0;
  if (publisher->answer == NULL) publisher->answer = malloc(ANSWER_BYTES + 1);
  int on = 1;
  setsockopt(publisher->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->options->port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(publisher->fd, (struct sockaddr *)&to, sizeof to) < 0) {
    close(publisher->fd);
    return false;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
  epoll_ctl(p->epoll, EPOLL_CTL_ADD, publisher->fd, &event);
  return true;
}

// The data of an event: its stamp, then filling up to the size that was asked for.
static int write_data(char *to, size_t room, int bytes, uint64_t stamp) {
  int fixed = snprintf(to, room, "{\"t\":%llu,\"pad\":\"\"}", (unsigned long long)stamp);
  int fill = bytes > fixed ? bytes - fixed : 0;
  int length = snprintf(to, room, "{\"t\":%llu,\"pad\":\"", (unsigned long long)stamp);
  memset(to + length, 'x', (size_t)fill);
  memcpy(to + length + fill, "\"}", 3);
  return length + fill + 2;
}

static void publish(Publishers *p, int index, uint64_t stamp) {
  char data[2 * MAX_DATA_BYTES], request[REQUEST_BYTES];
  const Options *o = p->options;
  int data_length = write_data(data, sizeof data, p->data_bytes, stamp);
  const char *mark = strstr(o->body, "%s");
  int before = (int)(mark - o->body);
  int length = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n%s"
                        "Content-Length: %zu\r\n\r\n%.*s%s%s",
                        o->post, o->port, o->post_headers, strlen(o->body) - 2 + (size_t)data_length, before,
                        o->body, data, mark + 2);
  Publisher *publisher = &p->all[index];
  publisher->busy = true;
  p->sent++;
  if (write(publisher->fd, request, (size_t)length) != length) {
    fail(p, strerror(errno));
    publisher->busy = false;
  }
}

// Whether the whole of an answer is there.
static bool is_whole(const char *answer, size_t got) {
  const char *head_end = memmem(answer, got, "\r\n\r\n", 4);
  if (head_end == NULL) return false;
  const char *length = strcasestr(answer, "\r\ncontent-length:");
  if (length != NULL && length < head_end) {
    return got >= (size_t)(head_end + 4 - answer) + strtoul(length + 17, NULL, 10);
  }
  return strcasestr(answer, "chunked") == NULL || memcmp(answer + got - 5, "0\r\n\r\n", 5) == 0;
}

static void read_answer(Publishers *p, int index) {
  Publisher *publisher = &p->all[index];
  ssize_t got = recv(publisher->fd, publisher->answer + publisher->got, ANSWER_BYTES - publisher->got, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 || publisher->got + (size_t)got == ANSWER_BYTES) {
    if (publisher->busy) fail(p, "the connection ended, or an answer is too long");
    close(publisher->fd);
    if (!connect_publisher(p, index)) {
      fprintf(stderr, "the server is gone\n");
      exit(1);
    }
    return;
  }
  publisher->got += (size_t)got;
  publisher->answer[publisher->got] = 0;
  if (!is_whole(publisher->answer, publisher->got)) return;
  if (publisher->answer[9] == '2') p->published++;
  else fail(p, publisher->answer);
  publisher->busy = false;
  publisher->got = 0;
}

void publishers_begin(Publishers *p, int count, double seconds, double rate, int data_bytes) {
  // Anew each time: a server closes a connection that was idle for some seconds, perhaps just when it is written to.
  while (p->connected > 0) close(p->all[--p->connected].fd);
  for (; p->connected < count; p->connected++) {
    if (connect_publisher(p, p->connected)) continue;
    fprintf(stderr, "publishers cannot connect: %s\n", strerror(errno));
    exit(1);
  }
  p->count = count;
  p->rate = rate;
  p->data_bytes = data_bytes;
  p->sent = p->published = p->errors = 0;
  p->began_us = now_us();
  p->until_us = p->began_us + (uint64_t)(seconds * 1e6);
  publishers_poll(p);
}

// Sends from every publisher that waits for nothing. Returns whether any more is to be sent.
static bool send_due(Publishers *p) {
  uint64_t now = now_us();
  if (p->rate == 0) {
    if (now >= p->until_us) return false;
    for (int i = 0; i < p->count; i++) {
      if (!p->all[i].busy) publish(p, i, now_us());
    }
    return true;
  }
  // What no publisher was free for in time is sent late, and its latency counts from when it was due.
  uint64_t due = p->began_us;
  for (int i = 0; i < p->count; i++) {
    due = p->began_us + (uint64_t)((double)p->sent * 1e6 / p->rate);
    if (due >= p->until_us) return false;
    if (due > now) break;
    if (!p->all[i].busy) publish(p, i, due);
  }
  due = p->began_us + (uint64_t)((double)p->sent * 1e6 / p->rate);
  uint64_t wait_us = due > now ? due - now : 1;
  struct itimerspec in = {.it_value = {(time_t)(wait_us / 1000000), (long)(wait_us % 1000000) * 1000}};
  // With all of them waiting, the next answer is what wakes.
  bool any_free = false;
  for (int i = 0; i < p->count; i++) any_free |= !p->all[i].busy;
  if (any_free) timerfd_settime(p->timer, 0, &in, NULL);
  return true;
}

bool publishers_poll(Publishers *p) {
  struct epoll_event events[64];
  int n = epoll_wait(p->epoll, events, 64, 0);
  for (int i = 0; i < n; i++) {
    if (events[i].data.u32 != TIMER_MARK) {
      read_answer(p, (int)events[i].data.u32);
      continue;
    }
    uint64_t expirations;
    if (read(p->timer, &expirations, sizeof expirations) < 0) continue;
  }
  bool more = send_due(p);
  for (int i = 0; i < p->count && !more; i++) more = p->all[i].busy;
  return more;
}
