/*
 * What root in a container tries with its control groups. Each line of the output is a finding or a success.
 *
 *   own          behaves like systemd: makes a group below its own, and moves into it
 *   neighbours   prints all groups with the names that Docker gives those of containers
 *   others       writes files that would affect more than its own group, in each hierarchy
 *   nest COUNT   makes that many groups, each inside the one before
 *   wait         does nothing
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"
#define CGROUP 0x27e0eb
#define CGROUP2 0x63677270

static int put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  close(fd);
  return written < 0 ? -1 : 0;
}

static void own(void) {
  char line[4096];
  if (mkdir(ROOT "/systemd/init.scope", 0755) != 0) printf("cannot make a group: %s\n", strerror(errno));
  if (put(ROOT "/systemd/init.scope/cgroup.procs", "0") != 0) printf("cannot go there: %s\n", strerror(errno));
  FILE *table = fopen("/proc/self/cgroup", "r");
  while (table && fgets(line, sizeof line, table)) {
    if (strstr(line, "name=systemd")) printf("is in %s", strrchr(line, ':') + 1);
  }
}

static int show(const char *path, const struct stat *found, int type, struct FTW *place) {
  (void)found;
  const char *name = path + place->base;
  size_t digits = 0;
  if (strncmp(name, "docker-", 7) == 0) name += 7;
  while (isxdigit((unsigned char)name[digits])) digits++;
  if (type == FTW_D && digits >= 32) printf("%s\n", path);
  return 0;
}

static int try_there(const char *path, const struct stat *found, int type, struct FTW *place) {
  (void)found;
  char inner[8192];
  static const char *const files[] = {"cgroup.procs", "tasks", "devices.allow", "release_agent", "notify_on_release"};
  struct statfs system;
  if (type != FTW_D || place->level > 3 || statfs(path, &system) != 0) return 0;
  /* The directory on which the hierarchies are mounted is in the container's own memory. */
  if (system.f_type != CGROUP && system.f_type != CGROUP2) return 0;
  /* This is its own group, which it may write. */
  int is_own = strncmp(path, ROOT "/systemd", strlen(ROOT "/systemd")) == 0;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(inner, sizeof inner, "%s/%s", path, files[i]);
    if (put(inner, i < 2 ? "0" : i == 2 ? "a *:* rwm" : "1") == 0 && (!is_own || i == 3)) printf("wrote %s\n", inner);
  }
  snprintf(inner, sizeof inner, "%s/made", path);
  if (mkdir(inner, 0755) == 0 && !is_own) printf("made %s\n", inner);
  return 0;
}

static void nest(int count) {
  if (chdir(ROOT "/systemd") != 0) exit(1);
  for (int i = 0; i < count; i++) {
    if (mkdir("nested", 0755) != 0 || chdir("nested") != 0) exit(1);
  }
  puts("nested");
}

int main(int count, char **words) {
  const char *act = count > 1 ? words[1] : "";
  if (strcmp(act, "own") == 0) own();
  else if (strcmp(act, "neighbours") == 0) nftw(ROOT, show, 16, FTW_PHYS);
  else if (strcmp(act, "others") == 0) nftw(ROOT, try_there, 16, FTW_PHYS);
  else if (strcmp(act, "nest") == 0 && count > 2) nest(atoi(words[2]));
  else if (strcmp(act, "wait") == 0) pause();
  else return 2;
}
