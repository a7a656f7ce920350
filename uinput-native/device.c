/*
 * Virtual input devices. Making and destroying one waits for locks of the kernel, so both happen on Node's
 * worker threads. A device lives until destroyDevice, or until the last process that holds its descriptor ends.
 *
 * Source: the kernel's uinput.h; UI_DEV_SETUP and UI_ABS_SETUP need Linux 4.5.
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SYSNAME_SIZE 32
/* In a list of bits, stands for an input property; the kernel's event types end at EV_MAX. */
#define PROPERTY 0xffff

static const napi_type_tag DEVICE = {0x6f2c1d0b8a5e4f77, 0x9b3e6a41c2d85f10};

typedef struct {
  int fd; /* -1 once it is being destroyed */
} device;

/* One run on a worker thread. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  bool is_destruction;
  int fd;
  const char *failed_step;
  int failure;
  char sysname[SYSNAME_SIZE];
  char path[TEXT_SIZE];
  struct uinput_setup setup;
  int32_t axis_maximum;
  size_t length; /* of bits */
  uint16_t bits[];
} job;

static void run_step(job *job, const char *step, int result) {
  if (result >= 0 || job->failed_step) return;
  job->failed_step = step;
  job->failure = errno;
}

static void set_axis(job *job, uint16_t code) {
  struct uinput_abs_setup axis = {.code = code, .absinfo = {.maximum = job->axis_maximum}};
  run_step(job, "UI_ABS_SETUP", ioctl(job->fd, UI_ABS_SETUP, &axis));
}

static void set_bit(job *job, uint16_t type, uint16_t code) {
  switch (type) {
    case EV_KEY: return run_step(job, "UI_SET_KEYBIT", ioctl(job->fd, UI_SET_KEYBIT, code));
    case EV_REL: return run_step(job, "UI_SET_RELBIT", ioctl(job->fd, UI_SET_RELBIT, code));
    case EV_ABS: return set_axis(job, code);
    case PROPERTY: return run_step(job, "UI_SET_PROPBIT", ioctl(job->fd, UI_SET_PROPBIT, code));
    default: errno = EINVAL; return run_step(job, "an event type", -1);
  }
}

static void create(napi_env env, void *data) {
  (void)env;
  job *job = data;
  job->fd = open(job->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (job->fd < 0) return run_step(job, "open uinput", -1);
  run_step(job, "UI_DEV_SETUP", ioctl(job->fd, UI_DEV_SETUP, &job->setup));
  for (size_t i = 0; i < job->length && !job->failed_step; i += 2) {
    uint16_t type = job->bits[i];
    bool is_new = i == 0 || type != job->bits[i - 2];
    if (is_new && type != PROPERTY) run_step(job, "UI_SET_EVBIT", ioctl(job->fd, UI_SET_EVBIT, type));
    set_bit(job, type, job->bits[i + 1]);
  }
  if (!job->failed_step) run_step(job, "UI_DEV_CREATE", ioctl(job->fd, UI_DEV_CREATE));
  if (!job->failed_step) {
    run_step(job, "UI_GET_SYSNAME", ioctl(job->fd, UI_GET_SYSNAME(SYSNAME_SIZE), job->sysname));
  }
  if (job->failed_step) close(job->fd);
}

/* A program that has the descriptor may have destroyed its device and made another: that one goes too. */
static void destroy(napi_env env, void *data) {
  (void)env;
  job *job = data;
  run_step(job, "UI_DEV_DESTROY", ioctl(job->fd, UI_DEV_DESTROY));
  close(job->fd);
}

static napi_value describe(napi_env env, job *job) {
  napi_value object, fd, sysname;
  device *made = calloc(1, sizeof *made);
  napi_create_object(env, &object);
  napi_create_int32(env, job->fd, &fd);
  napi_create_string_utf8(env, job->sysname, NAPI_AUTO_LENGTH, &sysname);
  napi_set_named_property(env, object, "fd", fd);
  napi_set_named_property(env, object, "sysname", sysname);
  if (made) made->fd = job->fd;
  if (made && wrap(env, object, made, &DEVICE)) return object;
  /* The environment is ending: nobody will ask to destroy it. */
  close(job->fd);
  return NULL;
}

static void settle(napi_env env, napi_status status, void *data) {
  job *job = data;
  napi_value value;
  if (status == napi_cancelled) run_step(job, "wait for a thread", (errno = ECANCELED, -1));
  if (job->failed_step) {
    napi_reject_deferred(env, job->deferred, make_error(env, job->failed_step, job->failure));
  } else {
    if (job->is_destruction) napi_get_undefined(env, &value);
    else value = describe(env, job);
    if (value) napi_resolve_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
  free(job);
}

static napi_value begin(napi_env env, job *job, const char *name, napi_async_execute_callback run) {
  napi_value promise = NULL, resource;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(env, NULL, resource, run, settle, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

/* createDevice(path, name, ids, axisMaximum, bits) */
napi_value create_device(napi_env env, napi_callback_info info) {
  napi_value given[5];
  char path[TEXT_SIZE], name[UINPUT_MAX_NAME_SIZE];
  uint16_t *ids, *bits;
  size_t id_count, bit_count;
  int32_t axis_maximum;
  if (!read_arguments(env, info, 5, given) || !read_text(env, given[0], "path", path, sizeof path) ||
      !read_text(env, given[1], "name", name, sizeof name) ||
      !read_uint16s(env, given[2], "ids", &ids, &id_count) ||
      !read_int32(env, given[3], "axisMaximum", &axis_maximum) ||
      !read_uint16s(env, given[4], "bits", &bits, &bit_count)) {
    return NULL;
  }
  if (id_count != 4 || bit_count % 2 != 0) return throw_error(env, "ids must be 4, bits pairs", EINVAL);
  job *job = calloc(1, sizeof *job + bit_count * sizeof *bits);
  if (!job) return throw_error(env, "memory", ENOMEM);
  strcpy(job->path, path);
  strcpy(job->setup.name, name);
  job->setup.id = (struct input_id){.bustype = ids[0], .vendor = ids[1], .product = ids[2], .version = ids[3]};
  job->axis_maximum = axis_maximum;
  job->length = bit_count;
  memcpy(job->bits, bits, bit_count * sizeof *bits);
  return begin(env, job, "createDevice", create);
}

/* destroyDevice(device) */
napi_value destroy_device(napi_env env, napi_callback_info info) {
  napi_value given[1];
  if (!read_arguments(env, info, 1, given)) return NULL;
  device *device = unwrap(env, given[0], "device", &DEVICE);
  if (!device) return NULL;
  if (device->fd < 0) return throw_error(env, "it was destroyed before", EBADF);
  job *job = calloc(1, sizeof *job);
  if (!job) return throw_error(env, "memory", ENOMEM);
  job->is_destruction = true;
  job->fd = device->fd;
  device->fd = -1;
  return begin(env, job, "destroyDevice", destroy);
}
