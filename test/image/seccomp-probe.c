/*
 * Prints what a container's seccomp profile allows: one line for each probe, with the kernel's answer. A refusal by
 * seccomp is EPERM, so each probe is made so that the kernel itself would give another answer.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/vt.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define UI_DEV_CREATE 0x5501UL
/* No driver has it, so the kernel answers ENOTTY. */
#define UNKNOWN 0x5502UL
#define X32 0x40000000L
#define X32_IOCTL (X32 | 514)
#define I386_IOCTL 54
#define FILE_SETATTR 469
#define I386_MKNOD 14
#define I386_SOCKETCALL 102
#define I386_MKNODAT 297
#define I386_SOCKET 359
/* The device number 5:1, as mknod takes it. */
#define CONSOLE 0x501L
/* No socket is of this type, which the kernel checks before the family. */
#define NO_TYPE 15

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

/* A browser's sandbox does the same. */
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

/* Fails with ENOTTY if all do, and otherwise with the error of the first other one. */
static int neighbours(void) {
  for (int bit = 0; bit < 32; bit++) {
    for (unsigned long high = 0; high <= 1; high++) {
      if (request(high << 32 | (UI_DEV_CREATE ^ 1UL << bit)) == 0) return 0;
      if (errno != ENOTTY) return -1;
    }
  }
  return -1;
}

static int ring(void) { return (int)syscall(SYS_io_uring_setup, 0, 0); }
static int ring_enter(void) { return (int)syscall(SYS_io_uring_enter, -1, 1, 1, 1 << 31, 0, 0); }
static int ring_register(void) { return (int)syscall(SYS_io_uring_register, -1, 1 << 30, 0, 0); }

static int attributes_by_path(void) { return (int)syscall(FILE_SETATTR, -1, 0, 0, 0, 0); }

/* A browser's sandbox starts like this: in a child that is an administrator of its own namespaces and of nothing else. */
static int browser_sandbox(void) {
  long child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    bool works = getpid() == 1 && chroot("/proc/self/fdinfo") == 0 && socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0;
    _exit(works ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid((pid_t)child, &status, 0) < 0) return -1;
  errno = ECHILD;
  return status == 0 ? 0 : -1;
}

/* The kernel's answer to a program that is an administrator of its own network, which is not a lack of rights. */
static int in_own_network(int protocol) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) return -1;
  return socket(AF_NETLINK, SOCK_RAW, protocol) < 0 && errno == EPERM ? -1 : 0;
}

static int nf_tables(void) { return in_own_network(NETLINK_NETFILTER); }
static int xfrm(void) { return in_own_network(NETLINK_XFRM); }

#ifdef __x86_64__
static int call_i386(long call, long first, long second, long third, long fourth) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(call), "b"(first), "c"(second), "d"(third), "S"(fourth)
                   : "memory", "r8", "r9", "r10", "r11");
  errno = (int)-result;
  return result < 0 ? -1 : 0;
}

static int i386(unsigned long number) { return call_i386(I386_IOCTL, pipe_end, (long)number, 0, 0); }

/* No addresses are passed, because those of this program do not fit into 32 bits. */
static int socketcall_i386(void) { return call_i386(I386_SOCKETCALL, 1, 0, 0, 0); }
static int socket_i386(void) { return call_i386(I386_SOCKET, AF_ALG, NO_TYPE, 0, 0); }
static int unix_i386(void) { return call_i386(I386_SOCKET, AF_UNIX, NO_TYPE, 0, 0); }
static int ring_i386(void) { return call_i386(SYS_io_uring_setup, 0, 0, 0, 0); }
static int node_i386(void) { return call_i386(I386_MKNOD, 0, S_IFCHR, CONSOLE, 0); }
static int nodeat_i386(void) { return call_i386(I386_MKNODAT, AT_FDCWD, 0, S_IFCHR, CONSOLE); }
static int other_node_i386(void) { return call_i386(I386_MKNOD, 0, S_IFCHR, CONSOLE + 1, 0); }

static int attributes_i386(void) { return i386(FS_IOC32_SETFLAGS); }
static int activate_i386(void) { return i386(VT_ACTIVATE); }
static int paste_i386(void) { return i386(TIOCLINUX); }
static int create_i386(void) { return i386(UI_DEV_CREATE); }
static int unknown_i386(void) { return i386(UNKNOWN); }
static int create_x32(void) { return (int)syscall(X32_IOCTL, pipe_end, UI_DEV_CREATE, 0); }
static int unknown_x32(void) { return (int)syscall(X32_IOCTL, pipe_end, UNKNOWN, 0); }
#endif

/* The kernel's answer to a request, with the upper half of the argument clear and set. */
static void tell(unsigned long number) {
  for (unsigned long high = 0; high <= 1; high++) {
    int error = request(high << 32 | number) < 0 ? errno : 0;
    printf("request %s0x%lx: %s\n", high ? "1:" : "", number, strerror(error));
  }
}

/*
 * All requests of terminals, keyboards and consoles, additional ones of uinput and others, and those that read and
 * change attributes of files.
 */
static void tell_requests(void) {
  tell(FS_IOC_GETFLAGS);
  tell(FS_IOC_SETFLAGS);
  tell(FS_IOC32_SETFLAGS);
  tell(FS_IOC_FSGETXATTR);
  tell(FS_IOC_FSSETXATTR);
  for (unsigned long number = 0x5400; number < 0x5700; number++) tell(number);
  for (unsigned long number = 0x4b00; number < 0x4c00; number++) tell(number);
}

static void say(const char *what, long number, long result) {
  int error = result < 0 ? errno : 0;
  printf("%s %ld: %s\n", what, number, strerror(error));
}

/* In a directory that does not exist, which the kernel checks before the capability. */
static void tell_nodes(void) {
  static const struct { int major, minor; } devices[] = {{5, 1}, {5, 0}, {5, 2}, {4, 10}, {226, 0}, {1, 5}, {1, 3}, {0, 0}};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    unsigned long device = makedev(devices[i].major, devices[i].minor);
    for (unsigned long high = 0; high <= 1; high++) {
      long number = (long)(high << 32 | device);
      say("mknod of", number, syscall(SYS_mknodat, AT_FDCWD, "/nowhere/node", S_IFCHR, number));
#ifdef SYS_mknod
      say("old mknod of", number, syscall(SYS_mknod, "/nowhere/node", S_IFCHR, number));
#endif
    }
  }
  for (int bit = 0; bit < 32; bit++) {
    long number = CONSOLE ^ 1L << bit;
    say("mknod of", number, syscall(SYS_mknodat, AT_FDCWD, "/nowhere/node", S_IFCHR, number));
  }
}

static void tell_sockets(void) {
  for (long family = 0; family < 64; family++) {
    say("socket of", family, syscall(SYS_socket, family, NO_TYPE, 0));
    say("socket with a high bit of", family, syscall(SYS_socket, 1L << 32 | family, NO_TYPE, 0));
    say("socketpair of", family, syscall(SYS_socketpair, family, NO_TYPE, 0, 0));
  }
  for (long protocol = 0; protocol < 32; protocol++) {
    say("netlink", protocol, syscall(SYS_socket, AF_NETLINK, NO_TYPE, protocol));
    say("netlink with a high bit", protocol, syscall(SYS_socket, AF_NETLINK, NO_TYPE, 1L << 32 | protocol));
  }
}

static void tell_options(void) {
  for (long option = 0; option < 2048; option++) {
    say("option of IP", option, syscall(SYS_setsockopt, -1, IPPROTO_IP, option, 0, 0));
    say("option of IPv6", option, syscall(SYS_setsockopt, -1, IPPROTO_IPV6, option, 0, 0));
  }
  for (long level = 0; level < 512; level++)
    say("first option of level", level, syscall(SYS_setsockopt, -1, level, 1, 0, 0));
}

/* For a process that cannot exist, which the kernel checks before the rights. */
static void tell_policies(void) {
  struct sched_param priority = {0};
  for (long policy = 0; policy < 16; policy++) {
    say("policy", policy, syscall(SYS_sched_setscheduler, -1, policy, &priority));
    say("policy with a high bit", policy, syscall(SYS_sched_setscheduler, -1, 1L << 32 | policy, &priority));
    say("policy until a fork", policy, syscall(SYS_sched_setscheduler, -1, SCHED_RESET_ON_FORK | policy, &priority));
  }
}

static int attributes(void) { return (int)syscall(SYS_sched_setattr, -1, 0, 0); }

/* For itself, and with the right to all of them. */
static void tell_classes(void) {
  for (long class = 0; class < 4; class++) {
    say("class", class, syscall(SYS_ioprio_set, 1, 0, class << 13 | (class ? 4 : 0)));
    say("class with a high bit", class, syscall(SYS_ioprio_set, 1, 0, 1L << 32 | class << 13 | (class ? 4 : 0)));
  }
}

/*
 * Each runs in its own process: some would change what the next one finds, and a kernel without i386 kills the process,
 * which prints no line.
 */
static void probe(const char *name, int (*call)(void)) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(call() == 0 ? 0 : errno);
  int status;
  if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) return;
  printf("%s: %s\n", name, strerror(WEXITSTATUS(status)));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "classes") == 0) {
    tell_classes();
    return EXIT_SUCCESS;
  }
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
  probe("io_uring_setup", ring);
  probe("io_uring_enter", ring_enter);
  probe("io_uring_register", ring_register);
  probe("file_setattr", attributes_by_path);
  probe("a browser's sandbox in namespaces", browser_sandbox);
  probe("nf_tables in an own network namespace", nf_tables);
  probe("sched_setattr", attributes);
  probe("xfrm in an own network namespace", xfrm);
#ifdef __x86_64__
  probe("socketcall of i386", socketcall_i386);
  probe("AF_ALG of i386", socket_i386);
  probe("AF_UNIX of i386", unix_i386);
  probe("io_uring_setup of i386", ring_i386);
  probe("5:1 of i386", node_i386);
  probe("5:1 of i386, below a directory", nodeat_i386);
  probe("5:2 of i386", other_node_i386);
  probe("UI_DEV_CREATE of i386", create_i386);
  probe("FS_IOC32_SETFLAGS of i386", attributes_i386);
  probe("VT_ACTIVATE of i386", activate_i386);
  probe("TIOCLINUX of i386", paste_i386);
  probe("an unknown request of i386", unknown_i386);
  probe("UI_DEV_CREATE of x32", create_x32);
  probe("an unknown request of x32", unknown_x32);
#endif
  tell_requests();
  tell_nodes();
  tell_sockets();
  tell_options();
  tell_policies();
  if (argc > 1) {
    int signal_number;
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    puts("all answers are printed: Success");
    fflush(stdout);
    sigwait(&end, &signal_number);
  }
  return EXIT_SUCCESS;
}
