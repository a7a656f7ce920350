/*
 * The baseline for input devices: the same three devices, created one after the other with the same calls and
 * nothing else. For each line of input, it creates them, waits until udev has recorded them, and destroys
 * them. It prints the microseconds of the calls, and the microseconds until the devices were usable.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DEVICES 3
#define RECORDS "/run/udev/data/"

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static void must(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static void set_range(int fd, unsigned long request, int first, int last) {
  for (int code = first; code <= last; code++) must(ioctl(fd, request, code), "set a bit");
}

static void set_axis(int fd, int code) {
  struct uinput_abs_setup axis = {.code = code, .absinfo = {.maximum = 0xfff}};
  must(ioctl(fd, UI_ABS_SETUP, &axis), "set an axis");
}

static int begin(const char *name, int product) {
  struct uinput_setup setup = {.id = {.bustype = BUS_USB, .vendor = 0xf4c1, .product = product, .version = 1}};
  int fd = open("/dev/uinput", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  must(fd, "open uinput");
  strcpy(setup.name, name);
  must(ioctl(fd, UI_DEV_SETUP, &setup), "set up");
  must(ioctl(fd, UI_SET_EVBIT, EV_KEY), "set keys");
  return fd;
}

static int make_pointer(void) {
  int fd = begin("Fractal Virtual Absolute Input", 0x1124);
  set_range(fd, UI_SET_KEYBIT, BTN_TOOL_PEN, BTN_TOOL_PEN);
  set_range(fd, UI_SET_KEYBIT, BTN_TOUCH, BTN_STYLUS);
  must(ioctl(fd, UI_SET_EVBIT, EV_ABS), "set axes");
  set_axis(fd, ABS_X);
  set_axis(fd, ABS_Y);
  must(ioctl(fd, UI_SET_PROPBIT, INPUT_PROP_POINTER), "set a property");
  return fd;
}

static int make_mouse(void) {
  int fd = begin("Fractal Virtual Relative Input", 0x1123);
  set_range(fd, UI_SET_KEYBIT, BTN_LEFT, BTN_EXTRA);
  must(ioctl(fd, UI_SET_EVBIT, EV_REL), "set axes");
  set_range(fd, UI_SET_RELBIT, REL_X, REL_Y);
  set_range(fd, UI_SET_RELBIT, REL_HWHEEL, REL_HWHEEL);
  set_range(fd, UI_SET_RELBIT, REL_WHEEL, REL_WHEEL);
  set_range(fd, UI_SET_RELBIT, REL_WHEEL_HI_RES, REL_HWHEEL_HI_RES);
  return fd;
}

static int make_keyboard(void) {
  int fd = begin("Fractal Virtual Keyboard", 0x1122);
  set_range(fd, UI_SET_KEYBIT, 0, 0x2fe);
  return fd;
}

/* Whether udev has recorded the device since `since`. */
static int is_usable(int fd, long since) {
  char sysname[32], path[300], line[300];
  must(ioctl(fd, UI_GET_SYSNAME(sizeof sysname), sysname), "get the name");
  snprintf(path, sizeof path, "/sys/devices/virtual/input/%s", sysname);
  DIR *directory = opendir(path);
  int number = -1;
  for (struct dirent *one; directory && (one = readdir(directory));) sscanf(one->d_name, "event%d", &number);
  if (directory) closedir(directory);
  snprintf(path, sizeof path, RECORDS "c13:%d", 64 + number);
  FILE *record = number < 0 ? NULL : fopen(path, "r");
  long initialised = 0;
  while (record && fgets(line, sizeof line, record)) sscanf(line, "I:%ld", &initialised);
  if (record) fclose(record);
  return initialised >= since;
}

static void await_all(const int *fds, int watch, long since) {
  char events[4096];
  for (;;) {
    int usable = 0;
    for (int i = 0; i < DEVICES; i++) usable += is_usable(fds[i], since);
    if (usable == DEVICES) return;
    must(read(watch, events, sizeof events), "watch");
  }
}

int main(void) {
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    int watch = inotify_init1(IN_CLOEXEC);
    inotify_add_watch(watch, RECORDS, IN_MOVED_TO | IN_CLOSE_WRITE);
    long beginning = now();
    int fds[DEVICES] = {make_pointer(), make_mouse(), make_keyboard()};
    for (int i = 0; i < DEVICES; i++) must(ioctl(fds[i], UI_DEV_CREATE), "create");
    long made = now();
    await_all(fds, watch, beginning);
    printf("%ld %ld\n", made - beginning, now() - beginning);
    fflush(stdout);
    for (int i = 0; i < DEVICES; i++) close(fds[i]);
    close(watch);
  }
}
