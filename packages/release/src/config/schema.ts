/**
 * The schema of ecs-release.yaml. Editors get this same object as their JSON Schema. A number may also be a
 * placeholder, such as "{count}", because stages differ in their numbers.
 */

import { type Static, type TSchema, Type } from 'typebox';

const TEMPLATE = '^\\{[A-Za-z][A-Za-z0-9_-]*\\}$';

const closed = <P extends Record<string, TSchema>>(properties: P, description?: string) =>
  Type.Object(properties, { additionalProperties: false, ...(description && { description }) });
const named = <T extends TSchema>(type: T, description: string) =>
  Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$' }), type, { description });
const optional = Type.Optional;
const text = (description: string) => Type.String({ description, minLength: 1 });
const number = (description: string, minimum = 0) =>
  Type.Union([Type.Number({ minimum }), Type.String({ pattern: TEMPLATE })], { description });
const truth = (description: string) => Type.Boolean({ description });
const duration = (description: string) =>
  Type.String({ pattern: '^[0-9]+(ms|s|m|h)$', description: `${description}, such as 30m or 90s` });

const Variables = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
  description: 'Values for {name} anywhere in this file. Those of a stage take precedence.',
});

const LoadBalancer = closed({
  targetGroup: text('The ARN of the target group'),
  container: text('The container that gets the requests'),
  port: number('The port of the container', 1),
});

const CopyOf = closed(
  {
    stage: text('The stage whose services are copied'),
    loadBalancers: optional(
      named(
        LoadBalancer,
        'By the names under "services". A service that is not listed gets no load balancer.',
      ),
    ),
  },
  'For temporary environments, such as one for each pull request: "environment up" creates the services of this stage. Scheduled tasks are not copied.',
);

const Stage = closed({
  account: Type.String({
    pattern: '^[0-9]{12}$',
    description: 'The AWS account. Every command refuses credentials of another one.',
  }),
  region: text('The AWS region'),
  role: optional(text('The ARN of a role to assume')),
  cluster: text('The ECS cluster, by name or ARN'),
  record: text(
    'Where the lock and the history are stored: s3://BUCKET/PREFIX, or a directory on this machine',
  ),
  tags: optional(
    Type.Array(Type.String({ minLength: 1 }), {
      description: 'Tags of pushed images, such as staging-{commit}',
    }),
  ),
  alarms: optional(
    Type.Array(Type.String({ minLength: 1 }), {
      description: 'CloudWatch alarms that "verify" expects, such as those on the depth of a queue',
    }),
  ),
  copyOf: optional(CopyOf),
  variables: optional(Variables),
});

const BuildSecret = closed({
  env: optional(text('The environment variable that contains the secret')),
  file: optional(text('The file that contains the secret')),
});

const RemoteBuild = closed({
  project: text('The CodeBuild project that builds the image and pushes it'),
  source: optional(text('What to build: a branch, a tag or a commit; the default is {commit}')),
  environment: optional(
    Type.Record(Type.String(), Type.String(), {
      description:
        'Variables that override those of the project; the defaults are IMAGE_REPO_NAME and IMAGE_TAG. Never secrets',
    }),
  ),
  buildspec: optional(text('A buildspec to use instead of that of the project')),
});

const Image = closed({
  repository: text('The repository in the registry'),
  registry: optional(
    text('The ECR registry, such as that of another account; the default is that of the stage'),
  ),
  tag: optional(text('The tag that is deployed; the default is the first tag of the stage')),
  pin: optional(truth('false: keep the tag in the task definition, and record the digest only')),
  mirror: optional(text('Copy this image from another registry instead of building one')),
  context: optional(text('The directory of the build')),
  dockerfile: optional(text('The Dockerfile')),
  arguments: optional(
    Type.Record(Type.String(), Type.String(), { description: 'Build arguments; never secrets' }),
  ),
  secrets: optional(named(BuildSecret, 'Secrets of the build, by id; they do not get into layers')),
  target: optional(text('The stage of the Dockerfile')),
  platform: optional(text('The platform, such as linux/amd64')),
  memory: optional(text('Memory of the build, such as 3072m')),
  cache: optional(truth('false: build without the cache')),
  remote: optional(RemoteBuild),
});

const Kind = closed({
  count: optional(number('How many tasks')),
  spot: optional(number('Percentage of tasks on Fargate Spot')),
  vcpu: optional(number('vCPUs of a task')),
  memory: optional(number('Memory of a task, in MiB')),
  container: optional(text('The container that gets application_type; required if several are configured')),
});

const Secrets = closed({
  from: text('The ARN of a secret that is one JSON object'),
  keys: Type.Array(Type.String({ minLength: 1 }), {
    description: 'Keys of the object. Each becomes the environment variable of that name.',
  }),
});

const Container = closed({
  image: optional(text('A name under "images"')),
  environment: optional(
    Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
      description: 'Variables to set. null removes a variable. Other variables do not change.',
    }),
  ),
  secrets: optional(Secrets),
  command: optional(Type.Array(Type.String())),
  cpu: optional(number('CPU units of the container')),
  memory: optional(number('Memory of the container, in MiB')),
});
const Containers = named(
  Container,
  'Containers of the task definition, by name. Other containers do not change.',
);

const Service = closed({
  service: text('The name of the service in the cluster'),
  family: optional(
    text(
      'Its task definition family; the default is the family that runs, or the name of the service for a new service',
    ),
  ),
  kind: optional(text('A name under "kinds"')),
  count: optional(number('How many tasks; by default, the count does not change')),
  gate: optional(truth('true: roll this service out before the others, and continue only when it is stable')),
  forceNewDeployment: optional(truth('true: replace tasks even if nothing in the task definition changed')),
  suspendAutoScaling: optional(truth('true: suspend automatic scaling during the release')),
  containers: Containers,
});

const Scheduled = closed({
  families: text('Task definition families, with * for any characters'),
  rule: optional(text('The EventBridge rule of a family; the default is {family}, which is the same name')),
  scheduleGroup: optional(
    text('An EventBridge Scheduler group; a release also updates its schedules with these families'),
  ),
  schedule: optional(
    Type.String({
      pattern: '^((cron|rate|at)\\(.+\\)|\\{.+\\})$',
      description:
        'When it starts, such as cron(0 8 ? * MON-FRI *) or rate(20 minutes); by default, the schedule does not change',
    }),
  ),
  count: optional(number('How many tasks it starts; by default, the count does not change', 1)),
  kind: optional(text('A name under "kinds"')),
  vcpu: optional(number('vCPUs of a task')),
  memory: optional(number('Memory of a task, in MiB')),
  containers: Containers,
});

const Network = closed({
  subnets: Type.Array(Type.String(), { minItems: 1 }),
  securityGroups: optional(Type.Array(Type.String())),
  publicIp: optional(truth('true: give the task a public address')),
});

const Task = closed({
  name: text('The name of this task'),
  family: text('Its task definition family'),
  kind: optional(text('A name under "kinds"')),
  container: optional(
    text(
      'The container that gets the command and sets the exit code; the default is the first essential one',
    ),
  ),
  command: optional(Type.Array(Type.String())),
  timeout: optional(duration('How long it may run')),
  network: optional(Network),
  networkOf: optional(text('A name under "services"; the task runs in the network of this service')),
  containers: optional(Containers),
});

const Tasks = closed({
  before: optional(Type.Array(Task, { description: 'Tasks that run in order before any service changes' })),
  after: optional(
    Type.Array(Task, { description: 'Tasks that run in order after the old tasks have ended' }),
  ),
});

const Release = closed({
  timeout: optional(duration('How long a release may take before it fails')),
  poll: optional(duration('Time between requests for the state in AWS')),
  failures: optional(number('The number of stopped tasks of one service that fails a release', 1)),
});

export const ReleaseFile = closed({
  application: text('The name of the system, under which the lock and the history are stored'),
  variables: optional(Variables),
  stages: named(Stage, 'Where releases go'),
  images: optional(named(Image, 'Images that are built or copied, and then deployed')),
  kinds: optional(
    named(Kind, 'Kinds of tasks that run one image. application_type is set to the name of the kind.'),
  ),
  services: optional(named(Service, 'Services that belong to a release')),
  scheduled: optional(named(Scheduled, 'Scheduled tasks that belong to a release')),
  tasks: optional(Tasks),
  release: optional(Release),
});

export type ReleaseFile = Static<typeof ReleaseFile>;
export type StageConfig = Static<typeof Stage>;
export type ImageConfig = Static<typeof Image>;
export type ContainersConfig = Static<typeof Containers>;
export type ServiceConfig = Static<typeof Service>;
export type ScheduledConfig = Static<typeof Scheduled>;
export type TaskConfig = Static<typeof Task>;
export type KindConfig = Static<typeof Kind>;
