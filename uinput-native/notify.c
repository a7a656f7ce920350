/*
 * Sends a state to the program that monitors this process. Node has no datagram unix sockets.
 *
 * Source: sd_notify(3), unix(7), cmsg(3).
 */

#include "addon.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* Opened once and kept, so that the process can still report when it has no free descriptors. */
static int sender = -1;

/* The time in seconds that a descriptor waits for a receiver whose queue is full. */
#define PATIENCE 2

static int open_sender(void) {
  struct timeval patience = {.tv_sec = PATIENCE};
  if (sender < 0) sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender >= 0) setsockopt(sender, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return sender;
}

/* Sends `state` to `socket`, with a descriptor unless that is -1. */
static napi_value send_state(napi_env env, napi_value socket, napi_value text, int descriptor, int flags) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char state[TEXT_SIZE], *path = address.sun_path;
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
  } control = {0};
  if (!read_text(env, socket, "socket", path, sizeof address.sun_path) ||
      !read_text(env, text, "state", state, sizeof state)) {
    return NULL;
  }
  struct iovec data = {.iov_base = state, .iov_len = strlen(state)};
  struct msghdr message = {.msg_name = &address, .msg_iov = &data, .msg_iovlen = 1};
  message.msg_namelen = offsetof(struct sockaddr_un, sun_path) + strlen(path);
  if (path[0] != '/' && path[0] != '@') return throw_error(env, "socket must begin with / or @", EINVAL);
  if (path[0] == '@') path[0] = 0;
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    control.header = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof descriptor)};
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
  }
  if (open_sender() < 0) return throw_error(env, "make a socket", errno);
  return sendmsg(sender, &message, flags | MSG_NOSIGNAL) < 0 ? throw_error(env, "notify", errno) : NULL;
}

/* notify(socket, state) */
napi_value notify(napi_env env, napi_callback_info info) {
  napi_value given[2];
  if (!read_arguments(env, info, 2, given)) return NULL;
  return send_state(env, given[0], given[1], -1, MSG_DONTWAIT);
}

/* notifyWith(socket, state, descriptor): waits for the receiver. Without a descriptor, that is -1. */
napi_value notify_with(napi_env env, napi_callback_info info) {
  napi_value given[3];
  int32_t descriptor;
  if (!read_arguments(env, info, 3, given) || !read_int32(env, given[2], "descriptor", &descriptor)) return NULL;
  return send_state(env, given[0], given[1], descriptor, 0);
}
