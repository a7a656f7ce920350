/*
 * Removes a tree that hostile programs may have open and may change or move at the same time. It works with
 * descriptors only. It enters a directory by its name in the parent, without following links or entering
 * mounts. It goes up only if the parent is the directory that it came from. So it can remove only files that
 * a writer of the tree has put there. It keeps two directories open, however deep the tree is.
 *
 * Source: openat2(2), Linux 5.6; unlinkat(2).
 */

#include "addon.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The time slice in milliseconds. Then the libuv thread is free for other work. */
#define TURN 20

/* The identity of a directory. */
typedef struct {
  uint64_t device;
  uint64_t inode;
} identity;

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int64_t end;
  int parent;
  char name[NAME_MAX + 1];
  DIR *here; /* the directory that is being emptied, or NULL at the tree's own name */
  identity *path; /* owned; from the tree to `here` */
  size_t depth, room;
  bool is_gone;
  int failure;
} removal;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

static bool identify(int fd, identity *identity) {
  struct statx found;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &found) != 0) return false;
  identity->device = (uint64_t)found.stx_dev_major << 32 | found.stx_dev_minor;
  identity->inode = found.stx_ino;
  return true;
}

static void close_here(removal *removal) {
  if (removal->here) closedir(removal->here);
  removal->here = NULL;
}

static void fail(removal *removal, int failure) { removal->failure = failure; }

/* Makes this directory the current one. */
static void go_to(removal *removal, int fd) {
  DIR *directory = fdopendir(fd);
  if (!directory) {
    fail(removal, errno);
    close(fd);
    return;
  }
  close_here(removal);
  removal->here = directory;
}

static void go_down(removal *removal, int directory, const char *name) {
  const struct open_how how = {
    .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  int fd = syscall(SYS_openat2, directory, name, &how, sizeof how);
  if (fd < 0) {
    /* The entry was replaced meanwhile. The next round handles what is there now. */
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EAGAIN) fail(removal, errno);
    return;
  }
  if (removal->depth == removal->room) {
    size_t room = removal->room ? 2 * removal->room : 64;
    identity *path = reallocarray(removal->path, room, sizeof *path);
    if (!path) return close(fd), fail(removal, ENOMEM);
    removal->path = path;
    removal->room = room;
  }
  if (!identify(fd, &removal->path[removal->depth])) return fail(removal, errno), (void)close(fd);
  removal->depth++;
  go_to(removal, fd);
}

/* Returns to the parent, or to the root of the tree if the directory was moved meanwhile. */
static void go_up(removal *removal) {
  identity above;
  removal->depth--;
  if (removal->depth > 0) {
    int fd = openat(dirfd(removal->here), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const identity *expected = &removal->path[removal->depth - 1];
    if (fd < 0) return fail(removal, errno);
    if (identify(fd, &above) && above.inode == expected->inode && above.device == expected->device) {
      return go_to(removal, fd);
    }
    close(fd);
    removal->depth = 0;
  }
  close_here(removal);
}

/* @returns whether the entry is gone; if not, it is a directory that was possibly entered */
static bool remove_entry(removal *removal, int directory, const char *name) {
  if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR) return fail(removal, errno), false;
  if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) go_down(removal, directory, name);
  else if (errno != ENOTDIR) fail(removal, errno);
  return false;
}

static void take_step(removal *removal) {
  if (!removal->here) {
    removal->is_gone = remove_entry(removal, removal->parent, removal->name);
    return;
  }
  errno = 0;
  const struct dirent *entry = readdir(removal->here);
  if (!entry && errno != 0) fail(removal, errno);
  else if (!entry) go_up(removal);
  else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
    remove_entry(removal, dirfd(removal->here), entry->d_name);
  }
}

static void run(napi_env env, void *data) {
  (void)env;
  removal *removal = data;
  for (int64_t late = now() + TURN; !removal->is_gone && removal->failure == 0 && now() < late;) take_step(removal);
  if (!removal->is_gone && removal->failure == 0 && now() >= removal->end) fail(removal, ETIMEDOUT);
}

static void free_removal(removal *removal) {
  close_here(removal);
  close(removal->parent);
  free(removal->path);
  free(removal);
}

static void settle(napi_env env, napi_status status, void *data);

static bool queue(napi_env env, removal *removal) {
  napi_value resource;
  napi_create_string_utf8(env, "removeTree", NAPI_AUTO_LENGTH, &resource);
  return napi_create_async_work(env, NULL, resource, run, settle, removal, &removal->work) == napi_ok &&
         napi_queue_async_work(env, removal->work) == napi_ok;
}

static void settle(napi_env env, napi_status status, void *data) {
  removal *removal = data;
  napi_value nothing;
  napi_delete_async_work(env, removal->work);
  if (status == napi_cancelled) fail(removal, ECANCELED);
  if (!removal->is_gone && removal->failure == 0) {
    if (queue(env, removal)) return;
    fail(removal, ECANCELED);
  }
  napi_get_undefined(env, &nothing);
  if (removal->failure == 0) napi_resolve_deferred(env, removal->deferred, nothing);
  else napi_reject_deferred(env, removal->deferred, make_error(env, "remove a tree", removal->failure));
  free_removal(removal);
}

/* removeTree(directory, name, milliseconds) */
napi_value remove_tree(napi_env env, napi_callback_info info) {
  napi_value given[3], promise = NULL;
  char path[TEXT_SIZE];
  int32_t milliseconds;
  removal *removal = calloc(1, sizeof *removal);
  if (!removal) return throw_error(env, "memory", ENOMEM);
  if (!read_arguments(env, info, 3, given) || !read_text(env, given[0], "directory", path, sizeof path) ||
      !read_text(env, given[1], "name", removal->name, sizeof removal->name) ||
      !read_int32(env, given[2], "milliseconds", &milliseconds)) {
    return free(removal), NULL;
  }
  if (strchr(removal->name, '/') || strcmp(removal->name, ".") == 0 || strcmp(removal->name, "..") == 0) {
    return free(removal), refuse(env, "name", "a name in the directory"), NULL;
  }
  removal->end = now() + milliseconds;
  removal->parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (removal->parent < 0) {
    int failure = errno;
    free(removal);
    return throw_error(env, "open the directory of a tree", failure);
  }
  napi_create_promise(env, &removal->deferred, &promise);
  if (!queue(env, removal)) return free_removal(removal), throw_error(env, "wait for a thread", ECANCELED);
  return promise;
}
