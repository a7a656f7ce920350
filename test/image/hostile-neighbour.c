/*
 * Plays a program that takes as much of the host as it can get, within bounds of its own, so that a host without limits
 * survives it too. It prints what it got, one line per attack, and then waits to be stopped. After two minutes it exits
 * by itself.
 *
 *   forks N        makes up to N processes that only wait
 *   memory MIB     has a child touch so much memory
 *   ooms N MIB     does that N times, one after the other
 *   grow MIB       touches so much memory itself, after SIGUSR1
 *   log MIB        writes so much to its output
 *   file PATH MIB  writes so much to a file
 *   files DIR N    makes up to N empty files
 *   leave DIR      tries to move DIR, and a file in it, out of their quota project, and to move files out
 *   terminals N    opens up to N pseudo terminals
 *
 * Several attacks may follow each other.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1L << 20)
#define MOST_SECONDS 120

static char block[MIB];

static void end(int number) {
  (void)number;
  _exit(0);
}

static void say(const char *format, ...) {
  va_list words;
  va_start(words, format);
  vprintf(format, words);
  va_end(words);
  fflush(stdout);
}

static void forks(long most) {
  long made = 0;
  int why = 0;
  while (made < most) {
    pid_t child = fork();
    if (child == 0)
      for (;;) pause();
    if (child < 0) {
      why = errno;
      break;
    }
    made++;
  }
  say("forks: %ld, %s\n", made, why ? strerror(why) : "no end");
}

static void grow(long mib) {
  for (long i = 0; i < mib; i++) {
    char *more = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED) _exit(1);
    memset(more, 1, MIB);
  }
}

static void grow_when_told(long mib) {
  int number;
  sigset_t go;
  sigemptyset(&go);
  sigaddset(&go, SIGUSR1);
  sigprocmask(SIG_BLOCK, &go, NULL);
  say("grow: waits\n");
  sigwait(&go, &number);
  grow(mib);
}

/* Returns how the child that touched the memory ended. */
static int touch(long mib) {
  pid_t child = fork();
  if (child == 0) {
    grow(mib);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

static void memory(long mib) {
  int status = touch(mib);
  say("memory: %s\n", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no end");
}

static void ooms(long times, long mib) {
  long killed = 0;
  for (long i = 0; i < times; i++) killed += WIFSIGNALED(touch(mib));
  say("ooms: %ld\n", killed);
}

static void write_log(long mib) {
  memset(block, 'x', sizeof block);
  for (long i = 127; i < MIB; i += 128) block[i] = '\n';
  for (long i = 0; i < mib; i++)
    for (long done = 0; done < MIB;) {
      ssize_t written = write(STDOUT_FILENO, block + done, MIB - done);
      if (written <= 0) _exit(1);
      done += written;
    }
  say("log: %ld\n", mib);
}

/* This runs in a child, because the memory of a tmpfs counts as its writer's. */
static void file(const char *path, long mib) {
  pid_t child = fork();
  if (child == 0) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    long written = 0;
    while (fd >= 0 && written < mib * MIB) {
      ssize_t more = write(fd, block, MIB);
      if (more <= 0) break;
      written += more;
    }
    say("file: %ld, %s\n", written / MIB, written < mib * MIB ? strerror(errno) : "no end");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) say("file: %s\n", strsignal(WTERMSIG(status)));
}

static void files(const char *directory, long most) {
  long made = 0;
  int why = 0;
  for (; made < most; made++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%ld", directory, made);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      why = errno;
      break;
    }
    close(fd);
  }
  say("files: %ld, %s\n", made, why ? strerror(why) : "no end");
}

static void say_result(const char *what, long result) { say("leave %s: %s\n", what, result < 0 ? strerror(errno) : "done"); }

/* The arguments of FS_IOC_FSSETXATTR, and of file_setattr in Linux 6.17. */
static void leave_one(const char *what, int fd) {
  struct fsxattr none = {0};
  struct { uint64_t flags; uint32_t extent, project, other; uint64_t extents; } by_path = {0};
  int flags = 0;
  say("leave %s: now %s\n", what, ioctl(fd, FS_IOC_FSGETXATTR, &none) == 0 && none.fsx_projid ? "in a project" : "in none");
  memset(&none, 0, sizeof none);
  say_result("by FSSETXATTR", ioctl(fd, FS_IOC_FSSETXATTR, &none));
  say_result("by FSSETXATTR with a high bit", syscall(SYS_ioctl, fd, 1UL << 32 | FS_IOC_FSSETXATTR, &none));
  say_result("by SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
  say_result("by file_setattr", syscall(469, fd, "", &by_path, sizeof by_path, AT_EMPTY_PATH));
  say("leave %s: then %s\n", what, ioctl(fd, FS_IOC_FSGETXATTR, &none) == 0 && none.fsx_projid ? "in a project" : "in none");
}

static void leave(const char *directory) {
  char path[4096], moved[4096];
  snprintf(path, sizeof path, "%s/leaving", directory);
  snprintf(moved, sizeof moved, "%s/left", directory);
  int here = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  leave_one("directory", here);
  leave_one("file", file);
  say_result("rename", rename(path, moved));
}

static void terminals(long most) {
  long opened = 0;
  while (opened < most && open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0) opened++;
  say("terminals: %ld, %s\n", opened, opened < most ? strerror(errno) : "no end");
}

int main(int count, char **words) {
  signal(SIGTERM, end);
  signal(SIGALRM, end);
  alarm(MOST_SECONDS);
  for (int i = 1; i < count; i++) {
    const char *word = words[i];
    if (strcmp(word, "forks") == 0) forks(atol(words[++i]));
    else if (strcmp(word, "memory") == 0) memory(atol(words[++i]));
    else if (strcmp(word, "ooms") == 0) ooms(atol(words[i + 1]), atol(words[i + 2])), i += 2;
    else if (strcmp(word, "grow") == 0) grow_when_told(atol(words[++i]));
    else if (strcmp(word, "leave") == 0) leave(words[++i]);
    else if (strcmp(word, "log") == 0) write_log(atol(words[++i]));
    else if (strcmp(word, "file") == 0) file(words[i + 1], atol(words[i + 2])), i += 2;
    else if (strcmp(word, "terminals") == 0) terminals(atol(words[++i]));
    else if (strcmp(word, "files") == 0) files(words[i + 1], atol(words[i + 2])), i += 2;
  }
  for (;;) pause();
}
