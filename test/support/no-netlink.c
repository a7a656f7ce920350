/*
 * Preloaded into Chromium, so that it does not hear of network interfaces that appear or disappear. On a host whose
 * containers come and go, it would abort what it loads each time (ERR_NETWORK_CHANGED).
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
