/*
 * How the C library gives memory back. By itself it keeps ever larger pieces that were freed, to be faster when as much is
 * asked for again: a process that streams files through large buffers grows by many times what it uses.
 *
 * Source: mallopt(3), of M_MMAP_THRESHOLD.
 */

#include "addon.h"
#include <errno.h>
#include <malloc.h>

/* giveBackFrom(bytes) */
napi_value give_back_from(napi_env env, napi_callback_info info) {
  napi_value given;
  int32_t bytes;
  if (!read_arguments(env, info, 1, &given) || !read_int32(env, given, "bytes", &bytes)) return NULL;
  if (bytes < 0 || mallopt(M_MMAP_THRESHOLD, bytes) == 0) return throw_error(env, "set what is given back", EINVAL);
  return NULL;
}
