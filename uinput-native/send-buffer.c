/*
 * Sets the size of a socket's send buffer. Node can do that only for datagram sockets.
 *
 * Source: socket(7).
 */

#include "addon.h"
#include <sys/socket.h>

/* setSendBuffer(socket, bytes) */
napi_value set_send_buffer(napi_env env, napi_callback_info info) {
  napi_value given[2];
  int32_t socket, bytes;
  if (!read_arguments(env, info, 2, given) || !read_int32(env, given[0], "socket", &socket) ||
      !read_int32(env, given[1], "bytes", &bytes)) {
    return NULL;
  }
  /* With a smaller buffer, both sides only wait more often. */
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  return NULL;
}
