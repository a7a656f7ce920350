/**
 * Checks what a host with managed nodes needs. Leaves out the checks that do not apply to a host with managed nodes
 * alone.
 */

import { messageOf } from '../../errors/service-error.ts';
import type { ManagedApp } from '../../managed-nodes/feeds/managed-app.ts';
import type { Settings } from '../../settings/load.ts';
import { findCloud } from './cloud-checks.ts';
import type { Finding } from './host-checks.ts';

/** The time limit for EchoStream's answer in milliseconds. */
const PATIENCE = 20_000;

/** The checks that matter to interactive containers only. */
const INTERACTIVE_ALONE = [
  'seccomp profile',
  'container limits',
  'disk quotas',
  'uinput',
  'consoles',
  'front console',
  'login prompts',
  'programs',
  'network filters',
  'SysRq key',
  'Ctrl-Alt-Del',
  'udev rules',
  'ecs.service',
];

/** Returns the findings that apply to this host. */
export function concerning(findings: readonly Finding[], { INTERACTIVE }: Partial<Settings>): Finding[] {
  return findings.filter(({ check }) => INTERACTIVE !== 'off' || !INTERACTIVE_ALONE.includes(check));
}

/** Reads the feed, and checks what its nodes need beyond this host. @param settings the valid settings */
export async function findNodes(settings: Partial<Settings>): Promise<Finding[]> {
  const { NODES_FEED, NODES_FILE: file } = settings;
  if (NODES_FEED === 'echostream') return await findManagedApp(settings);
  if (NODES_FEED !== 'file' || file === undefined) return await findCloud(settings, { images: [] });
  const check = 'nodes';
  try {
    const { readNodesFile } = await import('../../managed-nodes/feeds/file-feed.ts');
    const { app, nodes } = await readNodesFile(file);
    const found = `${file} names ${nodes.length} of the app ${app}`;
    const images = nodes.map(({ image }) => image);
    return [{ check, grade: 'ok', found }, ...(await findCloud(settings, { images }))];
  } catch (error) {
    const advice = 'correct the file; docs/nodes.md has an example';
    return [{ check, grade: 'error', found: messageOf(error), advice }];
  }
}

async function findManagedApp(settings: Partial<Settings>): Promise<Finding[]> {
  const check = 'EchoStream';
  const asked = await askEchoStream(settings).catch((error: unknown) => ({ why: messageOf(error) }));
  if ('why' in asked) {
    const advice =
      'check APPSYNC_ENDPOINT, USER_POOL_ID, CLIENT_ID, USER_NAME, PASSWORD, TENANT and APP, and the network of this host';
    const failed: Finding = { check, grade: 'error', found: asked.why, advice };
    return [failed, ...(await findCloud(settings, { images: [] }))];
  }
  const { nodes, tenant } = asked;
  const images = nodes.map(({ managedNodeType }) => managedNodeType.imageUri);
  return [
    { check, grade: 'ok', found: `names ${nodes.length} nodes of the app ${settings.APP}` },
    ...(await findCloud(settings, { images, region: tenant.region })),
  ];
}

/** Signs in and asks for the nodes, as the service does. */
async function askEchoStream(settings: Partial<Settings>): Promise<ManagedApp> {
  const { APP: name = '', TENANT: tenant = '' } = settings;
  const { EchoStreamApi } = await import('../../packages/echostream-node/src/echostream-node.ts');
  const { GET_MANAGED_APP, managedAppIn } = await import('../../managed-nodes/feeds/managed-app.ts');
  using api = new EchoStreamApi({
    appsyncEndpoint: settings.APPSYNC_ENDPOINT ?? '',
    clientId: settings.CLIENT_ID ?? '',
    password: settings.PASSWORD?.reveal() ?? '',
    tenant,
    userPoolId: settings.USER_POOL_ID ?? '',
    username: settings.USER_NAME ?? '',
  });
  const answer = await api.query(GET_MANAGED_APP, { name, tenant }, AbortSignal.timeout(PATIENCE));
  return managedAppIn(answer, 'EchoStream');
}
