/*
 * Sends a state to the program that monitors this process. Node has no datagram unix sockets.
 *
 * Source: sd_notify(3), unix(7).
 */

#include "addon.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Opened once and kept, so that the process can still report when it has no free descriptors. */
static int sender = -1;

/* notify(socket, state) */
napi_value notify(napi_env env, napi_callback_info info) {
  napi_value given[2];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char state[TEXT_SIZE], *path = address.sun_path;
  if (!read_arguments(env, info, 2, given) || !read_text(env, given[0], "socket", path, sizeof address.sun_path) ||
      !read_text(env, given[1], "state", state, sizeof state)) {
    return NULL;
  }
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
  if (path[0] != '/' && path[0] != '@') return throw_error(env, "socket must begin with / or @", EINVAL);
  if (path[0] == '@') path[0] = 0;
  if (sender < 0) sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return throw_error(env, "make a socket", errno);
  ssize_t sent = sendto(sender, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, length);
  return sent < 0 ? throw_error(env, "notify", errno) : NULL;
}
