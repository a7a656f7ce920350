/**
 * The handshake that the agent starts. It announces its version and the type of the session, and may require
 * encryption. Agents older than 2.3.50 send output at once, without a handshake.
 *
 * Source: aws/amazon-ssm-agent, agent/session/datachannel/datachannel.go.
 */

import { messageOf } from '../errors.ts';
import { parseObject } from './payloads.ts';
import type { DataKey } from './session-cipher.ts';

export type SessionType = 'shell' | 'port';

export interface Introduction {
  readonly agentVersion: string;
  readonly sessionType: SessionType | undefined;
  /** The session's parameters, as the agent reports them. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Handshake {
  readonly introduction: Introduction;
  /** The response to the agent. */
  readonly response: Buffer;
  /** The reasons why the session cannot begin. */
  readonly problems: readonly string[];
  /** The key that encrypts the session from now on. */
  readonly key: DataKey | undefined;
}

const TYPES: Readonly<Record<string, SessionType>> = {
  Standard_Stream: 'shell',
  InteractiveCommands: 'shell',
  NonInteractiveCommands: 'shell',
  Port: 'port',
};

const STATUS = { success: 1, failed: 2, unsupported: 3 };

interface Answer {
  readonly status: number;
  readonly problem?: string;
  readonly sessionType?: SessionType;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly key?: DataKey;
}

export type GetDataKey = (keyId: string) => Promise<DataKey>;

export async function answerHandshake(
  payload: Uint8Array,
  clientVersion: string,
  getDataKey?: GetDataKey,
): Promise<Handshake> {
  const { AgentVersion, RequestedClientActions } = parseObject(payload);
  const actions = (Array.isArray(RequestedClientActions) ? RequestedClientActions : []).map(recordOf);
  const answers = await Promise.all(
    actions.map(async (action) => ({
      type: String(action.ActionType),
      ...(await answer(action, getDataKey)),
    })),
  );
  const problems = answers.flatMap(({ problem }) => problem ?? []);
  const named = answers.find(({ sessionType }) => sessionType);
  return {
    introduction: {
      agentVersion: typeof AgentVersion === 'string' ? AgentVersion : '',
      sessionType: named?.sessionType,
      properties: named?.properties ?? {},
    },
    problems,
    key: answers.find(({ key }) => key)?.key,
    response: Buffer.from(
      JSON.stringify({
        ClientVersion: clientVersion,
        ProcessedClientActions: answers.map(({ type, status, key, problem = '' }) => ({
          ActionType: type,
          ActionStatus: status,
          ActionResult: key ? { KMSCipherTextKey: Buffer.from(key.ciphertext).toString('base64') } : null,
          Error: problem,
        })),
        Errors: problems,
      }),
    ),
  };
}

async function answer(
  { ActionType, ActionParameters }: Readonly<Record<string, unknown>>,
  getDataKey: GetDataKey | undefined,
): Promise<Answer> {
  const parameters = recordOf(ActionParameters);
  switch (ActionType) {
    case 'SessionType': {
      const sessionType = TYPES[String(parameters.SessionType)];
      if (sessionType)
        return { status: STATUS.success, sessionType, properties: recordOf(parameters.Properties) };
      return {
        status: STATUS.failed,
        problem: `the agent starts a session of the type ${String(parameters.SessionType)}, which ecs-release does not support`,
      };
    }
    case 'KMSEncryption':
      return await encryption(String(parameters.KMSKeyId), getDataKey);
    default:
      return {
        status: STATUS.unsupported,
        problem: `the agent asks for ${String(ActionType)}, which ecs-release does not support`,
      };
  }
}

async function encryption(keyId: string, getDataKey: GetDataKey | undefined): Promise<Answer> {
  try {
    if (getDataKey) return { status: STATUS.success, key: await getDataKey(keyId) };
  } catch (error) {
    const problem = `KMS returned no key for the session: ${messageOf(error)}; you need kms:GenerateDataKey on ${keyId}`;
    return { status: STATUS.failed, problem };
  }
  return {
    status: STATUS.failed,
    problem: `the session must be encrypted with the KMS key ${keyId}, but there is no KMS client`,
  };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Compares versions such as 3.1.1732.0; a missing part counts as 0. */
export function isAtLeast(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10) || 0),
  );
  for (let i = 0; i < 4; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
