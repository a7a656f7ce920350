/*
 * Control of the kernel's virtual consoles: which one is in the foreground, and whether it can be switched.
 *
 * Source: ioctl_console(2), and the kernel's vt_ioctl.c.
 */

#include "addon.h"
#include <errno.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include <string.h>
#include <sys/ioctl.h>

/* The commands of controlConsole. Its number is the argument of the ioctl. */
static const struct {
  const char *name;
  unsigned long request;
} CONTROLS[] = {
  {"keyboard mode", KDSKBMODE},
  {"activate", VT_ACTIVATE},
  {"lock", VT_LOCKSWITCH},
  {"unlock", VT_UNLOCKSWITCH},
};

/* controlConsole(fd, control, number) */
napi_value control_console(napi_env env, napi_callback_info info) {
  napi_value given[3];
  int32_t fd, number;
  char name[16];
  if (!read_arguments(env, info, 3, given) || !read_int32(env, given[0], "fd", &fd) ||
      !read_text(env, given[1], "control", name, sizeof name) || !read_int32(env, given[2], "number", &number)) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof CONTROLS / sizeof *CONTROLS; i++) {
    if (strcmp(name, CONTROLS[i].name) != 0) continue;
    return ioctl(fd, CONTROLS[i].request, (long)number) == 0 ? NULL : throw_error(env, name, errno);
  }
  return refuse(env, "control", "one that there is"), NULL;
}

/* consoleState(fd) */
napi_value console_state(napi_env env, napi_callback_info info) {
  napi_value given[1], list, value;
  int32_t fd;
  struct vt_stat state;
  if (!read_arguments(env, info, 1, given) || !read_int32(env, given[0], "fd", &fd)) return NULL;
  if (ioctl(fd, VT_GETSTATE, &state) != 0) return throw_error(env, "consoles", errno);
  napi_create_array_with_length(env, 2, &list);
  napi_create_uint32(env, state.v_active, &value);
  napi_set_element(env, list, 0, value);
  napi_create_uint32(env, state.v_state, &value);
  napi_set_element(env, list, 1, value);
  return list;
}
