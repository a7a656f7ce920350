/*
 * Returns freed memory to the kernel. glibc keeps it in the arena of the thread that allocated it, so
 * short-lived threads make the process grow.
 *
 * Source: malloc_trim(3).
 */

#include "addon.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* One run on a worker thread. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
} job;

static void run(napi_env env, void *data) {
  (void)env;
  (void)data;
  malloc_trim(0);
}

static void settle(napi_env env, napi_status status, void *data) {
  job *job = data;
  napi_value nothing;
  (void)status;
  napi_get_undefined(env, &nothing);
  napi_resolve_deferred(env, job->deferred, nothing);
  napi_delete_async_work(env, job->work);
  free(job);
}

/* trimMemory() */
napi_value trim_memory(napi_env env, napi_callback_info info) {
  napi_value promise = NULL, resource;
  (void)info;
  job *job = calloc(1, sizeof *job);
  if (!job) return throw_error(env, "memory", ENOMEM);
  napi_create_string_utf8(env, "trimMemory", NAPI_AUTO_LENGTH, &resource);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(env, NULL, resource, run, settle, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}
