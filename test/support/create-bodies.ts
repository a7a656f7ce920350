/** Create bodies of Docker's clients; each client has its own defaults for fields that are not set. */

import { PLACEHOLDER } from '../../container/creation/create-body.ts';

const INTERACTIVE = { 'ecs-host-service.interactive': 'true' };

const UNSET_CONFIG = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: true,
  AttachStderr: true,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: 'fractal/base:current-build',
  Volumes: {},
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: INTERACTIVE,
};

const UNSET_HOST_CONFIG = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: '', Config: {} },
  NetworkMode: 'default',
  PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: '',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: '',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 0,
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  KernelMemory: 0,
  KernelMemoryTCP: 0,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: -1,
  OomKillDisable: false,
  PidsLimit: 0,
  Ulimits: null,
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: null,
  ReadonlyPaths: null,
};

const UNSET_ENDPOINT = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: '',
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

/** `docker create`, versions 20.10 and 28. */
export const COMMAND_LINE = [
  { ...UNSET_CONFIG, HostConfig: UNSET_HOST_CONFIG, NetworkingConfig: { EndpointsConfig: {} } },
  {
    ...UNSET_CONFIG,
    HostConfig: UNSET_HOST_CONFIG,
    NetworkingConfig: { EndpointsConfig: { default: UNSET_ENDPOINT } },
  },
];

const COMPOSE_LABELS = {
  ...INTERACTIVE,
  'com.docker.compose.project': 'demo',
  'com.docker.compose.service': 'place',
  'com.docker.compose.oneoff': 'False',
};

/** docker-compose 1.29, and Compose 2. */
export const COMPOSE = [
  {
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Image: 'fractal/base:current-build',
    Volumes: {},
    NetworkDisabled: false,
    HostConfig: {
      Memory: 268435456,
      NetworkMode: 'demo_default',
      RestartPolicy: { Name: '', MaximumRetryCount: 0 },
      VolumesFrom: [],
      Binds: ['data:/data:rw'],
      PortBindings: {},
      Links: [],
      LogConfig: { Type: '', Config: {} },
    },
    NetworkingConfig: {
      EndpointsConfig: { demo_default: { Aliases: ['place'], IPAMConfig: {} } },
    },
    Labels: COMPOSE_LABELS,
  },
  {
    ...UNSET_CONFIG,
    Labels: COMPOSE_LABELS,
    Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 30_000_000_000, Retries: 3 },
    HostConfig: {
      ...UNSET_HOST_CONFIG,
      NetworkMode: 'demo_default',
      Mounts: [
        { Type: 'volume', Source: 'demo_data', Target: '/data', VolumeOptions: {} },
        { Type: 'tmpfs', Target: '/scratch', TmpfsOptions: { SizeBytes: 1_000_000 } },
      ],
      Ulimits: [{ Name: 'nofile', Soft: 1024, Hard: 4096 }],
      Init: true,
      Annotations: null,
    },
    NetworkingConfig: {
      EndpointsConfig: { demo_default: { ...UNSET_ENDPOINT, Aliases: ['demo-place-1', 'place'] } },
    },
  },
];

const TASK_ID = '5f1d6bd3a9c94a7e8b20c1d2e3f4a5b6';
export const TASK_LABELS = {
  'com.amazonaws.ecs.cluster': 'test',
  'com.amazonaws.ecs.container-name': 'fractal-container',
  'com.amazonaws.ecs.task-arn': `arn:aws:ecs:us-west-2:123456789012:task/test/${TASK_ID}`,
  'com.amazonaws.ecs.task-definition-family': 'fractal-test-demo',
  'com.amazonaws.ecs.task-definition-version': '1',
};

/** The predecessor's task definition, as the agent renders it, with the agent's additions. */
export const TASK_DEFINITION = {
  ...UNSET_CONFIG,
  Env: ['SENTRY_ENV=production', 'NVIDIA_DRIVER_CAPABILITIES=all', 'NVIDIA_VISIBLE_DEVICES=all'],
  ExposedPorts: { '32262/tcp': {}, '32263/udp': {}, '32273/tcp': {} },
  Labels: TASK_LABELS,
  HostConfig: {
    ...UNSET_HOST_CONFIG,
    LogConfig: { Type: '', Config: null },
    RestartPolicy: { Name: '', MaximumRetryCount: 0 },
    NetworkMode: 'bridge',
    Binds: [
      `/fractal/${PLACEHOLDER}/containerResourceMappings:/fractal/resourceMappings:ro`,
      `/fractal/${PLACEHOLDER}/userConfigs/unpacked_configs:/fractal/userConfigs:rshared`,
      `/fractalCloudStorage/${PLACEHOLDER}/:/fractal/cloudStorage:rshared`,
      `/fractal/temp/${PLACEHOLDER}/sockets/:/tmp/sockets`,
      '/run/udev/data:/run/udev/data:ro',
      '/sys/fs/cgroup:/sys/fs/cgroup:ro',
    ],
    PortBindings: {
      '32262/tcp': [{ HostIp: '', HostPort: '49153' }],
      '32263/udp': [{ HostIp: '', HostPort: '49154' }],
      '32273/tcp': [{ HostIp: '', HostPort: '0' }],
    },
    CapDrop: ['ALL'],
    CapAdd:
      'SETPCAP MKNOD AUDIT_WRITE CHOWN NET_RAW DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP SYS_NICE'.split(
        ' ',
      ),
    Tmpfs: { '/run': 'size=50m', '/run/lock': 'size=50m' },
    ShmSize: 2048 * 2 ** 20,
    Memory: 6144 * 2 ** 20,
    CpuShares: 2,
    CgroupParent: `/ecs/${TASK_ID}`,
    Devices: null,
  },
  NetworkingConfig: { EndpointsConfig: null },
};

const EXEC = '/var/lib/ecs/deps/execute-command';
const CONFIG = 'amazon-ssm-agent-8_c0Q-bVZ3Xq_p6sV1Q2vQ5mXbqUfYbW2ZbqHk8cT1Y=.json';

/** The ECS agent's mounts for metadata, FireLens and ECS Exec. */
export const AGENT_BINDS = [
  `/var/lib/ecs/data/metadata/test/${TASK_ID}/fractal-container:/opt/ecs/metadata/2f8e1a9b:Z`,
  `/var/lib/ecs/data/metadata/${TASK_ID}/fractal-container:/opt/ecs/metadata/2f8e1a9b`,
  `/var/lib/ecs/data/firelens/${TASK_ID}/config/fluent.conf:/fluent-bit/etc/fluent-bit.conf`,
  `/var/lib/ecs/data/firelens/${TASK_ID}/config/external.conf:/fluent-bit/etc/external.conf`,
  `/var/lib/ecs/data/firelens/${TASK_ID}/socket/:/var/run/`,
  `${EXEC}/bin/3.1.1732.0/amazon-ssm-agent:/ecs-execute-command-1/amazon-ssm-agent:ro`,
  `${EXEC}/bin/3.1.1732.0/ssm-session-worker:/ecs-execute-command-1/ssm-session-worker:ro`,
  `${EXEC}/config/${CONFIG}:/ecs-execute-command-1/configuration/amazon-ssm-agent.json:ro`,
  `${EXEC}/certs/tls-ca-bundle.pem:/ecs-execute-command-1/certs/amazon-ssm-agent.crt:ro`,
  `/var/log/ecs/exec/${TASK_ID}/fractal-container:/var/log/amazon/ssm`,
];

export const FIRELENS_ADDRESS = `unix:///var/lib/ecs/data/firelens/${TASK_ID}/socket/fluent.sock`;
