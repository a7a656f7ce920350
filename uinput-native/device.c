/*
 * Virtual input devices. Creating and destroying them waits for kernel locks, so both happen on Node's worker
 * threads. A device exists until destroyDevice, or until the last process with its descriptor ends. Devices
 * that are created together are all set up before the first is created, because creation starts work in udev.
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
#define MOST_DEVICES 8
/* Marks an input property in a list of bits. The kernel's event types end at EV_MAX. */
#define PROPERTY 0xffff

static const napi_type_tag DEVICE = {0x6f2c1d0b8a5e4f77, 0x9b3e6a41c2d85f10};

typedef struct {
  int fd; /* -1 once it is being destroyed */
} device;

/* The description of a device, and the created device. */
typedef struct {
  struct uinput_setup setup;
  size_t length;  /* of bits */
  uint16_t *bits; /* owned */
  int fd;         /* -1 while there is none */
  char sysname[SYSNAME_SIZE];
} plan;

/* One run on a worker thread. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  const char *failed_step;
  int failure;
  char path[TEXT_SIZE];
  int32_t axis_maximum;
  uint32_t count;    /* of plans; 0 for a destruction */
  int destroyed_fd;
  plan plans[];
} job;

static void run_step(job *job, const char *step, int result) {
  if (result >= 0 || job->failed_step) return;
  job->failed_step = step;
  job->failure = errno;
}

static void set_axis(job *job, int fd, uint16_t code) {
  struct uinput_abs_setup axis = {.code = code, .absinfo = {.maximum = job->axis_maximum}};
  run_step(job, "UI_ABS_SETUP", ioctl(fd, UI_ABS_SETUP, &axis));
}

static void set_bit(job *job, int fd, uint16_t type, uint16_t code) {
  switch (type) {
    case EV_KEY: return run_step(job, "UI_SET_KEYBIT", ioctl(fd, UI_SET_KEYBIT, code));
    case EV_REL: return run_step(job, "UI_SET_RELBIT", ioctl(fd, UI_SET_RELBIT, code));
    case EV_ABS: return set_axis(job, fd, code);
    case PROPERTY: return run_step(job, "UI_SET_PROPBIT", ioctl(fd, UI_SET_PROPBIT, code));
    default: errno = EINVAL; return run_step(job, "an event type", -1);
  }
}

static void set_up(job *job, plan *plan) {
  plan->fd = open(job->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (plan->fd < 0) return run_step(job, "open uinput", -1);
  run_step(job, "UI_DEV_SETUP", ioctl(plan->fd, UI_DEV_SETUP, &plan->setup));
  for (size_t i = 0; i < plan->length && !job->failed_step; i += 2) {
    uint16_t type = plan->bits[i];
    bool is_new = i == 0 || type != plan->bits[i - 2];
    if (is_new && type != PROPERTY) run_step(job, "UI_SET_EVBIT", ioctl(plan->fd, UI_SET_EVBIT, type));
    set_bit(job, plan->fd, type, plan->bits[i + 1]);
  }
}

static void create(napi_env env, void *data) {
  (void)env;
  job *job = data;
  uint32_t i;
  for (i = 0; i < job->count && !job->failed_step; i++) set_up(job, &job->plans[i]);
  for (i = 0; i < job->count && !job->failed_step; i++) {
    plan *plan = &job->plans[i];
    run_step(job, "UI_DEV_CREATE", ioctl(plan->fd, UI_DEV_CREATE));
    run_step(job, "UI_GET_SYSNAME", ioctl(plan->fd, UI_GET_SYSNAME(SYSNAME_SIZE), plan->sysname));
  }
  /* The kernel removes a device when its last descriptor is closed. */
  for (i = 0; i < job->count && job->failed_step; i++) {
    if (job->plans[i].fd >= 0) close(job->plans[i].fd);
  }
}

/*
 * A program with the descriptor may have destroyed the device and created another one; this destroys that one
 * too.
 */
static void destroy(napi_env env, void *data) {
  (void)env;
  job *job = data;
  run_step(job, "UI_DEV_DESTROY", ioctl(job->destroyed_fd, UI_DEV_DESTROY));
  close(job->destroyed_fd);
}

static napi_value describe(napi_env env, const plan *plan) {
  napi_value object, fd, sysname;
  device *made = calloc(1, sizeof *made);
  napi_create_object(env, &object);
  napi_create_int32(env, plan->fd, &fd);
  napi_create_string_utf8(env, plan->sysname, NAPI_AUTO_LENGTH, &sysname);
  napi_set_named_property(env, object, "fd", fd);
  napi_set_named_property(env, object, "sysname", sysname);
  if (made) made->fd = plan->fd;
  if (made && wrap(env, object, made, &DEVICE)) return object;
  /* The environment is ending, so nothing will destroy the device later. */
  close(plan->fd);
  return NULL;
}

static napi_value describe_all(napi_env env, const job *job) {
  napi_value list;
  if (napi_create_array_with_length(env, job->count, &list) != napi_ok) list = NULL;
  for (uint32_t i = 0; i < job->count; i++) {
    napi_value object = describe(env, &job->plans[i]);
    if (list && object) napi_set_element(env, list, i, object);
  }
  return list;
}

static void forget_job(job *job) {
  for (uint32_t i = 0; i < job->count; i++) free(job->plans[i].bits);
  free(job);
}

static void settle(napi_env env, napi_status status, void *data) {
  job *job = data;
  napi_value value;
  if (status == napi_cancelled) run_step(job, "wait for a thread", (errno = ECANCELED, -1));
  if (job->failed_step) {
    napi_reject_deferred(env, job->deferred, make_error(env, job->failed_step, job->failure));
  } else {
    if (job->count > 0) value = describe_all(env, job);
    else napi_get_undefined(env, &value);
    if (value) napi_resolve_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
  forget_job(job);
}

static napi_value begin(napi_env env, job *job, const char *name, napi_async_execute_callback run) {
  napi_value promise = NULL, resource;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(env, NULL, resource, run, settle, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

static bool read_plan(napi_env env, napi_value description, plan *plan) {
  napi_valuetype type;
  napi_value name, ids, bits;
  uint16_t *id, *bit;
  size_t id_count;
  if (napi_typeof(env, description, &type) != napi_ok || type != napi_object) {
    return refuse(env, "descriptions", "objects");
  }
  if (napi_get_named_property(env, description, "name", &name) != napi_ok ||
      napi_get_named_property(env, description, "ids", &ids) != napi_ok ||
      napi_get_named_property(env, description, "bits", &bits) != napi_ok ||
      !read_text(env, name, "name", plan->setup.name, sizeof plan->setup.name) ||
      !read_uint16s(env, ids, "ids", &id, &id_count)) {
    return false;
  }
  if (id_count != 4) return refuse(env, "ids", "four");
  plan->setup.id = (struct input_id){.bustype = id[0], .vendor = id[1], .product = id[2], .version = id[3]};
  if (!read_uint16s(env, bits, "bits", &bit, &plan->length)) return false;
  if (plan->length % 2 != 0) return refuse(env, "bits", "pairs");
  plan->bits = malloc(plan->length * sizeof *bit + 1);
  if (!plan->bits) return throw_error(env, "memory", ENOMEM);
  memcpy(plan->bits, bit, plan->length * sizeof *bit);
  return true;
}

static bool read_plans(napi_env env, napi_value descriptions, job *job) {
  for (uint32_t i = 0; i < job->count; i++) {
    napi_value description;
    job->plans[i].fd = -1;
    if (napi_get_element(env, descriptions, i, &description) != napi_ok) return false;
    if (!read_plan(env, description, &job->plans[i])) return false;
  }
  return true;
}

/* createDevices(path, axisMaximum, descriptions) */
napi_value create_devices(napi_env env, napi_callback_info info) {
  napi_value given[3];
  char path[TEXT_SIZE];
  int32_t axis_maximum;
  uint32_t count = 0;
  if (!read_arguments(env, info, 3, given) || !read_text(env, given[0], "path", path, sizeof path) ||
      !read_int32(env, given[1], "axisMaximum", &axis_maximum)) {
    return NULL;
  }
  if (napi_get_array_length(env, given[2], &count) != napi_ok || count < 1 || count > MOST_DEVICES) {
    refuse(env, "descriptions", "an array of 1 to 8");
    return NULL;
  }
  job *job = calloc(1, sizeof *job + count * sizeof *job->plans);
  if (!job) return throw_error(env, "memory", ENOMEM);
  strcpy(job->path, path);
  job->axis_maximum = axis_maximum;
  job->count = count;
  if (read_plans(env, given[2], job)) return begin(env, job, "createDevices", create);
  forget_job(job);
  return NULL;
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
  job->destroyed_fd = device->fd;
  device->fd = -1;
  return begin(env, job, "destroyDevice", destroy);
}

/* adoptDevice(fd): the device that another process created with this descriptor of /dev/uinput. */
napi_value adopt_device(napi_env env, napi_callback_info info) {
  napi_value given[1];
  plan plan = {0};
  int32_t fd;
  if (!read_arguments(env, info, 1, given) || !read_int32(env, given[0], "fd", &fd)) return NULL;
  if (ioctl(fd, UI_GET_SYSNAME(SYSNAME_SIZE), plan.sysname) < 0) return throw_error(env, "UI_GET_SYSNAME", errno);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return throw_error(env, "adopt a device", errno);
  plan.fd = fd;
  return describe(env, &plan);
}
