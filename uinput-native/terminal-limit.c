/*
 * Limits the pseudo-terminals of a container. The kernel has one total for all, and each devpts instance can
 * have a limit of its own.
 *
 * Source: fspick(2), openat2(2); the kernel's Documentation/filesystems/devpts.rst.
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * Opens the devpts instance of a process, if it has one of its own. Does not follow links of the container.
 */
static int open_instance(int32_t pid) {
  char path[64];
  struct statfs kind;
  struct statx found, ours;
  const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
  snprintf(path, sizeof path, "/proc/%d/root", pid);
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  int instance = (int)syscall(SYS_openat2, root, "dev/pts", &how, sizeof how);
  int error = errno;
  close(root);
  errno = error;
  if (instance < 0) return -1;
  if (fstatfs(instance, &kind) == 0 && kind.f_type == DEVPTS_SUPER_MAGIC &&
      statx(instance, "", AT_EMPTY_PATH, STATX_TYPE, &found) == 0 &&
      (statx(AT_FDCWD, "/dev/pts", 0, STATX_TYPE, &ours) != 0 || ours.stx_dev_major != found.stx_dev_major ||
       ours.stx_dev_minor != found.stx_dev_minor))
    return instance;
  close(instance);
  return errno = ENOENT, -1;
}

/* Omitted options return to the kernel's defaults, so this repeats all options that Docker sets. */
static int set(int instance, const char *most) {
  const char *options[][2] = {{"gid", "5"}, {"mode", "620"}, {"ptmxmode", "666"}, {"max", most}};
  int picked = (int)syscall(SYS_fspick, instance, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
  if (picked < 0) return -1;
  long failed = 0;
  for (size_t i = 0; failed == 0 && i < sizeof options / sizeof *options; i++)
    failed = syscall(SYS_fsconfig, picked, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0);
  if (failed == 0) failed = syscall(SYS_fsconfig, picked, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
  int error = errno;
  close(picked);
  errno = error;
  return (int)failed;
}

/* limitTerminals(pid, most) */
napi_value limit_terminals(napi_env env, napi_callback_info info) {
  napi_value given[2];
  int32_t pid, most;
  char text[16];
  if (!read_arguments(env, info, 2, given) || !read_int32(env, given[0], "pid", &pid) ||
      !read_int32(env, given[1], "most", &most)) {
    return NULL;
  }
  snprintf(text, sizeof text, "%d", most);
  int instance = open_instance(pid);
  if (instance < 0) return throw_error(env, "finding the terminals", errno);
  int error = set(instance, text) != 0 ? errno : 0;
  close(instance);
  return error ? throw_error(env, "limiting the terminals", error) : NULL;
}
