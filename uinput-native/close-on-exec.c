/*
 * Keeps a descriptor from the programs that this process starts. Node does that for its own descriptors. node-pty does not
 * for a pseudo-terminal without a program.
 *
 * Source: fcntl(2).
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>

/* closeOnExec(fd) */
napi_value close_on_exec(napi_env env, napi_callback_info info) {
  napi_value given;
  int32_t fd;
  if (!read_arguments(env, info, 1, &given) || !read_int32(env, given, "fd", &fd)) return NULL;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return throw_error(env, "close on exec", errno);
  return NULL;
}
