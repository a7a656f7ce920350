/*
 * Says what a container's seccomp profile lets a program do: one line for each probe, with what the kernel said to it.
 * A refusal by seccomp is EPERM, so each probe is made so that the kernel itself would say something else.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UI_DEV_CREATE 0x5501UL
/* Of no driver: what asks for it is told ENOTTY. */
#define UNKNOWN 0x5502UL
#define X32 0x40000000L
#define X32_IOCTL (X32 | 514)
#define I386_IOCTL 54

static int pipe_end;

static int clone_with(unsigned long flags) {
  long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return child < 0 ? -1 : 0;
}

static int new_thread(void) { return clone_with(0); }
static int new_user_clone(void) { return clone_with(CLONE_NEWUSER); }
static int new_user_unshare(void) { return unshare(CLONE_NEWUSER); }
static int chroot_nowhere(void) { return chroot("/nowhere"); }
static int setns_nowhere(void) { return setns(-1, 0); }
static int clone3_nothing(void) { return (int)syscall(SYS_clone3, 0, 0); }
static int fionread(void) {
  int waiting;
  return ioctl(pipe_end, FIONREAD, &waiting);
}

/* As a browser's sandbox does. */
static int chroot_in_namespace(void) { return unshare(CLONE_NEWUSER) || chroot("/proc/self") ? -1 : 0; }

static int setns_in_namespace(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWUTS)) return -1;
  return setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS);
}

static long request(unsigned long number) { return syscall(SYS_ioctl, pipe_end, number, 0); }

static int create(void) { return (int)request(UI_DEV_CREATE); }
static int create_high_bit(void) { return (int)request(0x100000000UL | UI_DEV_CREATE); }
static int create_high_bits(void) { return (int)request(0xffffffff00000000UL | UI_DEV_CREATE); }
static int unknown(void) { return (int)request(UNKNOWN); }

/* Fails with ENOTTY if all do, and else with what the first other one said. */
static int neighbours(void) {
  for (int bit = 0; bit < 32; bit++) {
    for (unsigned long high = 0; high <= 1; high++) {
      if (request(high << 32 | (UI_DEV_CREATE ^ 1UL << bit)) == 0) return 0;
      if (errno != ENOTTY) return -1;
    }
  }
  return -1;
}

#ifdef __x86_64__
static int i386(unsigned long number) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(I386_IOCTL), "b"(pipe_end), "c"(number), "d"(0) : "memory");
  errno = (int)-result;
  return result < 0 ? -1 : 0;
}

static int activate_i386(void) { return i386(VT_ACTIVATE); }
static int paste_i386(void) { return i386(TIOCLINUX); }
static int create_i386(void) { return i386(UI_DEV_CREATE); }
static int unknown_i386(void) { return i386(UNKNOWN); }
static int create_x32(void) { return (int)syscall(X32_IOCTL, pipe_end, UI_DEV_CREATE, 0); }
static int unknown_x32(void) { return (int)syscall(X32_IOCTL, pipe_end, UNKNOWN, 0); }
#endif

/* What the kernel says to a request, with the upper half of the argument clear and with it set. */
static void tell(unsigned long number) {
  for (unsigned long high = 0; high <= 1; high++) {
    int error = request(high << 32 | number) < 0 ? errno : 0;
    printf("request %s0x%lx: %s\n", high ? "1:" : "", number, strerror(error));
  }
}

/* All that terminals, keyboards, and consoles know, and what uinput and others have beside them. */
static void tell_requests(void) {
  for (unsigned long number = 0x5400; number < 0x5700; number++) tell(number);
  for (unsigned long number = 0x4b00; number < 0x4c00; number++) tell(number);
}

/*
 * Each in a process of its own: some change what the next would find, and a kernel without i386 ends the process, which
 * gives no line.
 */
static void probe(const char *name, int (*call)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(call() == 0 ? 0 : errno);
  int status;
  if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) return;
  printf("%s: %s\n", name, strerror(WEXITSTATUS(status)));
}

int main(void) {
  int ends[2];
  if (pipe(ends)) return EXIT_FAILURE;
  pipe_end = ends[0];
  probe("clone", new_thread);
  probe("clone3", clone3_nothing);
  probe("clone into a user namespace", new_user_clone);
  probe("unshare into a user namespace", new_user_unshare);
  probe("chroot to nowhere", chroot_nowhere);
  probe("chroot in a user namespace", chroot_in_namespace);
  probe("setns to nowhere", setns_nowhere);
  probe("setns in a user namespace", setns_in_namespace);
  probe("FIONREAD", fionread);
  probe("an unknown request", unknown);
  probe("requests with one other bit", neighbours);
  probe("UI_DEV_CREATE", create);
  probe("UI_DEV_CREATE with a high bit", create_high_bit);
  probe("UI_DEV_CREATE with all high bits", create_high_bits);
#ifdef __x86_64__
  probe("UI_DEV_CREATE of i386", create_i386);
  probe("VT_ACTIVATE of i386", activate_i386);
  probe("TIOCLINUX of i386", paste_i386);
  probe("an unknown request of i386", unknown_i386);
  probe("UI_DEV_CREATE of x32", create_x32);
  probe("an unknown request of x32", unknown_x32);
#endif
  tell_requests();
  return EXIT_SUCCESS;
}
