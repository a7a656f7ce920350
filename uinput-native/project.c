/*
 * Project quotas: all files of a project share one limit on their filesystem, whoever owns them. A tree is
 * assigned to a project by descriptors only, without following links or entering mounts. Files that are
 * created in it later also belong to the project.
 *
 * Source: quotactl(2), quotactl_fd of Linux 5.14; linux/quota.h; linux/dqblk_xfs.h; linux/fs.h; openat2(2).
 */

#include "addon.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <linux/quota.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The unit of a limit, in bytes. */
#define BLOCK 1024
/*
 * Each level needs a descriptor. No archive that Docker unpacks is deeper, because paths have at most 4096
 * bytes.
 */
#define MOST_LEVELS 2048

/* @returns 0 or errno */
static int ask_at(int fd, int command, uint32_t project, void *answer) {
  return syscall(SYS_quotactl_fd, fd, QCMD((unsigned)command, PRJQUOTA), project, answer) == 0 ? 0 : errno;
}

static int ask(const char *directory, int command, uint32_t project, void *answer) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int failure = ask_at(fd, command, project, answer);
  close(fd);
  return failure;
}

/* keepsProjects(directory): whether its filesystem enforces project quotas */
napi_value keeps_projects(napi_env env, napi_callback_info info) {
  napi_value given[1], result;
  char directory[TEXT_SIZE];
  struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
  if (!read_arguments(env, info, 1, given) || !read_text(env, given[0], "directory", directory, sizeof directory)) {
    return NULL;
  }
  bool does = ask(directory, Q_XGETQSTATV, 0, &state) == 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD);
  napi_get_boolean(env, does, &result);
  return result;
}

static napi_value numbers(napi_env env, const double *values, uint32_t count) {
  napi_value array, number;
  napi_create_array_with_length(env, count, &array);
  for (uint32_t i = 0; i < count; i++) {
    napi_create_double(env, values[i], &number);
    napi_set_element(env, array, i, number);
  }
  return array;
}

/*
 * nextProject(directory, project): the first project from this number on, with its bytes, its inodes and
 * their limits
 */
napi_value next_project(napi_env env, napi_callback_info info) {
  napi_value given[2], nothing;
  char directory[TEXT_SIZE];
  int32_t project;
  struct if_nextdqblk next = {0};
  if (!read_arguments(env, info, 2, given) || !read_text(env, given[0], "directory", directory, sizeof directory) ||
      !read_int32(env, given[1], "project", &project)) {
    return NULL;
  }
  int failure = ask(directory, Q_GETNEXTQUOTA, (uint32_t)project, &next);
  napi_get_undefined(env, &nothing);
  if (failure == ENOENT) return nothing;
  if (failure) return throw_error(env, "look for projects", failure);
  const double found[] = {next.dqb_id, (double)next.dqb_curspace, (double)next.dqb_curinodes,
                          (double)next.dqb_bhardlimit * BLOCK, (double)next.dqb_ihardlimit};
  return numbers(env, found, 5);
}

/* limitProject(directory, project, bytes, inodes) */
napi_value limit_project(napi_env env, napi_callback_info info) {
  napi_value given[4];
  char directory[TEXT_SIZE];
  int32_t project;
  int64_t bytes, inodes;
  if (!read_arguments(env, info, 4, given) || !read_text(env, given[0], "directory", directory, sizeof directory) ||
      !read_int32(env, given[1], "project", &project)) {
    return NULL;
  }
  if (napi_get_value_int64(env, given[2], &bytes) != napi_ok || bytes < 0) return refuse(env, "bytes", "a number"), NULL;
  if (napi_get_value_int64(env, given[3], &inodes) != napi_ok || inodes < 0) return refuse(env, "inodes", "a number"), NULL;
  struct if_dqblk limit = {
    .dqb_bhardlimit = (uint64_t)bytes / BLOCK, .dqb_ihardlimit = (uint64_t)inodes, .dqb_valid = QIF_LIMITS};
  int failure = ask(directory, Q_SETQUOTA, (uint32_t)project, &limit);
  return failure ? throw_error(env, "limit a project", failure) : NULL;
}

/* The task of a worker thread: a tree to assign to a project. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int tree;
  uint32_t project;
  bool is_others;
  int failure;
} gift;

/* @returns false if it already belongs to another project */
static bool give_one(gift *gift, int fd, bool is_directory) {
  struct fsxattr attributes;
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) != 0) return gift->failure = errno, false;
  if (attributes.fsx_projid != 0 && attributes.fsx_projid != gift->project) return false;
  attributes.fsx_projid = gift->project;
  if (is_directory) attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) != 0) gift->failure = errno;
  return gift->failure == 0;
}

static void give_below(gift *gift, int fd, int level);

/* Skips devices and FIFOs: opening them has side effects, and they use almost no space. */
static void give_entry(gift *gift, int directory, const struct dirent *entry, int level) {
  if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) return;
  struct statx found;
  if (statx(directory, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) != 0) {
    if (errno != ENOENT) gift->failure = errno;
    return;
  }
  bool is_directory = S_ISDIR(found.stx_mode);
  if (!is_directory && !S_ISREG(found.stx_mode)) return;
  const struct open_how how = {
    .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (is_directory ? O_DIRECTORY : 0),
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  int fd = syscall(SYS_openat2, directory, entry->d_name, &how, sizeof how);
  if (fd < 0) {
    if (errno != ENOENT) gift->failure = errno;
    return;
  }
  if (give_one(gift, fd, is_directory) && is_directory) give_below(gift, fd, level + 1);
  else close(fd);
}

/*
 * Assigns each directory before it lists it, so that files created meanwhile belong to the project too.
 * Closes `fd`.
 */
static void give_below(gift *gift, int fd, int level) {
  DIR *directory = level < MOST_LEVELS ? fdopendir(fd) : NULL;
  if (!directory) {
    gift->failure = level < MOST_LEVELS ? errno : ENAMETOOLONG;
    close(fd);
    return;
  }
  for (const struct dirent *entry; gift->failure == 0 && (errno = 0, entry = readdir(directory));) {
    give_entry(gift, fd, entry, level);
  }
  if (gift->failure == 0) gift->failure = errno;
  closedir(directory);
}

static void run(napi_env env, void *data) {
  (void)env;
  gift *gift = data;
  if (give_one(gift, gift->tree, true)) return give_below(gift, gift->tree, 0);
  gift->is_others = gift->failure == 0;
  close(gift->tree);
}

static void settle(napi_env env, napi_status status, void *data) {
  gift *gift = data;
  napi_value is_ours;
  if (status == napi_cancelled) {
    gift->failure = ECANCELED;
    close(gift->tree);
  }
  napi_get_boolean(env, !gift->is_others, &is_ours);
  if (gift->failure == 0) napi_resolve_deferred(env, gift->deferred, is_ours);
  else napi_reject_deferred(env, gift->deferred, make_error(env, "give a tree to a project", gift->failure));
  napi_delete_async_work(env, gift->work);
  free(gift);
}

/* giveToProject(directory, project) */
napi_value give_to_project(napi_env env, napi_callback_info info) {
  napi_value given[2], promise, resource;
  char directory[TEXT_SIZE];
  int32_t project;
  if (!read_arguments(env, info, 2, given) || !read_text(env, given[0], "directory", directory, sizeof directory) ||
      !read_int32(env, given[1], "project", &project)) {
    return NULL;
  }
  int tree = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (tree < 0) return throw_error(env, "open a tree", errno);
  gift *gift = calloc(1, sizeof *gift);
  if (!gift) return close(tree), throw_error(env, "memory", ENOMEM);
  gift->tree = tree;
  gift->project = (uint32_t)project;
  napi_create_promise(env, &gift->deferred, &promise);
  napi_create_string_utf8(env, "giveToProject", NAPI_AUTO_LENGTH, &resource);
  napi_create_async_work(env, NULL, resource, run, settle, gift, &gift->work);
  napi_queue_async_work(env, gift->work);
  return promise;
}
