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
      named(LoadBalancer, 'By names under "services". A service that is not here gets no load balancer.'),
    ),
  },
  'For environments that come and go, such as one for each pull request: "environment up" makes services of this stage. Scheduled tasks are left out.',
);

const Stage = closed({
  account: Type.String({
    pattern: '^[0-9]{12}$',
    description: 'The AWS account. Every command refuses another one.',
  }),
  region: text('The AWS region'),
  role: optional(text('The ARN of a role to assume')),
  cluster: text('The ECS cluster, by name or ARN'),
  record: text('Where lock and history are kept: s3://BUCKET/PREFIX, or a directory of this machine'),
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
  env: optional(text('The environment variable that has the secret')),
  file: optional(text('The file that has the secret')),
});

const RemoteBuild = closed({
  project: text('The CodeBuild project, which builds the image and pushes it'),
  source: optional(text('What is built: a branch, a tag or a commit; the default is {commit}')),
  environment: optional(
    Type.Record(Type.String(), Type.String(), {
      description:
        'Variables that override those of the project; the defaults are IMAGE_REPO_NAME and IMAGE_TAG. Never secrets',
    }),
  ),
  buildspec: optional(text('Another buildspec than that of the project')),
});

const Image = closed({
  repository: text('The repository in the registry'),
  registry: optional(text("The ECR registry, such as that of another account; the default is the stage's")),
  tag: optional(text('The tag that is deployed; the default is the first tag of the stage')),
  pin: optional(truth('false: keep the tag in the task definition, and only record the digest')),
  mirror: optional(text('Copy this image of another registry instead of building one')),
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
  spot: optional(number('Per cent of tasks on Fargate Spot')),
  vcpu: optional(number('vCPUs of a task')),
  memory: optional(number('Memory of a task, in MiB')),
  container: optional(text('The container that gets application_type; needed where several are configured')),
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
      description: 'Variables to set. null removes one. Others stay as they are.',
    }),
  ),
  secrets: optional(Secrets),
  command: optional(Type.Array(Type.String())),
  cpu: optional(number('CPU units of the container')),
  memory: optional(number('Memory of the container, in MiB')),
});
const Containers = named(Container, 'Containers of the task definition, by name. Others stay as they are.');

const Service = closed({
  service: text('The name of the service in the cluster'),
  family: optional(
    text(
      'Its task definition family; the default is that which runs, or the name of the service for a new one',
    ),
  ),
  kind: optional(text('A name under "kinds"')),
  count: optional(number('How many tasks; the default is to leave it')),
  gate: optional(truth('true: roll this service out before the others, and go on only when it is stable')),
  forceNewDeployment: optional(truth('true: replace tasks even if nothing in the task definition changed')),
  suspendAutoScaling: optional(truth('true: no automatic scaling during the release')),
  containers: Containers,
});

const Scheduled = closed({
  families: text('Task definition families, with * for any characters'),
  rule: optional(text('The EventBridge rule of a family; the default is {family}, which is the same name')),
  scheduleGroup: optional(
    text('An EventBridge Scheduler group: its schedules with these families are moved too'),
  ),
  schedule: optional(
    Type.String({
      pattern: '^((cron|rate|at)\\(.+\\)|\\{.+\\})$',
      description:
        'When it starts, such as cron(0 8 ? * MON-FRI *) or rate(20 minutes); the default is to leave it',
    }),
  ),
  count: optional(number('How many tasks it starts; the default is to leave it', 1)),
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
  name: text('What this task is called'),
  family: text('Its task definition family'),
  kind: optional(text('A name under "kinds"')),
  container: optional(
    text(
      'The container whose command is set, and whose exit code counts; the default is the first essential one',
    ),
  ),
  command: optional(Type.Array(Type.String())),
  timeout: optional(duration('How long it may run')),
  network: optional(Network),
  networkOf: optional(text('A name under "services", whose network this task gets')),
  containers: optional(Containers),
});

const Tasks = closed({
  before: optional(Type.Array(Task, { description: 'Run in order, before any service is touched' })),
  after: optional(Type.Array(Task, { description: 'Run in order, when the old tasks are gone' })),
});

const Release = closed({
  timeout: optional(duration('How long a release may take until it counts as failed')),
  poll: optional(duration('Time between looks at AWS')),
  failures: optional(number('So many stopped tasks of a service fail the release', 1)),
});

export const ReleaseFile = closed({
  application: text('The name of the system; lock and history are filed under it'),
  variables: optional(Variables),
  stages: named(Stage, 'Where releases go'),
  images: optional(named(Image, 'Images that are built, or copied, and deployed')),
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
