/*
 * Plays a program that keeps clients on 32262/tcp for as long as they like, greets each of them, and reads datagrams on
 * 32263/udp. After SIGUSR1 it accepts no more clients, and after SIGUSR2 it does again. It does not wait for its
 * container to be ready.
 *
 * With the argument "itself" it is its own client, over loopback and over its own address. With "check" its exit code
 * says whether it accepts clients, for Docker's health check.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 32262
#define MOST_CLIENTS 64

static volatile sig_atomic_t wants_clients = 1;

static void on_signal(int number) {
  if (number == SIGTERM) _exit(0);
  wants_clients = number == SIGUSR2;
}

static int open_socket(int type, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || (type == SOCK_STREAM && listen(fd, 16) != 0)) {
    perror("listen");
    exit(1);
  }
  return fd;
}

static int dial(struct in_addr host) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = host};
  return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address);
}

static void dial_itself(void) {
  struct ifaddrs *first;
  if (getifaddrs(&first) != 0) exit(1);
  for (struct ifaddrs *one = first; one; one = one->ifa_next) {
    if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET) continue;
    if (dial(((struct sockaddr_in *)one->ifa_addr)->sin_addr) != 0) exit(1);
  }
}

static int greet(int client) {
  if (send(client, "\n", 1, MSG_NOSIGNAL) != 1) perror("greet");
  return client;
}

/* The first two wait for clients and datagrams. */
static void serve(struct pollfd *sockets, int count) {
  char data[64];
  if (sockets[1].revents && read(sockets[1].fd, data, sizeof data) < 0) perror("read");
  if (sockets[0].revents && count < MOST_CLIENTS)
    sockets[count] = (struct pollfd){.fd = greet(accept(sockets[0].fd, NULL, NULL)), .events = POLLIN};
  for (int i = 2; i < count; i++) {
    if (!sockets[i].revents || read(sockets[i].fd, data, sizeof data) > 0) continue;
    close(sockets[i].fd);
    sockets[i].fd = -1;
  }
}

int main(int count, char **words) {
  struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
  if (count > 1 && strcmp(words[1], "check") == 0) return dial(loopback) != 0;
  struct sigaction action = {.sa_handler = on_signal};
  for (int i = 0; i < 3; i++) sigaction((int[]){SIGTERM, SIGUSR1, SIGUSR2}[i], &action, NULL);
  struct pollfd sockets[MOST_CLIENTS] = {{.fd = open_socket(SOCK_STREAM, PORT), .events = POLLIN},
                                         {.fd = open_socket(SOCK_DGRAM, PORT + 1), .events = POLLIN}};
  if (count > 1) dial_itself();
  for (int used = 2;;) {
    if (wants_clients && sockets[0].fd < 0) sockets[0].fd = open_socket(SOCK_STREAM, PORT);
    if (!wants_clients && sockets[0].fd >= 0) {
      close(sockets[0].fd);
      sockets[0].fd = -1;
    }
    if (poll(sockets, used, 100) <= 0) continue;
    int is_new = sockets[0].revents && used < MOST_CLIENTS;
    serve(sockets, used);
    used += is_new;
  }
}
