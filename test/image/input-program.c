/*
 * Plays a program in a container with input devices: it executes commands, one per line, over 32262/tcp, and answers
 * each with one line.
 *
 *   connect             gets the descriptors, as the streaming server does; answers their count, or the error
 *   write I T C V       writes one event (type, code, value) to descriptor I
 *   destroy I           destroys the device of descriptor I, as a hostile program would
 *   disguise I          makes another keyboard of descriptor I, with another name
 *   open PATH           opens a node for reading and keeps it open
 *   open-number N       the same, through its own node for /dev/input/eventN
 *   listen-to           answers how many events arrived at the opened node, or why they cannot be read
 *   axes                answers the ranges of the axes X and Y of the opened node
 *   nodes               answers the names in /dev/input
 *   console N           makes a node for /dev/ttyN, and makes that console its controlling terminal
 *   control R A         calls the ioctl R of that console with the number A
 *   control-text R TEXT the same with a pointer to these bytes, in hexadecimal
 *   print TEXT          writes these bytes to the console, in hexadecimal
 *   typed               answers in hexadecimal what can be read from the console
 *
 * With the arguments "receive PATH" it gets descriptors from the socket at PATH, writes its number to each, prints how
 * many there were, and exits.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/uinput.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define DEVICES 3
#define INPUT_MAJOR 13
#define FIRST_EVENT_MINOR 64
#define TTY_MAJOR 4
/* The time limit of blocking calls, in seconds. */
#define PATIENCE 3

static int descriptors[DEVICES] = {-1, -1, -1};
static int opened = -1;
static int console = -1;

static const char *result(int value) { return value < 0 ? strerror(errno) : "done"; }

/* As strict as the streaming server: one message, one byte, and room for exactly three descriptors. */
static int receive(int peer) {
  char byte;
  char control[CMSG_SPACE(sizeof descriptors)];
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
    .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof descriptors)};
  ssize_t length = recvmsg(peer, &message, 0);
  if (length < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (length == 0 || !header || header->cmsg_type != SCM_RIGHTS) return 0;
  for (int i = 0; i < DEVICES; i++) if (descriptors[i] >= 0) close(descriptors[i]);
  memcpy(descriptors, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
  return (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static void get_descriptors(const char *path, FILE *answer) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int peer = socket(AF_UNIX, SOCK_STREAM, 0);
  int count = connect(peer, (struct sockaddr *)&address, sizeof address) != 0 ? -1 : receive(peer);
  if (count < 0) fprintf(answer, "%s\n", strerror(errno));
  else fprintf(answer, "%d\n", count);
  close(peer);
}

static int write_event(int index, int type, int code, int value) {
  struct input_event event = {.type = type, .code = code, .value = value};
  return write(descriptors[index], &event, sizeof event);
}

static int disguise(int index) {
  struct uinput_setup setup = {.id = {.bustype = BUS_USB}, .name = "Power Button"};
  int fd = descriptors[index];
  if (ioctl(fd, UI_DEV_DESTROY) < 0 || ioctl(fd, UI_DEV_SETUP, &setup) < 0) return -1;
  if (ioctl(fd, UI_SET_EVBIT, EV_KEY) < 0 || ioctl(fd, UI_SET_KEYBIT, KEY_POWER) < 0) return -1;
  return ioctl(fd, UI_DEV_CREATE);
}

static int open_node(const char *path) {
  if (opened >= 0) close(opened);
  return opened = open(path, O_RDONLY | O_NONBLOCK);
}

static int open_number(int number) {
  unlink("/tmp/node");
  if (mknod("/tmp/node", S_IFCHR | 0600, makedev(INPUT_MAJOR, FIRST_EVENT_MINOR + number)) != 0) return -1;
  return open_node("/tmp/node");
}

static void listen_to(FILE *answer) {
  struct input_event events[64];
  ssize_t length = read(opened, events, sizeof events);
  if (length < 0 && errno != EAGAIN) fprintf(answer, "%s\n", strerror(errno));
  else fprintf(answer, "%zd\n", length < 0 ? 0 : length / (ssize_t)sizeof *events);
}

static void describe_axes(FILE *answer) {
  struct input_absinfo x, y;
  if (ioctl(opened, EVIOCGABS(ABS_X), &x) < 0 || ioctl(opened, EVIOCGABS(ABS_Y), &y) < 0) {
    fprintf(answer, "%s\n", strerror(errno));
  } else {
    fprintf(answer, "%d..%d %d..%d\n", x.minimum, x.maximum, y.minimum, y.maximum);
  }
}

static void list_nodes(FILE *answer) {
  DIR *directory = opendir("/dev/input");
  for (struct dirent *one; directory && (one = readdir(directory));) {
    if (one->d_name[0] != '.') fprintf(answer, "%s ", one->d_name);
  }
  if (directory) closedir(directory);
  fputs("\n", answer);
}

/* Replaces the controlling terminal that Docker may have set. */
static int open_console(int number) {
  struct termios mode;
  int old = open("/dev/tty", O_RDWR);
  signal(SIGHUP, SIG_IGN);
  if (old >= 0) ioctl(old, TIOCNOTTY), close(old);
  unlink("/tmp/console");
  if (mknod("/tmp/console", S_IFCHR | 0600, makedev(TTY_MAJOR, number)) != 0) return -1;
  console = open("/tmp/console", O_RDWR | O_NONBLOCK | O_NOCTTY);
  if (console < 0 || ioctl(console, TIOCSCTTY, 0) < 0 || tcgetattr(console, &mode) < 0) return -1;
  cfmakeraw(&mode);
  return tcsetattr(console, TCSANOW, &mode);
}

static void stay_awake(int signal) { (void)signal; }

static int control(unsigned long request, long argument) {
  struct sigaction give_up = {.sa_handler = stay_awake};
  sigaction(SIGALRM, &give_up, NULL);
  alarm(PATIENCE);
  int value = ioctl(console, request, argument);
  alarm(0);
  return value;
}

static int bytes_of(const char *text, unsigned char *bytes, int size) {
  int length = 0;
  while (length < size && sscanf(text + 2 * length, "%2hhx", &bytes[length]) == 1) length++;
  return length;
}

static void show_typed(FILE *answer) {
  unsigned char bytes[256];
  ssize_t length = read(console, bytes, sizeof bytes);
  for (ssize_t i = 0; i < length; i++) fprintf(answer, "%02x", bytes[i]);
  fputs("\n", answer);
}

static void obey(const char *line, FILE *answer) {
  int index, type, code, value;
  char path[200];
  unsigned char bytes[100] = {0};
  unsigned long request;
  long argument;
  if (strcmp(line, "connect\n") == 0) get_descriptors("/tmp/sockets/uinput.sock", answer);
  else if (strcmp(line, "listen-to\n") == 0) listen_to(answer);
  else if (strcmp(line, "axes\n") == 0) describe_axes(answer);
  else if (strcmp(line, "nodes\n") == 0) list_nodes(answer);
  else if (sscanf(line, "write %d %d %d %d", &index, &type, &code, &value) == 4)
    fprintf(answer, "%s\n", result(write_event(index, type, code, value)));
  else if (sscanf(line, "destroy %d", &index) == 1)
    fprintf(answer, "%s\n", result(ioctl(descriptors[index], UI_DEV_DESTROY)));
  else if (sscanf(line, "disguise %d", &index) == 1) fprintf(answer, "%s\n", result(disguise(index)));
  else if (sscanf(line, "open-number %d", &index) == 1) fprintf(answer, "%s\n", result(open_number(index)));
  else if (sscanf(line, "open %199s", path) == 1) fprintf(answer, "%s\n", result(open_node(path)));
  else if (sscanf(line, "console %d", &index) == 1) fprintf(answer, "%s\n", result(open_console(index)));
  else if (sscanf(line, "control-text %lx %199s", &request, path) == 2) {
    bytes_of(path, bytes, sizeof bytes);
    fprintf(answer, "%s\n", result(control(request, (long)bytes)));
  } else if (sscanf(line, "control %lx %ld", &request, &argument) == 2)
    fprintf(answer, "%s\n", result(control(request, argument)));
  else if (sscanf(line, "print %199s", path) == 1)
    fprintf(answer, "%s\n", result(write(console, bytes, bytes_of(path, bytes, sizeof bytes))));
  else if (strcmp(line, "typed\n") == 0) show_typed(answer);
  else fputs("what?\n", answer);
  fflush(answer);
}

static int receive_once(const char *path) {
  get_descriptors(path, stdout);
  for (int i = 0; i < DEVICES; i++) if (descriptors[i] >= 0) dprintf(descriptors[i], "%d", i);
  return 0;
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "receive") == 0) return receive_once(words[2]);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(32262)};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  signal(SIGTERM, _exit);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) return 1;
  for (;;) {
    int peer = accept(fd, NULL, NULL);
    FILE *lines = fdopen(peer, "r"), *answer = fdopen(dup(peer), "w");
    char line[256];
    while (fgets(line, sizeof line, lines)) obey(line, answer);
    fclose(lines);
    fclose(answer);
  }
}
