/*
 * A stand-in for systemd, because Node has no unix datagram sockets: it listens at the given path or @name, and prints
 * each message on a line.
 */

#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[4096];
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[1]);
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(argv[1]);
  if (argv[1][0] == '@') address.sun_path[0] = 0;
  if (bind(fd, (struct sockaddr *)&address, length) != 0) return perror("bind"), 1;
  setlinebuf(stdout);
  puts("listening");
  for (ssize_t got; (got = recv(fd, text, sizeof text, 0)) >= 0;) printf("%.*s\n", (int)got, text);
  return perror("recv"), 1;
}
