/*
 * An attacker with a device node of the host's console from its image. From its start, it tries to open the node for as
 * long as a service might need to block it, and then prints the kernel's answer. It writes nothing to the node.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *attack(void) {
  static const struct timespec between = {.tv_nsec = 1000000};
  for (int i = 0; i < 500; i++) {
    if (open("/console", O_WRONLY | O_NOCTTY | O_NONBLOCK) >= 0) return "opened";
    nanosleep(&between, NULL);
  }
  return strerror(errno);
}

int main(void) {
  sigset_t end;
  int which;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, NULL);
  puts(attack());
  fflush(stdout);
  sigwait(&end, &which);
  return 0;
}
