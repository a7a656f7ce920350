/** The connection of a node that is signed in: its record in EchoStream, and clients with the app's credentials. */

import { SQSClient } from '@aws-sdk/client-sqs';
import { Api } from './api/api.ts';
import { cognitoClient } from './api/cognito.ts';
import { AppCredentials } from './api/credentials.ts';
import { GET_BULK_DATA_STORAGE, GET_NODE, type NodeAnswer } from './api/queries.ts';
import { watchRefusals } from './api/refused-credentials.ts';
import { ServerTime } from './api/server-time.ts';
import { SignIn } from './api/sign-in.ts';
import { deliverTo } from './audit-delivery.ts';
import { Audits } from './audits.ts';
import { BulkDataStorage } from './bulk-data.ts';
import { systemClock } from './clock.ts';
import { type Config, mergeConfig } from './config.ts';
import { Edges } from './edges.ts';
import type { ResolvedNodeOptions } from './options.ts';
import type { Queue } from './queue.ts';
import { Target } from './sending/target.ts';
import { SqsQueue } from './sqs-queue.ts';
import { openTable, type TenantTable } from './table.ts';
import type { Telemetry } from './telemetry.ts';

/** Upload targets per request. */
const PLACES = 20;
/** Connections to SQS. The long poll of each source uses one. */
const SOCKETS = 200;

export interface Connection {
  /** The node's record. */
  node: NodeAnswer;
  config: Config;
  readonly targets: Edges<Target>;
  /** By the name of the message type. */
  readonly audits: ReadonlyMap<string, Audits>;
  readonly bulkData: BulkDataStorage;
  readonly table: TenantTable | undefined;
  queue(url: string): Queue;
  /** Reads the node's record again, and follows the changes of its targets. */
  refresh(): Promise<void>;
  close(): void;
}

/** @throws EchoStreamError SIGN_IN_FAILED, API_FAILED, NODE_NOT_FOUND, CONFIG_INVALID */
export async function connect(
  options: ResolvedNodeOptions,
  telemetry: Telemetry,
  signal?: AbortSignal,
): Promise<Connection> {
  const { appsyncEndpoint, name, tenant, userPoolId, logger } = options;
  const time = new ServerTime();
  const cognito = cognitoClient(userPoolId, time);
  const api = new Api(appsyncEndpoint, new SignIn(cognito, options, time.now), systemClock);
  const node = await api.query(GET_NODE, { name, tenant }, signal);
  const { region } = node.tenant;
  // A cross-account app has its own AWS account, and therefore its own credentials.
  const own = node.app.__typename === 'CrossAccountApp';
  const app = new AppCredentials(api, { name: node.app.name, tenant, type: node.app.__typename });
  const sqs = new SQSClient({
    region,
    ...(!own && { credentials: app.provide }),
    requestHandler: { httpsAgent: { maxSockets: SOCKETS }, httpAgent: { maxSockets: SOCKETS } },
  });
  const refused = (accessKeyId: string): void => (own ? undefined : app.forget(accessKeyId));
  watchRefusals(sqs, refused);
  const queue = (url: string): Queue => new SqsQueue(sqs, url);
  const credentials = own ? () => sqs.config.credentials() : app.provide;
  const audit = deliverTo({
    endpoint: node.app.auditRecordsEndpoint,
    node: name,
    region,
    credentials,
    credentialsRefused: refused,
    time,
  });
  const { table } = node.tenant;
  const targets = targetsOf(options, queue, telemetry);
  const connection: Connection = {
    node,
    config: configOf(node),
    queue,
    targets,
    audits: auditsOf(node, options, audit, telemetry),
    bulkData: new BulkDataStorage({
      clock: systemClock,
      places: () =>
        api.query(GET_BULK_DATA_STORAGE, {
          tenant,
          count: PLACES,
          useAccelerationEndpoint: options.bulkDataAcceleration,
        }),
    }),
    table: node.app.tableAccess && table ? await openTable({ name: table, region, credentials }) : undefined,
    async refresh() {
      const fresh = await api.query(GET_NODE, { name, tenant });
      connection.config = configOf(fresh);
      connection.node = fresh;
      followTargets(targets, fresh);
    },
    close() {
      cognito.destroy();
      sqs.destroy();
      logger.debug({ node: name }, 'the node is closed');
    },
  };
  followTargets(targets, node);
  return connection;
}

function followTargets(targets: Edges<Target>, { sendEdges }: NodeAnswer): void {
  targets.follow((sendEdges ?? []).map(({ queue, target: { name } }) => ({ name, queue })));
}

function configOf({ tenant, app, config }: NodeAnswer): Config {
  return mergeConfig({ tenant: tenant.config, app: app.config, node: config });
}

function targetsOf(
  { name: node, logger }: ResolvedNodeOptions,
  queue: (url: string) => Queue,
  telemetry: Telemetry,
): Edges<Target> {
  return new Edges({
    make: ({ name, queue: url }) =>
      new Target({
        name,
        queue: queue(url),
        defaultGroup: node.replaceAll(' ', '_'),
        clock: systemClock,
        logger,
        onRetry: (count) => telemetry.retried(count, { operation: 'send' }),
      }),
    leave: async (target) => {
      await target.settle();
      target.close();
    },
  });
}

function auditsOf(
  { receiveMessageType, sendMessageType }: NodeAnswer,
  { logger }: ResolvedNodeOptions,
  deliver: ConstructorParameters<typeof Audits>[0]['deliver'],
  telemetry: Telemetry,
): ReadonlyMap<string, Audits> {
  const types = [receiveMessageType, sendMessageType].flatMap((type) => type?.name ?? []);
  return new Map(
    [...new Set(types)].map((messageType) => [
      messageType,
      new Audits({
        messageType,
        deliver,
        clock: systemClock,
        logger,
        onEnd: (count, outcome) => telemetry.audited(count, { outcome }),
      }),
    ]),
  );
}
