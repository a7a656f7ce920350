/** Common errors of deployments to ECS, with their causes and remedies. */

export interface KnownError {
  readonly pattern: RegExp;
  /** {NAME} stands for the text of the pattern's group NAME. */
  readonly causes: readonly string[];
}

export const KNOWN_ERRORS: readonly KnownError[] = [
  {
    pattern:
      /User: ?(?<who>\S*) is not authorized to perform: (?<action>ecr:\w+)( on resource: (?<resource>[^\s"]+))?/i,
    causes: [
      'The credentials ({who}) belong to another account than the registry ({resource}): compare both with "ecs-release verify".',
      'The user or role lacks {action} on the repository: add it to its policy.',
      'The credentials are wrong or have expired: run "ecs-release login" again.',
    ],
  },
  {
    pattern: /is not authorized to perform: (?<action>(?!ecr:)[\w-]+:\w+)/i,
    causes: [
      'A policy does not allow {action}, or a policy of the organization denies it: "ecs-release verify" asks IAM for each right.',
    ],
  },
  {
    pattern:
      /no basic auth credentials|authorization token has expired|ExpiredToken|security token .*expired/i,
    causes: [
      'A login to ECR expires after twelve hours, and credentials after their own lifetime: run "ecs-release login" again.',
    ],
  },
  {
    pattern: /Could not resolve entrypoint/i,
    causes: ['application_type is not set, or unknown: give the service a "kind" in the configuration.'],
  },
  {
    pattern:
      /\bIDENTITY\b|expected dictionary form|no default identity|DecryptionFailure|identity .*could not be found/i,
    causes: [
      'The container has no IDENTITY, or it names a secret that does not exist.',
      'The task role may not read or decrypt the secret: it needs secretsmanager:GetSecretValue and kms:Decrypt.',
      'The secret is not one JSON object, or has placeholders: "ecs-release verify" names the keys.',
    ],
  },
  {
    pattern: /ResourceInitializationError.*secret|unable to (pull|retrieve) secrets/is,
    causes: [
      'A secret, or a key in it, does not exist: "ecs-release verify" names it.',
      'The execution role may not read it: it needs secretsmanager:GetSecretValue.',
      'The subnet has no route to Secrets Manager.',
    ],
  },
  {
    pattern: /toomanyrequests|pull rate limit/i,
    causes: ['The registry limits anonymous pulls: copy the image into ECR with "mirror".'],
  },
  {
    pattern:
      /exec format error|does not match the (specified|expected) platform|no match(ing manifest)? for platform/i,
    causes: [
      'The image is built for another platform than its tasks: set "platform" of the image. "ecs-release verify" compares both.',
    ],
  },
  {
    pattern: /unable to assume the (service linked )?role|not authorized to assume|ECS was unable to assume/i,
    causes: [
      'The trust policy of the role does not name ecs-tasks.amazonaws.com, or the role does not exist: "ecs-release verify" checks both.',
    ],
  },
  {
    pattern: /TargetNotConnected|ExecuteCommandAgent|execute command failed/i,
    causes: [
      'The task was started before ECS Exec was enabled: deploy with --force-new-deployment.',
      'The task role lacks ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel or OpenDataChannel.',
    ],
  },
  {
    pattern: /CannotPull\w*|manifest unknown|image not found/i,
    causes: [
      'The image was not pushed, or a lifecycle policy removed it: check with "ecs-release images list".',
      'The execution role may not pull: it needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer.',
      'The subnet has no route to the registry.',
    ],
  },
  {
    pattern: /unable to place a task|RESOURCE:\S|Capacity is unavailable/i,
    causes: [
      'The cluster has no free capacity: add instances, or make the tasks smaller.',
      'Fargate Spot has no capacity right now: lower "spot" of the kind, so that tasks run on demand too.',
    ],
  },
  {
    pattern: /failed (ELB|container) health checks|health check/i,
    causes: [
      'The program starts too slowly: raise the grace period of the service.',
      'The health check expects a path or a status that the program does not serve.',
      'A variable or a secret is missing, and the program fails: look at its log.',
    ],
  },
  {
    pattern: /OutOfMemory|exit(ed)? (with )?code:? 137|signal: killed|heap out of memory/i,
    causes: [
      'The container used more memory than it has: raise "memory".',
      'A build needs more memory: raise "memory" of the image, and the memory of Docker itself, which "ecs-release doctor" prints.',
    ],
  },
  {
    pattern: /Ambiguous cluster|No clusters could be resolved|ClusterNotFound/i,
    causes: ['Name the cluster under "cluster" of the stage; "ecs-release verify" lists those that exist.'],
  },
  {
    pattern: /circuit breaker/i,
    causes: ['The new tasks failed several times in a row. The reason of the stopped tasks says why.'],
  },
];

/** @returns the causes of the known errors that the text contains */
export function causesOf(text: string): readonly string[] {
  return KNOWN_ERRORS.flatMap(({ pattern, causes }) => {
    const match = pattern.exec(text);
    if (!match) return [];
    return causes.map((cause) =>
      cause.replaceAll(/\{(\w+)\}/g, (_, name) => match.groups?.[name] || 'unknown'),
    );
  });
}
