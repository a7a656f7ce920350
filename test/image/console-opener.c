/*
 * An attacker with a node of the host's console that its image brought: tries from its first moment on to open it, for as
 * long as a service might need to take it away, and says at the end what the kernel said. It writes nothing there.
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
