/*
 * Creates a pipe between a child and a thread. Node gives a child a socket pair instead, of which only its
 * own event loop can read the other end, and which is slower.
 *
 * Source: pipe(7).
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* makePipe(bytes) */
napi_value make_pipe(napi_env env, napi_callback_info info) {
  napi_value given, ends, end;
  int32_t bytes;
  int fds[2];
  if (!read_arguments(env, info, 1, &given) || !read_int32(env, given, "bytes", &bytes)) return NULL;
  if (pipe2(fds, O_CLOEXEC) != 0) return throw_error(env, "make a pipe", errno);
  /* With a smaller capacity, both sides only wait more often. */
  (void)fcntl(fds[1], F_SETPIPE_SZ, bytes);
  napi_create_array_with_length(env, 2, &ends);
  for (uint32_t i = 0; i < 2; i++) {
    napi_create_int32(env, fds[i], &end);
    napi_set_element(env, ends, i, end);
  }
  return ends;
}
