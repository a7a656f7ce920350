/*
 * Denies a control group of version 2 access to a device. The kernel runs all programs of a group and each
 * can deny access, so Docker's own rules stay in effect.
 *
 * Source: bpf(2), linux/bpf.h, and Documentation/bpf/prog_cgroup_device in the kernel's sources.
 */

#include "addon.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(to, field) \
  {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = BPF_REG_1, .off = offsetof(struct bpf_cgroup_dev_ctx, field)}
#define SKIP_UNLESS(reg, value, count) \
  {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = reg, .imm = value, .off = count}
#define ANSWER(value) \
  {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value}, {.code = BPF_JMP | BPF_EXIT}

static int call_bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int load(int32_t major, int32_t minor) {
  const struct bpf_insn program[] = {
    LOAD(BPF_REG_2, access_type),
    {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff},
    SKIP_UNLESS(BPF_REG_2, BPF_DEVCG_DEV_CHAR, 6),
    LOAD(BPF_REG_2, major),
    SKIP_UNLESS(BPF_REG_2, major, 4),
    LOAD(BPF_REG_2, minor),
    SKIP_UNLESS(BPF_REG_2, minor, 2),
    ANSWER(0),
    ANSWER(1),
  };
  union bpf_attr attributes = {
    .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
    .insns = (uint64_t)(uintptr_t)program,
    .insn_cnt = sizeof program / sizeof *program,
    .license = (uint64_t)(uintptr_t) "Apache-2.0",
  };
  /* Before Linux 5.11, BPF programs count as locked memory. */
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_MEMLOCK, &none);
  return call_bpf(BPF_PROG_LOAD, &attributes);
}

/* denyDevice(group, major, minor) */
napi_value deny_device(napi_env env, napi_callback_info info) {
  napi_value given[3];
  char path[TEXT_SIZE];
  int32_t major, minor;
  if (!read_arguments(env, info, 3, given) || !read_text(env, given[0], "group", path, sizeof path) ||
      !read_int32(env, given[1], "major", &major) || !read_int32(env, given[2], "minor", &minor)) {
    return NULL;
  }
  int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (group < 0) return throw_error(env, "opening the control group", errno);
  int program = load(major, minor);
  int error = program < 0 ? errno : 0;
  if (program >= 0) {
    union bpf_attr attributes = {
      .target_fd = (uint32_t)group,
      .attach_bpf_fd = (uint32_t)program,
      .attach_type = BPF_CGROUP_DEVICE,
      .attach_flags = BPF_F_ALLOW_MULTI,
    };
    if (call_bpf(BPF_PROG_ATTACH, &attributes) != 0) error = errno;
    close(program);
  }
  close(group);
  return error ? throw_error(env, "denying the device", error) : NULL;
}
