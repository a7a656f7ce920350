/*
 * Runs above the service where systemd does not, for example under `make run`. A service cannot report its
 * own SIGKILL, crash, blocked event loop or stopped process. The launcher notices these, kills a service that
 * stopped responding, and runs the clean-up program with the same information that systemd would give. It
 * does so little that only a signal ends it; it then asks the service to stop gracefully.
 *
 * A service that hands its host over stores descriptors here and exits with code 79. The launcher then starts
 * it again and passes the descriptors on, as systemd does for a unit that is restarted.
 *
 * Source: sd_notify(3), sd_pid_notify_with_fds(3), sd_listen_fds(3), systemd.exec(5) on SERVICE_RESULT, unix(7),
 * signalfd(2).
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char USAGE[] =
  "Usage: launcher [--watchdog SECONDS] PROGRAM [WORD ...] -- BURY-PROGRAM [WORD ...]\n\n"
  "Runs PROGRAM; kills it when no WATCHDOG=1 (sd_notify) came from it for SECONDS (10). However it ended, runs\n"
  "BURY-PROGRAM then, with SERVICE_RESULT, EXIT_CODE, EXIT_STATUS and MAIN_PID, and exits as PROGRAM did.\n"
  "If PROGRAM exited with code 79, it hands over: it is started again with the descriptors that it stored.\n";

/* The exit code of a service that hands over. */
#define HANDED_OVER 79
/* The maximum number of stored descriptors, and the first one that a program gets. Source: sd_listen_fds(3). */
#define MOST_STORED 512
#define FIRST_PASSED 3

/* In seconds: longer than any real watchdog, and small enough for poll. */
#define LONGEST_WATCHDOG 86400

typedef struct {
  double watchdog; /* seconds */
  char **service;
  char **bury;
} command;

/* How the service ended. */
typedef struct {
  pid_t pid;
  int code;   /* CLD_EXITED, CLD_KILLED or CLD_DUMPED */
  int status; /* exit code or signal */
  bool is_late;
} end;

/* Descriptors that wait for the next start of the service. */
static struct {
  char name[80];
  int fd;
} stored[MOST_STORED];
static int stored_count;

/* The signal that asked the service to stop; 0 if none did. A service that hands over leaves the stop to the next one. */
static int asked_to_stop;

static sigset_t unblocked;

static int must(int result, const char *step) {
  if (result >= 0) return result;
  fprintf(stderr, "launcher: %s: %s\n", step, strerror(errno));
  exit(1);
}

static const char *read_command(char **words, command *command) {
  char *rest = "";
  if (words[0] && strcmp(words[0], "--watchdog") == 0) {
    command->watchdog = words[1] ? strtod(words[1], &rest) : 0;
    if (*rest || !(command->watchdog > 0 && command->watchdog <= LONGEST_WATCHDOG)) {
      return "--watchdog needs a number of seconds";
    }
    words += 2;
  }
  command->service = words;
  while (*words && strcmp(*words, "--") != 0) words++;
  if (words == command->service) return "a PROGRAM is missing";
  if (!words[0] || !words[1]) return "-- and a BURY-PROGRAM are missing";
  *words = NULL;
  command->bury = words + 1;
  return NULL;
}

/* The socket is reached through /proc, so only root can use it, and it disappears when the launcher is killed. */
static int open_notices(char *path, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char directory[] = "/tmp/launcher-XXXXXX";
  int yes = 1, fd = must(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "make a socket");
  must(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes), "ask for credentials");
  must(mkdtemp(directory) ? 0 : -1, "make a directory in /tmp");
  snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", directory);
  must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind a socket");
  int place = must(open(address.sun_path, O_PATH | O_CLOEXEC), "open a socket");
  must(unlink(address.sun_path), "unlink a socket");
  must(rmdir(directory), "remove a directory in /tmp");
  snprintf(path, size, "/proc/%d/fd/%d", getpid(), place);
  return fd;
}

static int block_signals(void) {
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int *one = (int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0}; *one; one++) sigaddset(&blocked, *one);
  /* If the parent ignored SIGCHLD, the launcher would inherit that and not learn how its children ended. */
  signal(SIGCHLD, SIG_DFL);
  sigprocmask(SIG_BLOCK, &blocked, &unblocked);
  return must(signalfd(-1, &blocked, SFD_NONBLOCK | SFD_CLOEXEC), "read signals");
}

static void set(const char *name, const char *format, long number) {
  char text[32];
  snprintf(text, sizeof text, format, number);
  setenv(name, text, 1);
}

static _Noreturn void run(char **words) {
  sigprocmask(SIG_SETMASK, &unblocked, NULL);
  execvp(words[0], words);
  fprintf(stderr, "launcher: cannot run %s: %s\n", words[0], strerror(errno));
  _exit(127);
}

/* Puts the stored descriptors where a program expects them. Runs in the child. */
static void pass_descriptors(void) {
  char names[MOST_STORED * sizeof stored->name] = "";
  set("FDSTORE", "%ld", MOST_STORED);
  set("RESTART_STATUS", "%ld", HANDED_OVER);
  if (stored_count == 0) return;
  /* Moves them out of the way first, so that none is overwritten before it is copied. */
  for (int i = 0; i < stored_count; i++) {
    stored[i].fd = must(fcntl(stored[i].fd, F_DUPFD_CLOEXEC, FIRST_PASSED + stored_count), "copy a descriptor");
  }
  for (int i = 0; i < stored_count; i++) {
    must(dup2(stored[i].fd, FIRST_PASSED + i), "pass a descriptor on");
    if (i > 0) strcat(names, ":");
    strcat(names, stored[i].name);
  }
  set("LISTEN_PID", "%ld", getpid());
  set("LISTEN_FDS", "%ld", stored_count);
  setenv("LISTEN_FDNAMES", names, 1);
}

static pid_t start_service(const command *command, const char *socket) {
  pid_t launcher = getpid(), pid = must(fork(), "fork");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != launcher) _exit(127);
  setenv("NOTIFY_SOCKET", socket, 1);
  set("WATCHDOG_USEC", "%ld", (long)(1e6 * command->watchdog));
  set("WATCHDOG_PID", "%ld", getpid());
  pass_descriptors();
  run(command->service);
}

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void forget_stored(const char *name) {
  for (int i = 0; i < stored_count; i++) {
    if (strcmp(stored[i].name, name) != 0) continue;
    close(stored[i].fd);
    stored[i--] = stored[--stored_count];
  }
}

/* @returns whether the store owns the descriptor now */
static bool store(const char *name, int fd) {
  if (*name == 0 || strlen(name) >= sizeof stored->name || strchr(name, ':')) return false;
  forget_stored(name);
  if (stored_count == MOST_STORED) return false;
  strcpy(stored[stored_count].name, name);
  stored[stored_count++].fd = fd;
  return true;
}

/* A message of the service. The descriptor is -1 if the message has none. */
typedef struct {
  pid_t sender;
  int fd;
} envelope;

static envelope open_envelope(struct msghdr *message) {
  envelope found = {0, -1};
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_type == SCM_CREDENTIALS) {
      struct ucred sender;
      memcpy(&sender, CMSG_DATA(header), sizeof sender);
      found.sender = sender.pid;
    } else if (header->cmsg_type == SCM_RIGHTS) {
      memcpy(&found.fd, CMSG_DATA(header), sizeof found.fd);
    }
  }
  return found;
}

/* @returns whether the service reports that it is alive */
static bool heed(char *text, int fd) {
  bool lives = false, stores = false, removes = false;
  const char *name = "";
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (strcmp(line, "WATCHDOG=1") == 0) lives = true;
    if (strcmp(line, "FDSTORE=1") == 0) stores = true;
    if (strcmp(line, "FDSTOREREMOVE=1") == 0) removes = true;
    if (strncmp(line, "FDNAME=", 7) == 0) name = line + 7;
  }
  if (removes) forget_stored(name);
  if (fd >= 0 && !(stores && store(name, fd))) close(fd);
  return lives;
}

/* Reads all waiting messages without blocking, and ignores those that do not come from the service. */
static bool hear(int notices, pid_t pid) {
  bool lives = false;
  for (int i = 0; i < 1000; i++) {
    char text[1024];
    char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec data = {text, sizeof text - 1};
    struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(notices, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) break;
    text[length] = 0;
    envelope found = open_envelope(&message);
    if (found.sender == pid) lives = heed(text, found.fd) || lives;
    else if (found.fd >= 0) close(found.fd);
  }
  return lives;
}

static void forward(int signals, pid_t pid) {
  struct signalfd_siginfo got;
  while (read(signals, &got, sizeof got) == sizeof got) {
    int wanted = got.ssi_signo;
    if (wanted == SIGTERM || wanted == SIGINT || wanted == SIGHUP) asked_to_stop = wanted;
    /* SIGUSR1 asks for a hand-over, and Node reserves that signal. */
    if (got.ssi_signo != SIGCHLD) kill(pid, got.ssi_signo == SIGUSR1 ? SIGPWR : got.ssi_signo);
  }
}

static end watch(pid_t pid, int notices, int signals, double seconds) {
  struct pollfd sources[] = {{.fd = notices, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
  int64_t patience = 1000 * seconds, deadline = milliseconds() + patience;
  bool is_late = false;
  for (;;) {
    int64_t left = deadline - milliseconds();
    poll(sources, 2, is_late ? -1 : left > 0 ? (int)left : 0);
    if (hear(notices, pid)) deadline = milliseconds() + patience;
    forward(signals, pid);
    siginfo_t info = {0};
    must(waitid(P_PID, pid, &info, WEXITED | WNOHANG), "wait for the service");
    /* The last descriptors that it stored may have come after the look above. */
    if (info.si_pid == pid) hear(notices, pid);
    if (info.si_pid == pid) return (end){pid, info.si_code, info.si_status, is_late};
    if (is_late || milliseconds() < deadline) continue;
    fprintf(stderr, "launcher: the service (pid %d) has said nothing for %g s and is killed\n", pid, seconds);
    kill(pid, SIGKILL);
    is_late = true;
  }
}

static const char *result_of(end end) {
  if (end.is_late) return "watchdog";
  if (end.code == CLD_EXITED) return end.status == 0 || end.status == HANDED_OVER ? "success" : "exit-code";
  if (end.code == CLD_DUMPED) return "core-dump";
  /* Like systemd, it does not count an end by one of these four signals as a failure. */
  bool is_clean = end.status == SIGHUP || end.status == SIGINT || end.status == SIGTERM || end.status == SIGPIPE;
  return is_clean ? "success" : "signal";
}

/* @returns whether that succeeded */
static bool bury(char **words, end end) {
  const char *name = end.code == CLD_EXITED ? NULL : sigabbrev_np(end.status);
  int status;
  pid_t pid = must(fork(), "fork");
  if (pid == 0) {
    setenv("SERVICE_RESULT", result_of(end), 1);
    setenv("EXIT_CODE", end.code == CLD_EXITED ? "exited" : end.code == CLD_DUMPED ? "dumped" : "killed", 1);
    set("EXIT_STATUS", name ? name : "%ld", end.status);
    set("MAIN_PID", "%ld", end.pid);
    run(words);
  }
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) fprintf(stderr, "launcher: %s has failed to bury the service (wait status %d)\n", words[0], status);
  return status == 0;
}

int main(int argc, char **argv) {
  command command = {.watchdog = 10};
  char socket[64];
  const char *problem = read_command(argv + (argc > 0), &command);
  if (problem) return fprintf(stderr, "launcher: %s\n\n%s", problem, USAGE), 2;
  int notices = open_notices(socket, sizeof socket), signals = block_signals();
  end end;
  bool is_buried, hands_over;
  do {
    pid_t pid = start_service(&command, socket);
    if (asked_to_stop) kill(pid, asked_to_stop);
    end = watch(pid, notices, signals, command.watchdog);
    hands_over = end.code == CLD_EXITED && end.status == HANDED_OVER;
    is_buried = bury(command.bury, end);
  } while (hands_over && is_buried);
  return end.code == CLD_EXITED ? end.status : 128 + end.status;
}
