/*
 * Preloaded into Chromium, so that Chromium does not learn that network interfaces appear or
 * disappear. Otherwise, on a host whose containers come and go, it would abort its loads each time
 * (ERR_NETWORK_CHANGED).
 */

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int domain, int type, int protocol) {
  if (domain == AF_NETLINK) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return (int)syscall(SYS_socket, domain, type, protocol);
}
