/*
 * Lists, isolates and filters the ports of a bridge. A dedicated thread isolates each new port, so that it is
 * isolated before the program behind it starts, however busy the event loop is.
 *
 * Source: rtnetlink(7), linux/if_link.h, linux/net_namespace.h, and linux/pkt_cls.h for the filter, a classic
 * BPF program that starts at the Ethernet header and returns TC_ACT_OK or TC_ACT_SHOT.
 */

#include "addon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/net_namespace.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define MOST_PORTS 1024
#define MOST_INSTRUCTIONS 4096 /* the kernel's own limit */
#define BUFFER 65536
/* The priority of the filter on its port. */
#define PRIORITY 1
#define HANDLE 1

typedef struct port {
  char name[IFNAMSIZ];
  int32_t index;
  int32_t netns; /* the kernel's id of the namespace of its other end; -1: this one, or none */
  bool isolated;
  uint8_t mac[6]; /* of its end on this side */
} port;

static int open_route_socket(uint32_t groups) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
  }
  return fd;
}

/* A request and its attributes. An overflow is a bug in this file. */
typedef struct {
  _Alignas(struct nlmsghdr) char space[MOST_INSTRUCTIONS * sizeof(struct sock_filter) + 4096];
} message;

static struct nlmsghdr *begin(message *message, uint16_t type, uint16_t flags, const void *header, size_t size) {
  struct nlmsghdr *start = (struct nlmsghdr *)message->space;
  memset(start, 0, NLMSG_SPACE(size));
  start->nlmsg_len = NLMSG_LENGTH(size);
  start->nlmsg_type = type;
  start->nlmsg_flags = NLM_F_REQUEST | flags;
  memcpy(NLMSG_DATA(start), header, size);
  return start;
}

static struct rtattr *add(struct nlmsghdr *start, uint16_t type, const void *data, size_t size) {
  struct rtattr *attribute = (struct rtattr *)((char *)start + NLMSG_ALIGN(start->nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(size);
  if (size > 0) memcpy(RTA_DATA(attribute), data, size);
  start->nlmsg_len = NLMSG_ALIGN(start->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void end_nested(struct nlmsghdr *start, struct rtattr *nested) {
  nested->rta_len = (char *)start + start->nlmsg_len - (char *)nested;
}

/* Sends the request and waits for the kernel's acknowledgement. @returns 0 or -errno */
static int ask(int fd, struct nlmsghdr *request) {
  message answer;
  request->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, request, request->nlmsg_len, 0) < 0) return -errno;
  ssize_t length = recv(fd, &answer, sizeof answer, 0);
  if (length < 0) return -errno;
  struct nlmsghdr *first = (struct nlmsghdr *)answer.space;
  if (!NLMSG_OK(first, (size_t)length) || first->nlmsg_type != NLMSG_ERROR) return -EPROTO;
  return ((struct nlmsgerr *)NLMSG_DATA(first))->error;
}

static int isolate(int fd, int index, bool isolated) {
  message message;
  struct ifinfomsg header = {.ifi_family = AF_BRIDGE, .ifi_index = index};
  struct nlmsghdr *request = begin(&message, RTM_SETLINK, 0, &header, sizeof header);
  struct rtattr *port = add(request, IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
  uint8_t value = isolated;
  add(request, IFLA_BRPORT_ISOLATED, &value, sizeof value);
  end_nested(request, port);
  return ask(fd, request);
}

/* A classic BPF program. */
typedef struct {
  struct sock_filter code[MOST_INSTRUCTIONS];
  uint32_t count;
} filter;

/* @param value four numbers for each instruction */
static bool read_filter(napi_env env, napi_value value, filter *filter) {
  bool is_typed_array = false;
  uint32_t *numbers = NULL;
  size_t length = 0;
  napi_typedarray_type type = napi_int8_array;
  napi_is_typedarray(env, value, &is_typed_array);
  if (is_typed_array) napi_get_typedarray_info(env, value, &type, &length, (void **)&numbers, NULL, NULL);
  if (type != napi_uint32_array || length % 4 != 0 || length / 4 > MOST_INSTRUCTIONS) {
    return refuse(env, "program", "a Uint32Array of at most 4096 instructions"), false;
  }
  filter->count = length / 4;
  for (uint32_t i = 0; i < filter->count; i++) {
    const uint32_t *one = &numbers[4 * i];
    filter->code[i] = (struct sock_filter){.code = one[0], .jt = one[1], .jf = one[2], .k = one[3]};
  }
  return true;
}

static int remove_filter(int fd, int index) {
  message message;
  struct tcmsg header = {.tcm_ifindex = index, .tcm_parent = TC_H_CLSACT, .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0)};
  struct nlmsghdr *request = begin(&message, RTM_DELQDISC, 0, &header, sizeof header);
  add(request, TCA_KIND, "clsact", sizeof "clsact");
  int result = ask(fd, request);
  return result == -ENOENT || result == -EINVAL ? 0 : result;
}

static int set_filter(int fd, int index, const filter *filter) {
  message message;
  struct tcmsg header = {.tcm_ifindex = index, .tcm_parent = TC_H_CLSACT, .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0)};
  struct nlmsghdr *request = begin(&message, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  add(request, TCA_KIND, "clsact", sizeof "clsact");
  int result = ask(fd, request);
  if (result != 0 && result != -EEXIST) return result;
  header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  header.tcm_handle = HANDLE;
  header.tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL));
  request = begin(&message, RTM_NEWTFILTER, NLM_F_CREATE, &header, sizeof header);
  add(request, TCA_KIND, "bpf", sizeof "bpf");
  struct rtattr *options = add(request, TCA_OPTIONS | NLA_F_NESTED, NULL, 0);
  uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
  uint16_t count = filter->count;
  add(request, TCA_BPF_OPS_LEN, &count, sizeof count);
  add(request, TCA_BPF_OPS, filter->code, count * sizeof *filter->code);
  add(request, TCA_BPF_FLAGS, &flags, sizeof flags);
  end_nested(request, options);
  return ask(fd, request);
}

static bool read_isolated(struct rtattr *info) {
  int left = RTA_PAYLOAD(info);
  for (struct rtattr *one = RTA_DATA(info); RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    if (one->rta_type != IFLA_INFO_SLAVE_DATA) continue;
    int inner = RTA_PAYLOAD(one);
    for (struct rtattr *flag = RTA_DATA(one); RTA_OK(flag, inner); flag = RTA_NEXT(flag, inner)) {
      if (flag->rta_type == IFLA_BRPORT_ISOLATED) return *(uint8_t *)RTA_DATA(flag) != 0;
    }
  }
  return false;
}

/* @returns the index of the bridge that the port belongs to; 0: none */
static int read_port(const struct nlmsghdr *link, port *port) {
  struct ifinfomsg *header = NLMSG_DATA(link);
  int left = IFLA_PAYLOAD(link), master = 0;
  *port = (struct port){.index = header->ifi_index, .netns = -1};
  for (struct rtattr *one = IFLA_RTA(header); RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    switch (one->rta_type & NLA_TYPE_MASK) {
    case IFLA_IFNAME:
      memcpy(port->name, RTA_DATA(one), RTA_PAYLOAD(one) < IFNAMSIZ ? RTA_PAYLOAD(one) : IFNAMSIZ - 1);
      break;
    case IFLA_ADDRESS:
      if (RTA_PAYLOAD(one) == sizeof port->mac) memcpy(port->mac, RTA_DATA(one), sizeof port->mac);
      break;
    case IFLA_MASTER:
      master = *(int *)RTA_DATA(one);
      break;
    case IFLA_LINK_NETNSID:
      port->netns = *(int *)RTA_DATA(one);
      break;
    case IFLA_LINKINFO:
      port->isolated = read_isolated(one);
    }
  }
  return master;
}

/* Lists the ports, the bridge itself first. @returns their number, or -errno */
static int list_ports(int fd, int bridge, port *ports) {
  static _Thread_local char buffer[BUFFER];
  message message;
  struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
  struct nlmsghdr *request = begin(&message, RTM_GETLINK, NLM_F_DUMP, &header, sizeof header);
  if (send(fd, request, request->nlmsg_len, 0) < 0) return -errno;
  for (int count = 1;;) {
    ssize_t length = recv(fd, buffer, sizeof buffer, 0);
    if (length < 0) return -errno;
    size_t left = length;
    for (struct nlmsghdr *one = (struct nlmsghdr *)buffer; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      if (one->nlmsg_type == NLMSG_DONE) return count;
      if (one->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(one))->error;
      port port;
      int master = read_port(one, &port);
      if (port.index == bridge) ports[0] = port;
      else if (master == bridge && count < MOST_PORTS) ports[count++] = port;
    }
  }
}

/*
 * @returns the id that the kernel has assigned to a network namespace in this one; -1 if it has none or no
 * longer exists
 */
static int netns_id(int fd, const char *path) {
  message message;
  struct rtgenmsg header = {.rtgen_family = AF_UNSPEC};
  int namespace = open(path, O_RDONLY | O_CLOEXEC), id = -1;
  if (namespace < 0) return -1;
  struct nlmsghdr *request = begin(&message, RTM_GETNSID, 0, &header, sizeof header);
  uint32_t number = namespace;
  add(request, NETNSA_FD, &number, sizeof number);
  ssize_t length = send(fd, request, request->nlmsg_len, 0) < 0 ? -1 : recv(fd, &message, sizeof message, 0);
  close(namespace);
  struct nlmsghdr *answer = (struct nlmsghdr *)message.space;
  if (length < 0 || !NLMSG_OK(answer, (size_t)length) || answer->nlmsg_type != RTM_NEWNSID) return -1;
  int left = NLMSG_PAYLOAD(answer, NLMSG_ALIGN(sizeof header));
  struct rtattr *one = (struct rtattr *)((char *)NLMSG_DATA(answer) + NLMSG_ALIGN(sizeof header));
  for (; RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    if (one->rta_type == NETNSA_NSID) id = *(int *)RTA_DATA(one);
  }
  return id;
}

/* One call on a worker thread. `change` is NULL when the ports of a bridge are listed. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  int result;
  bool is_change;
  char bridge[IFNAMSIZ];
  port ports[MOST_PORTS];
  uint32_t count; /* of namespaces */
  int32_t *ids;   /* owned; of the namespaces */
  char (*paths)[64];
  int32_t index;
  bool isolated;
  filter filter;
} job;

static void run(napi_env env, void *data) {
  (void)env;
  job *job = data;
  int fd = open_route_socket(0);
  if (fd < 0) {
    job->result = -errno;
    return;
  }
  if (!job->is_change) {
    for (uint32_t i = 0; i < job->count; i++) job->ids[i] = netns_id(fd, job->paths[i]);
    int bridge = if_nametoindex(job->bridge);
    job->result = bridge == 0 ? 0 : list_ports(fd, bridge, job->ports);
  } else {
    job->result = job->filter.count > 0 ? set_filter(fd, job->index, &job->filter) : remove_filter(fd, job->index);
    if (job->result == 0) job->result = isolate(fd, job->index, job->isolated);
  }
  close(fd);
}

static napi_value make_number(napi_env env, int32_t number) {
  napi_value value;
  napi_create_int32(env, number, &value);
  return value;
}

static napi_value make_port(napi_env env, const port *port) {
  napi_value object, name, isolated, address;
  char text[18];
  const uint8_t *mac = port->mac;
  snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &address);
  napi_create_object(env, &object);
  napi_create_string_utf8(env, port->name, NAPI_AUTO_LENGTH, &name);
  napi_get_boolean(env, port->isolated, &isolated);
  napi_set_named_property(env, object, "name", name);
  napi_set_named_property(env, object, "address", address);
  napi_set_named_property(env, object, "index", make_number(env, port->index));
  napi_set_named_property(env, object, "netns", make_number(env, port->netns));
  napi_set_named_property(env, object, "isolated", isolated);
  return object;
}

static napi_value make_answer(napi_env env, const job *job) {
  napi_value object, ports, ids;
  napi_create_object(env, &object);
  napi_create_array_with_length(env, job->result, &ports);
  for (int i = 0; i < job->result; i++) napi_set_element(env, ports, i, make_port(env, &job->ports[i]));
  napi_create_array_with_length(env, job->count, &ids);
  for (uint32_t i = 0; i < job->count; i++) napi_set_element(env, ids, i, make_number(env, job->ids[i]));
  napi_set_named_property(env, object, "ports", ports);
  napi_set_named_property(env, object, "ids", ids);
  return object;
}

static void settle(napi_env env, napi_status status, void *data) {
  job *job = data;
  napi_value answer;
  if (status == napi_cancelled) job->result = -ECANCELED;
  if (job->result < 0) {
    const char *step = job->is_change ? "set the port of a bridge" : "list the ports of a bridge";
    napi_reject_deferred(env, job->deferred, make_error(env, step, -job->result));
  } else {
    if (job->is_change) napi_get_undefined(env, &answer);
    else answer = make_answer(env, job);
    napi_resolve_deferred(env, job->deferred, answer);
  }
  napi_delete_async_work(env, job->work);
  free(job->ids);
  free(job->paths);
  free(job);
}

static napi_value begin_job(napi_env env, job *job) {
  napi_value promise, resource;
  napi_create_string_utf8(env, "bridgePorts", NAPI_AUTO_LENGTH, &resource);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_async_work(env, NULL, resource, run, settle, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

/* listPorts(bridge, namespaces) */
napi_value list_bridge_ports(napi_env env, napi_callback_info info) {
  napi_value given[2], item;
  uint32_t count = 0;
  char bridge[IFNAMSIZ];
  if (!read_arguments(env, info, 2, given) || !read_text(env, given[0], "bridge", bridge, sizeof bridge)) return NULL;
  if (napi_get_array_length(env, given[1], &count) != napi_ok || count > MOST_PORTS) {
    return refuse(env, "namespaces", "an array of at most 1024"), NULL;
  }
  job *job = calloc(1, sizeof *job);
  if (!job) return throw_error(env, "memory", ENOMEM);
  job->count = count;
  job->ids = calloc(count + 1, sizeof *job->ids);
  job->paths = calloc(count + 1, sizeof *job->paths);
  memcpy(job->bridge, bridge, sizeof bridge);
  bool is_sound = job->ids && job->paths;
  for (uint32_t i = 0; is_sound && i < count; i++) {
    is_sound = napi_get_element(env, given[1], i, &item) == napi_ok &&
               read_text(env, item, "a namespace", job->paths[i], sizeof job->paths[i]);
  }
  if (is_sound) return begin_job(env, job);
  free(job->ids);
  free(job->paths);
  free(job);
  return NULL;
}

/*
 * setPort(index, isolated, program): four numbers for each instruction; an empty program removes the filter
 */
napi_value set_bridge_port(napi_env env, napi_callback_info info) {
  napi_value given[3];
  int32_t index;
  bool isolated;
  if (!read_arguments(env, info, 3, given) || !read_int32(env, given[0], "index", &index)) return NULL;
  if (napi_get_value_bool(env, given[1], &isolated) != napi_ok) return refuse(env, "isolated", "a boolean"), NULL;
  job *job = calloc(1, sizeof *job);
  if (!job) return throw_error(env, "memory", ENOMEM);
  job->is_change = true;
  job->index = index;
  job->isolated = isolated;
  if (read_filter(env, given[2], &job->filter)) return begin_job(env, job);
  free(job);
  return NULL;
}

static const napi_type_tag GUARD = {0x6e20c4f1a93b4d17, 0x9d51b7e0382c4fa6};

typedef struct {
  uv_thread_t thread;
  napi_threadsafe_function tell;
  napi_ref self; /* keeps the guard alive while the thread runs */
  char bridge[IFNAMSIZ];
  int events, requests; /* sockets */
  int end;              /* an eventfd; -1 once it has ended */
  int known[MOST_PORTS];
  int count;
  uv_mutex_t lock; /* of the filter that new ports get */
  filter filter;
} guard;

static int place_of(const guard *guard, int index) {
  int i = 0;
  while (i < guard->count && guard->known[i] != index) i++;
  return i;
}

static void hear(guard *guard, const struct nlmsghdr *event) {
  port port;
  if (event->nlmsg_type != RTM_NEWLINK && event->nlmsg_type != RTM_DELLINK) return;
  /* Bridges report changes of their ports twice. */
  if (((struct ifinfomsg *)NLMSG_DATA(event))->ifi_family != AF_UNSPEC) return;
  int master = read_port(event, &port), place = place_of(guard, port.index);
  bool is_port = event->nlmsg_type == RTM_NEWLINK && master != 0 && master == (int)if_nametoindex(guard->bridge);
  if (is_port && place == guard->count) {
    (void)isolate(guard->requests, port.index, true);
    uv_mutex_lock(&guard->lock);
    if (guard->filter.count > 0) (void)set_filter(guard->requests, port.index, &guard->filter);
    uv_mutex_unlock(&guard->lock);
    if (place < MOST_PORTS) guard->known[guard->count++] = port.index;
  } else if (!is_port && place < guard->count) {
    guard->known[place] = guard->known[--guard->count];
  }
  if (is_port) napi_call_threadsafe_function(guard->tell, NULL, napi_tsfn_nonblocking);
}

static void watch(void *data) {
  static _Thread_local char buffer[BUFFER];
  guard *guard = data;
  struct pollfd both[2] = {{.fd = guard->events, .events = POLLIN}, {.fd = guard->end, .events = POLLIN}};
  while (poll(both, 2, -1) >= 0 || errno == EINTR) {
    if (both[1].revents) break;
    ssize_t length = recv(guard->events, buffer, sizeof buffer, MSG_DONTWAIT);
    if (length < 0) continue;
    size_t left = length;
    for (struct nlmsghdr *one = (struct nlmsghdr *)buffer; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      hear(guard, one);
    }
  }
}

static void end_guard(void *data) {
  guard *guard = data;
  uint64_t one = 1;
  if (guard->end < 0) return;
  if (write(guard->end, &one, sizeof one) == sizeof one) uv_thread_join(&guard->thread);
  close(guard->events);
  close(guard->requests);
  close(guard->end);
  uv_mutex_destroy(&guard->lock);
  guard->end = -1;
}

static int open_guard(guard *guard) {
  static const int room = 1 << 20;
  port *ports = calloc(MOST_PORTS, sizeof *ports);
  guard->events = open_route_socket(RTMGRP_LINK);
  guard->requests = open_route_socket(0);
  guard->end = eventfd(0, EFD_CLOEXEC);
  int failure = !ports || guard->events < 0 || guard->requests < 0 || guard->end < 0 ? errno : 0;
  if (failure == 0) failure = -uv_mutex_init(&guard->lock);
  if (failure == 0) {
    (void)setsockopt(guard->events, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    int bridge = if_nametoindex(guard->bridge);
    int count = bridge == 0 ? 0 : list_ports(guard->requests, bridge, ports);
    for (int i = 1; i < count; i++) guard->known[guard->count++] = ports[i].index;
    failure = -uv_thread_create(&guard->thread, watch, guard);
    if (failure != 0) uv_mutex_destroy(&guard->lock);
  }
  free(ports);
  return failure;
}

/* isolatePorts(bridge, onChange) */
napi_value isolate_ports(napi_env env, napi_callback_info info) {
  napi_value given[2], object, name;
  guard *guard = calloc(1, sizeof *guard);
  if (!guard) return throw_error(env, "memory", ENOMEM);
  napi_create_string_utf8(env, "isolatePorts", NAPI_AUTO_LENGTH, &name);
  if (!read_arguments(env, info, 2, given) ||
      !read_text(env, given[0], "bridge", guard->bridge, sizeof guard->bridge)) {
    free(guard);
    return NULL;
  }
  if (napi_create_threadsafe_function(env, given[1], NULL, name, 0, 1, NULL, NULL, NULL, NULL, &guard->tell) !=
      napi_ok) {
    free(guard);
    return refuse(env, "onChange", "a function"), NULL;
  }
  napi_unref_threadsafe_function(env, guard->tell);
  int failure = open_guard(guard);
  if (failure != 0) {
    if (guard->events >= 0) close(guard->events);
    if (guard->requests >= 0) close(guard->requests);
    if (guard->end >= 0) close(guard->end);
    napi_release_threadsafe_function(guard->tell, napi_tsfn_abort);
    free(guard);
    return throw_error(env, "watch the ports of a bridge", failure);
  }
  napi_add_env_cleanup_hook(env, end_guard, guard);
  napi_create_object(env, &object);
  wrap(env, object, guard, &GUARD);
  napi_create_reference(env, object, 1, &guard->self);
  return object;
}

/* filterNewPorts(guard, program) */
napi_value filter_new_ports(napi_env env, napi_callback_info info) {
  napi_value given[2];
  guard *guard = read_arguments(env, info, 2, given) ? unwrap(env, given[0], "guard", &GUARD) : NULL;
  if (!guard || guard->end < 0) return NULL;
  uv_mutex_lock(&guard->lock);
  (void)read_filter(env, given[1], &guard->filter);
  uv_mutex_unlock(&guard->lock);
  return NULL;
}

/* stopIsolating(guard) */
napi_value stop_isolating(napi_env env, napi_callback_info info) {
  napi_value given[1];
  guard *guard = read_arguments(env, info, 1, given) ? unwrap(env, given[0], "guard", &GUARD) : NULL;
  if (!guard || guard->end < 0) return NULL;
  napi_remove_env_cleanup_hook(env, end_guard, guard);
  end_guard(guard);
  napi_delete_reference(env, guard->self);
  napi_release_threadsafe_function(guard->tell, napi_tsfn_abort);
  return NULL;
}
