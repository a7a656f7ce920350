/** The credentials for the registries of nodes: tokens of Amazon ECR, and those in REGISTRY_AUTH_FILE. */

import { authFileIssuer } from '../docker-engine/auth-file.ts';
import { ecrIssuer } from '../docker-engine/ecr.ts';
import { RegistryCredentials } from '../docker-engine/registry-credentials.ts';
import type { Settings } from '../settings/load.ts';

export function registryCredentials({
  REGISTRY_AUTH_FILE: file,
}: Partial<Pick<Settings, 'REGISTRY_AUTH_FILE'>>): RegistryCredentials {
  return new RegistryCredentials([ecrIssuer(), ...(file ? [authFileIssuer(file)] : [])]);
}
