/*
 * Tests whether ports are open without the programs behind them noticing. It delays the last packet of the
 * TCP handshake and then resets the connection. A normal connection could disturb a program that serves one
 * client at a time, or that exits when its client disconnects.
 *
 * Source: tcp(7). Without TCP_QUICKACK, the kernel waits 200 ms for data that it can send with the
 * acknowledgement. A socket with a linger time of zero is reset.
 */

#include "addon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MOST_ADDRESSES 1024

/* A connection attempt to one address. */
typedef struct {
  struct sockaddr_in address;
  bool is_open;
} door;

/* One run on a worker thread. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int32_t milliseconds;
  uint32_t count;
  struct pollfd *sockets; /* owned, one for each door; the `fd` is -1 once it is known, as poll(2) has it */
  door doors[];
} job;

static void settle_one(job *job, uint32_t i, bool is_open) {
  if (job->sockets[i].fd >= 0) close(job->sockets[i].fd);
  job->sockets[i].fd = -1;
  job->doors[i].is_open = is_open;
}

static void begin_one(job *job, uint32_t i) {
  static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  static const int off = 0;
  const struct sockaddr_in *address = &job->doors[i].address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  job->sockets[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0) {
    settle_one(job, i, false);
  } else if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
    settle_one(job, i, true);
  } else if (errno != EINPROGRESS) {
    settle_one(job, i, false);
  }
}

static void look_at(job *job, uint32_t i) {
  int error = 0;
  socklen_t length = sizeof error;
  if (job->sockets[i].fd < 0 || job->sockets[i].revents == 0) return;
  getsockopt(job->sockets[i].fd, SOL_SOCKET, SO_ERROR, &error, &length);
  settle_one(job, i, error == 0);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

static uint32_t waiting(const job *job) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < job->count; i++) count += job->sockets[i].fd >= 0;
  return count;
}

static void run(napi_env env, void *data) {
  (void)env;
  job *job = data;
  int64_t end = now() + job->milliseconds, left;
  for (uint32_t i = 0; i < job->count; i++) {
    begin_one(job, i);
    /*
     * On the local host, the answer arrives at once. If the test takes longer, the kernel completes the
     * handshake after all.
     */
    if (poll(&job->sockets[i], 1, 0) > 0) look_at(job, i);
  }
  while (waiting(job) > 0 && (left = end - now()) > 0) {
    if (poll(job->sockets, job->count, (int)left) <= 0) continue;
    for (uint32_t i = 0; i < job->count; i++) look_at(job, i);
  }
  for (uint32_t i = 0; i < job->count; i++) {
    if (job->sockets[i].fd >= 0) settle_one(job, i, false);
  }
}

static void settle(napi_env env, napi_status status, void *data) {
  job *job = data;
  napi_value list, is_open;
  if (status == napi_cancelled) {
    napi_reject_deferred(env, job->deferred, make_error(env, "wait for a thread", ECANCELED));
  } else if (napi_create_array_with_length(env, job->count, &list) == napi_ok) {
    for (uint32_t i = 0; i < job->count; i++) {
      napi_get_boolean(env, job->doors[i].is_open, &is_open);
      napi_set_element(env, list, i, is_open);
    }
    napi_resolve_deferred(env, job->deferred, list);
  }
  napi_delete_async_work(env, job->work);
  free(job->sockets);
  free(job);
}

static bool read_address(napi_env env, napi_value list, uint32_t index, int32_t port, struct sockaddr_in *address) {
  napi_value item;
  char text[INET_ADDRSTRLEN];
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  return napi_get_element(env, list, index, &item) == napi_ok && read_text(env, item, "address", text, sizeof text) &&
         (inet_pton(AF_INET, text, &address->sin_addr) == 1 || refuse(env, "address", "an IPv4 address"));
}

/* knock(addresses, port, milliseconds) */
napi_value knock(napi_env env, napi_callback_info info) {
  napi_value given[3], promise = NULL, resource;
  int32_t port, milliseconds;
  uint32_t count = 0;
  if (!read_arguments(env, info, 3, given) || !read_int32(env, given[1], "port", &port) ||
      !read_int32(env, given[2], "milliseconds", &milliseconds)) {
    return NULL;
  }
  if (port < 1 || port > UINT16_MAX) return refuse(env, "port", "a port"), NULL;
  if (napi_get_array_length(env, given[0], &count) != napi_ok || count < 1 || count > MOST_ADDRESSES) {
    return refuse(env, "addresses", "an array of 1 to 1024"), NULL;
  }
  job *job = calloc(1, sizeof *job + count * sizeof *job->doors);
  if (job) job->sockets = calloc(count, sizeof *job->sockets);
  if (!job || !job->sockets) return free(job), throw_error(env, "memory", ENOMEM);
  job->count = count;
  job->milliseconds = milliseconds;
  for (uint32_t i = 0; i < count; i++) {
    if (!read_address(env, given[0], i, port, &job->doors[i].address)) return free(job->sockets), free(job), NULL;
  }
  napi_create_string_utf8(env, "knock", NAPI_AUTO_LENGTH, &resource);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(env, NULL, resource, run, settle, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}
