/*
 * The unix socket that sends descriptors. Node's own server does not fit: without free descriptors, it
 * accepts a connection and closes it, which its peer takes for an empty answer.
 *
 * Source: unix(7) and cmsg(3). All descriptors are sent in one SCM_RIGHTS message with one byte of data.
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define MOST_DESCRIPTORS 8
#define BACKLOG 16

static const napi_type_tag SOCKET = {0x1d7fb2a4c6e34059, 0xa8c05e93b71f4d26};

/*
 * Freed by libuv's close callback and not with the JavaScript object, which may be collected before or after
 * it.
 */
typedef struct {
  uv_poll_t poll;
  napi_async_cleanup_hook_handle hook;
  napi_env env;
  napi_async_context context;
  napi_ref on_connection;
  int fd;
  int waiting; /* a connection that could not be served yet, or -1 */
} watched;

typedef struct {
  watched *watched; /* NULL once it is closed */
} handle;

static void call_back(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  watched *socket = poll->data;
  napi_handle_scope scope;
  napi_value callback, global, error;
  bool has_thrown = false;
  napi_open_handle_scope(socket->env, &scope);
  napi_get_reference_value(socket->env, socket->on_connection, &callback);
  napi_get_global(socket->env, &global);
  napi_env env = socket->env;
  napi_make_callback(env, socket->context, global, callback, 0, NULL, NULL);
  napi_is_exception_pending(env, &has_thrown);
  if (has_thrown) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void free_watched(uv_handle_t *poll) {
  watched *socket = poll->data;
  /* Until then, the hook keeps the environment and this code alive. */
  napi_remove_async_cleanup_hook(socket->hook);
  free(socket);
}

static void stop(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  watched *socket = data;
  uv_poll_stop(&socket->poll);
  close(socket->fd);
  if (socket->waiting >= 0) close(socket->waiting);
  napi_async_destroy(socket->env, socket->context);
  napi_delete_reference(socket->env, socket->on_connection);
  uv_close((uv_handle_t *)&socket->poll, free_watched);
}

/* Sets the mode of the entry `name`, if it is a socket and not a link to one. */
static int set_mode(int directory, const char *name, int mode) {
  char path[32];
  struct statx found;
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int failure = statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &found) != 0 ? errno : S_ISSOCK(found.stx_mode) ? 0 : ENOTSOCK;
  if (failure == 0 && chmod(path, mode) != 0) failure = errno;
  close(fd);
  errno = failure;
  return failure == 0 ? 0 : -1;
}

/* Binds through the open directory, so that the path may have any length. */
static int bind_in(int directory, int fd, const char *name, int mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
  if (length >= (int)sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return -1;
  if (set_mode(directory, name, mode) != 0) return -1;
  return listen(fd, BACKLOG);
}

static int listen_in(const char *path, const char *name, int mode) {
  int directory = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind_in(directory, fd, name, mode) != 0) {
    int failure = errno;
    close(fd);
    fd = -1;
    errno = failure;
  }
  int failure = errno;
  close(directory);
  errno = failure;
  return fd;
}

static watched *watch(napi_env env, int fd, napi_value callback) {
  uv_loop_t *loop;
  napi_value name;
  watched *socket = calloc(1, sizeof *socket);
  napi_create_string_utf8(env, "openSocket", NAPI_AUTO_LENGTH, &name);
  if (!socket || napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &socket->poll, fd) != 0) {
    free(socket);
    return NULL;
  }
  socket->poll.data = socket;
  socket->env = env;
  socket->fd = fd;
  socket->waiting = -1;
  napi_async_init(env, NULL, name, &socket->context);
  napi_create_reference(env, callback, 1, &socket->on_connection);
  napi_add_async_cleanup_hook(env, stop, socket, &socket->hook);
  uv_unref((uv_handle_t *)&socket->poll);
  uv_poll_start(&socket->poll, UV_READABLE, call_back);
  return socket;
}

/* Returns NULL, and throws, if the socket cannot be watched. */
static napi_value watched_socket(napi_env env, int fd, napi_value callback) {
  napi_value object, number;
  handle *handle = calloc(1, sizeof *handle);
  if (handle) handle->watched = watch(env, fd, callback);
  if (!handle || !handle->watched) {
    free(handle);
    return throw_error(env, "watch the socket", ENOMEM);
  }
  napi_create_object(env, &object);
  napi_create_int32(env, fd, &number);
  napi_set_named_property(env, object, "fd", number);
  wrap(env, object, handle, &SOCKET);
  return object;
}

/* openSocket(directory, name, mode, onConnection) */
napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value given[4];
  napi_valuetype type = napi_undefined;
  char path[TEXT_SIZE], name[64];
  int32_t mode;
  if (!read_arguments(env, info, 4, given) || !read_text(env, given[0], "directory", path, sizeof path) ||
      !read_text(env, given[1], "name", name, sizeof name) || !read_int32(env, given[2], "mode", &mode)) {
    return NULL;
  }
  napi_typeof(env, given[3], &type);
  if (type != napi_function || strchr(name, '/') || mode < 0 || mode > 0777) {
    return throw_error(env, "a name, a mode and a function are needed", EINVAL);
  }
  int fd = listen_in(path, name, mode);
  if (fd < 0) return throw_error(env, "listen on the socket", errno);
  napi_value socket = watched_socket(env, fd, given[3]);
  if (!socket) close(fd);
  return socket;
}

/* adoptSocket(fd, onConnection): a socket that listens already. Its descriptor stays open if this throws. */
napi_value adopt_socket(napi_env env, napi_callback_info info) {
  napi_value given[2];
  napi_valuetype type = napi_undefined;
  int32_t fd;
  int listens = 0;
  socklen_t size = sizeof listens;
  if (!read_arguments(env, info, 2, given) || !read_int32(env, given[0], "fd", &fd)) return NULL;
  napi_typeof(env, given[1], &type);
  if (type != napi_function) return throw_error(env, "a function is needed", EINVAL);
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0) return throw_error(env, "adopt a socket", errno);
  if (!listens) return throw_error(env, "adopt a socket", ENOTCONN);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return throw_error(env, "adopt a socket", errno);
  return watched_socket(env, fd, given[1]);
}

static watched *read_socket(napi_env env, napi_value value) {
  handle *handle = unwrap(env, value, "socket", &SOCKET);
  if (handle && !handle->watched) throw_error(env, "the socket was closed", EBADF);
  return handle ? handle->watched : NULL;
}

static int send_descriptors(int connection, const int *descriptors, size_t count) {
  char byte = 0;
  union {
    char space[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
    struct cmsghdr header;
  } control = {0};
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
    .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
  return sendmsg(connection, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static bool read_descriptors(napi_env env, napi_value value, int32_t *descriptors, uint32_t *count) {
  napi_value item;
  bool is_array = false;
  napi_is_array(env, value, &is_array);
  if (is_array) napi_get_array_length(env, value, count);
  if (!is_array || *count == 0 || *count > MOST_DESCRIPTORS) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "descriptors must be an array of 1 to 8 integers");
    return false;
  }
  for (uint32_t i = 0; i < *count; i++) {
    if (napi_get_element(env, value, i, &item) != napi_ok) return false;
    if (!read_int32(env, item, "a descriptor", &descriptors[i])) return false;
  }
  return true;
}

/*
 * handOver(socket, descriptors): serves one connection. Returns true if the descriptors were sent, false if
 * the peer had closed, and undefined if no connection waits. If sending fails, the connection stays open and
 * is served first next time, so that its peer does not read the end of an empty stream.
 */
napi_value hand_over(napi_env env, napi_callback_info info) {
  napi_value given[2], served = NULL;
  int32_t descriptors[MOST_DESCRIPTORS];
  uint32_t count = 0;
  if (!read_arguments(env, info, 2, given) || !read_descriptors(env, given[1], descriptors, &count)) return NULL;
  watched *socket = read_socket(env, given[0]);
  if (!socket) return NULL;
  if (socket->waiting < 0) socket->waiting = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  bool is_there = socket->waiting >= 0;
  if (!is_there && errno != EAGAIN && errno != ECONNABORTED) return throw_error(env, "accept a connection", errno);
  if (is_there) {
    bool is_sent = send_descriptors(socket->waiting, descriptors, count) == 0;
    napi_get_boolean(env, is_sent, &served);
    if (!is_sent && errno != EPIPE && errno != ECONNRESET) return throw_error(env, "send descriptors", errno);
    close(socket->waiting);
    socket->waiting = -1;
  }
  return served;
}

/* pauseSocket(socket) */
napi_value pause_socket(napi_env env, napi_callback_info info) {
  napi_value given[1];
  watched *socket = read_arguments(env, info, 1, given) ? read_socket(env, given[0]) : NULL;
  if (socket) uv_poll_stop(&socket->poll);
  return NULL;
}

/* resumeSocket(socket) */
napi_value resume_socket(napi_env env, napi_callback_info info) {
  napi_value given[1];
  watched *socket = read_arguments(env, info, 1, given) ? read_socket(env, given[0]) : NULL;
  if (socket) uv_poll_start(&socket->poll, UV_READABLE, call_back);
  return NULL;
}

/* closeSocket(socket) */
napi_value close_socket(napi_env env, napi_callback_info info) {
  napi_value given[1];
  watched *socket = read_arguments(env, info, 1, given) ? read_socket(env, given[0]) : NULL;
  if (!socket) return NULL;
  handle *handle = unwrap(env, given[0], "socket", &SOCKET);
  handle->watched = NULL;
  stop(socket->hook, socket);
  return NULL;
}
