/*
 * Plays the streaming server in a container: it waits until the host service says that everything is ready, reads the
 * resource mappings, opens its console, leaves a mark among the user's files, and answers with its findings on
 * 32262/tcp and 32263/udp. Like a hostile program, it also tries to open another container's console.
 *
 * With arguments it does not wait: "exit N" exits with that code.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAPPINGS "/fractal/resourceMappings/"
#define VISITS "/fractal/userConfigs/visits"
#define TTY_MAJOR 4

static void end(int signal_number) {
  (void)signal_number;
  _exit(0);
}

/* The text of a mapping as a JSON string; null if there is no such file. */
static const char *read_mapping(const char *name, char *buffer, size_t size) {
  char path[256];
  snprintf(path, sizeof path, MAPPINGS "%s", name);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return "null";
  buffer[0] = '"';
  ssize_t length = read(fd, buffer + 1, size - 3);
  close(fd);
  if (length < 0) return "null";
  strcpy(buffer + 1 + length, "\"");
  return buffer;
}

/* Makes a node for console `number` and opens it. */
static const char *open_console(const char *path, int number) {
  unlink(path);
  if (mknod(path, S_IFCHR | 0620, makedev(TTY_MAJOR, number)) != 0) return strerror(errno);
  int fd = open(path, O_RDWR | O_NOCTTY);
  if (fd < 0) return strerror(errno);
  close(fd);
  return "opened";
}

/* Tries to escape the device rules by moving to the root of their hierarchy. */
static const char *leave_device_rules(void) {
  int fd = open("/sys/fs/cgroup/devices/cgroup.procs", O_WRONLY);
  if (fd < 0 && errno == ENOENT) fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
  if (fd < 0) return strerror(errno);
  const char *result = write(fd, "0", 1) == 1 ? "left" : strerror(errno);
  close(fd);
  return result;
}

/* Counts the earlier containers with this user's files, and leaves a mark for later ones. */
static long count_visits(void) {
  int fd = open(VISITS, O_WRONLY | O_CREAT | O_APPEND, 0644);
  off_t visits = lseek(fd, 0, SEEK_END);
  if (write(fd, "x", 1) != 1) perror(VISITS);
  close(fd);
  return visits;
}

static int listen_on(int type, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || (type == SOCK_STREAM && listen(fd, 16) != 0)) {
    perror("listen");
    exit(1);
  }
  return fd;
}

static void describe(char *answer, size_t size) {
  char port[64], tty[64], dpi[64], arn[256], timeout[64], config[64];
  const char *tty_text = read_mapping("tty", tty, sizeof tty);
  int number = atoi(tty_text + 1);
  const char *own = open_console("/dev/tty10", number);
  const char *left = leave_device_rules();
  const char *other = open_console("/dev/other-tty", number == 63 ? 62 : number + 1);
  snprintf(answer, size,
           "{\"port\":%s,\"tty\":%s,\"dpi\":%s,\"arn\":%s,\"timeout\":%s,"
           "\"userConfig\":%s,\"visits\":%ld,"
           "\"ownConsole\":\"%s\",\"otherConsole\":\"%s\",\"deviceRules\":\"%s\"}\n",
           read_mapping("hostPort_for_my_32262_tcp", port, sizeof port), tty_text,
           read_mapping("DPI", dpi, sizeof dpi), read_mapping("ContainerARN", arn, sizeof arn),
           read_mapping("timeout", timeout, sizeof timeout), read_mapping("userConfig", config, sizeof config),
           count_visits(), own, other, left);
}

static void serve(const char *answer) {
  struct pollfd sockets[] = {{.fd = listen_on(SOCK_STREAM, 32262), .events = POLLIN},
                             {.fd = listen_on(SOCK_DGRAM, 32263), .events = POLLIN}};
  for (;;) {
    poll(sockets, 2, -1);
    if (sockets[0].revents) {
      int peer = accept(sockets[0].fd, NULL, NULL);
      if (write(peer, answer, strlen(answer)) < 0) perror("write");
      close(peer);
    }
    if (sockets[1].revents) {
      char question[1];
      struct sockaddr_in peer;
      socklen_t length = sizeof peer;
      recvfrom(sockets[1].fd, question, sizeof question, 0, (struct sockaddr *)&peer, &length);
      sendto(sockets[1].fd, answer, strlen(answer), 0, (struct sockaddr *)&peer, length);
    }
  }
}

int main(int count, char **words) {
  signal(SIGTERM, end);
  signal(SIGPIPE, SIG_IGN);
  if (count == 3 && strcmp(words[1], "exit") == 0) return atoi(words[2]);
  while (access(MAPPINGS ".ready", F_OK) != 0) usleep(20000);
  char answer[2048];
  describe(answer, sizeof answer);
  fputs(answer, stdout);
  fflush(stdout);
  serve(answer);
}
