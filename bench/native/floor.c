// The floor: what one core can deliver when it does nothing else. One thread, one epoll loop. A GET is answered with
// the head of a stream; a POST of {"event":…,"data":…} makes one frame, writes it to each stream with one `write`,
// and is answered when that is done. It keeps nothing, checks nothing, and believes its client.
//
// The frame stands in a chunk of its own, as the other servers speak chunks, too: so all send the same bytes. It bears
// the data that was posted, which is one copy an event and not one a stream; latency is read from it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FILES = 1 << 20, REQUEST_BYTES = 16384, EVENTS_A_TURN = 64, BACKLOG = 16384 };

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                                  "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char PUBLISHED[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
                                "Content-Length: 16\r\n\r\n{\"success\":true}";

typedef struct {
  char *bytes; // of a request that is not whole yet
  size_t got;
  int place; // among the streams, from 1; 0: not a stream
} Connection;

typedef struct {
  int epoll, listener;
  Connection *by_fd;
  int *streams; // their file descriptors
  int count;
} Floor;

// Writes all of it; where the kernel takes no more, it waits for this one reader, as it has nothing else to do.
static void write_whole(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno == EAGAIN) {
      struct pollfd ready = {.fd = fd, .events = POLLOUT};
      poll(&ready, 1, -1);
    } else if (written < 0) {
      return; // it is gone, as epoll will say
    } else {
      bytes += written;
      length -= (size_t)written;
    }
  }
}

static void add_stream(Floor *f, int fd) {
  f->streams[f->count++] = fd;
  f->by_fd[fd].place = f->count;
  write_whole(fd, STREAM_HEAD, sizeof STREAM_HEAD - 1);
}

static void close_connection(Floor *f, int fd) {
  int place = f->by_fd[fd].place;
  if (place > 0) {
    // The last one takes its place.
    int last = f->streams[--f->count];
    f->streams[place - 1] = last;
    f->by_fd[last].place = place;
  }
  free(f->by_fd[fd].bytes);
  f->by_fd[fd] = (Connection){0};
  close(fd);
}

static void publish(Floor *f, const char *body, size_t length) {
  static char frame[REQUEST_BYTES + 256], chunk[REQUEST_BYTES + 512];
  const char *data = memmem(body, length, "\"data\":", 7);
  if (data == NULL) return;
  data += 7;
  int data_length = (int)(body + length - 1 - data); // up to the brace that ends the whole
  int frame_length = snprintf(frame, sizeof frame, "event: tick\ndata: %.*s\n\n", data_length, data);
  int chunk_length = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)frame_length, frame);
  for (int i = 0; i < f->count; i++) write_whole(f->streams[i], chunk, (size_t)chunk_length);
}

// Reads what came; sees to the request when it is whole.
static void read_request(Floor *f, int fd) {
  Connection *connection = &f->by_fd[fd];
  if (connection->bytes == NULL) connection->bytes = malloc(REQUEST_BYTES + 1);
  ssize_t got = read(fd, connection->bytes + connection->got, REQUEST_BYTES - connection->got);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    close_connection(f, fd);
    return;
  }
  connection->got += (size_t)got;
  char *request = connection->bytes;
  request[connection->got] = 0;
  char *head_end = strstr(request, "\r\n\r\n");
  if (head_end == NULL) return;
  char *body = head_end + 4;
  if (request[0] == 'G') {
    free(connection->bytes);
    connection->bytes = NULL;
    connection->got = 0;
    if (connection->place == 0) add_stream(f, fd);
    return;
  }
  char *header = strcasestr(request, "\r\ncontent-length:");
  size_t length = header == NULL ? 0 : strtoul(header + 17, NULL, 10);
  if (connection->got < (size_t)(body - request) + length) return;
  publish(f, body, length);
  write_whole(fd, PUBLISHED, sizeof PUBLISHED - 1);
  connection->got = 0;
}

static void accept_all(Floor *f) {
  for (int fd; (fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static void allow_many_files(void) {
  struct rlimit limit = {MAX_FILES, MAX_FILES};
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Listens on a free port of this machine, and says which.
static int listen_somewhere(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, BACKLOG) < 0) {
    perror("floor");
    exit(1);
  }
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("{\"url\":\"http://127.0.0.1:%d\"}\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  allow_many_files();
  Floor f = {.epoll = epoll_create1(0), .listener = listen_somewhere()};
  f.by_fd = calloc(MAX_FILES, sizeof *f.by_fd);
  f.streams = calloc(MAX_FILES, sizeof *f.streams);
  struct epoll_event listening = {.events = EPOLLIN, .data.fd = f.listener};
  epoll_ctl(f.epoll, EPOLL_CTL_ADD, f.listener, &listening);
  for (;;) {
    struct epoll_event events[EVENTS_A_TURN];
    int n = epoll_wait(f.epoll, events, EVENTS_A_TURN, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == f.listener) accept_all(&f);
      else read_request(&f, events[i].data.fd);
    }
  }
}
