/** Common errors of deployments to ECS, with their causes and remedies. */

export interface KnownError {
  readonly pattern: RegExp;
  readonly causes: readonly string[];
}

export const KNOWN_ERRORS: readonly KnownError[] = [
  {
    pattern: /denied: User: ?\S* is not authorized to perform: ecr:(\w+)/i,
    causes: [
      'The credentials are of another account than the registry: compare both with "ecs-release verify".',
      'The user or role lacks this right on the repository: add it to its policy.',
      'The credentials are wrong: log in again.',
    ],
  },
  {
    pattern: /no basic auth credentials|authorization token has expired|ExpiredToken/i,
    causes: [
      'A login to ECR lasts for twelve hours, and a session for its own time: run "ecs-release login" again.',
    ],
  },
  {
    pattern: /Could not resolve entrypoint/i,
    causes: ['application_type is not set, or unknown: give the service a "kind" in the configuration.'],
  },
  {
    pattern: /IDENTITY|expected dictionary form|no default identity/i,
    causes: [
      'The container has no IDENTITY, or it names a secret that does not exist.',
      'The task role may not read the secret, or not decrypt it: it needs secretsmanager:GetSecretValue and kms:Decrypt.',
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
    pattern: /CannotPull\w*|manifest unknown|image not found/i,
    causes: [
      'The image was not pushed, or a lifecycle policy removed it: look with "ecs-release images list".',
      'The execution role may not pull: it needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer.',
      'The subnet has no route to the registry.',
    ],
  },
  {
    pattern: /unable to place a task|RESOURCE:|Capacity is unavailable/i,
    causes: [
      'The cluster has no room: add instances, or make the tasks smaller.',
      'Fargate Spot has no capacity right now: lower "spot" of the kind, so that tasks run on demand too.',
    ],
  },
  {
    pattern: /failed (ELB|container) health checks|health check/i,
    causes: [
      'The program starts too slowly: raise the grace period of the service.',
      'The check asks for a path or a status that the program does not answer.',
      'A variable or a secret is missing, so that the program fails inside: look at its log.',
    ],
  },
  {
    pattern: /OutOfMemory|exit(ed)? (with )?code 137|signal: killed/i,
    causes: [
      'The container used more memory than it has: raise "memory". A build needs more memory in Docker itself.',
    ],
  },
  {
    pattern: /Ambiguous cluster|No clusters could be resolved|ClusterNotFound/i,
    causes: ['Name the cluster under "cluster" of the stage; "aws ecs list-clusters" lists them.'],
  },
  {
    pattern: /circuit breaker/i,
    causes: ['The new tasks failed several times in a row. The reason of the stopped tasks says why.'],
  },
];

/** @returns the known errors that match the text */
export function knownErrorsIn(text: string): readonly KnownError[] {
  return KNOWN_ERRORS.filter(({ pattern }) => pattern.test(text));
}
