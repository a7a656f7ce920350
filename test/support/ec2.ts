/**
 * A stand-in for EC2's Query API: it accepts tags and terminations, records them, refuses unsigned requests and invalid tags as
 * EC2 does, and can be told to refuse or to fail. Source: Amazon EC2 API Reference, "Query requests", "Error codes".
 */

import { keep } from './evidence.ts';
import { type Fault, Recorder, type Reply, type Request } from './recorder.ts';
import { S3_KEY_ID, S3_SECRET } from './secrets.ts';

const REFUSALS = {
  AuthFailure: 401,
  InvalidParameterValue: 400,
  RequestLimitExceeded: 503,
  UnauthorizedOperation: 403,
} as const;
export type Refusal = keyof typeof REFUSALS;

/** A request to EC2. */
export interface Ec2Call {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly action: string;
  readonly instances: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  /** The credentials and the region of the request. */
  readonly signedBy: string;
}

export class Ec2StandIn implements AsyncDisposable {
  /** The refusal of each request, until it is undefined again. */
  refusal: Refusal | undefined;
  readonly #recorder: Recorder;

  static async open(): Promise<Ec2StandIn> {
    const standIn = new Ec2StandIn(await Recorder.open({ reply: (request) => standIn.#reply(request) }));
    return standIn;
  }

  private constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** The settings of the service. */
  get settings(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL_EC2: this.#recorder.url,
      AWS_ACCESS_KEY_ID: S3_KEY_ID,
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
    };
  }

  get calls(): readonly Ec2Call[] {
    return this.#recorder.requests.map(understand);
  }

  /** Entries such as `running`, `dead because of …`, `TerminateInstances`. */
  get story(): readonly string[] {
    return this.calls.map(({ action, tags }) => {
      const { 'ecs-host-service:state': state, 'ecs-host-service:cause': cause } = tags;
      return cause === undefined ? (state ?? action) : `${state} because of ${cause}`;
    });
  }

  get connections(): number {
    return this.#recorder.connections;
  }

  /** The first call that `matches`; waits for it if necessary. */
  async call(matches: (call: Ec2Call) => boolean): Promise<Ec2Call> {
    return understand(await this.#recorder.request((request) => matches(understand(request))));
  }

  async turn(fault: Fault): Promise<void> {
    await this.#recorder.turn(fault);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { body } of this.#recorder.requests) keep('ec2', body);
    await this.#recorder.close();
  }

  #reply(request: Request): Reply {
    const { action, tags, signedBy } = understand(request);
    if (this.refusal) return refuse(this.refusal, request);
    if (!signedBy) return refuse('AuthFailure', request);
    if (!Object.values(tags).every(isAllowed)) return refuse('InvalidParameterValue', request);
    const inner = action === 'CreateTags' ? '<return>true</return>' : '<instancesSet/>';
    const body = `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>0</requestId>${inner}</${action}Response>`;
    return { status: 200, body };
  }
}

function understand({ at, body, headers }: Request): Ec2Call {
  const fields = new URLSearchParams(body);
  const all = (name: RegExp) => [...fields].filter(([key]) => name.test(key)).map(([, value]) => value);
  const values = all(/^Tag\.\d+\.Value$/);
  const keys = all(/^Tag\.\d+\.Key$/);
  const [, signedBy = ''] = /Credential=(\w+\/\d+\/[\w-]+\/ec2)\//.exec(headers.authorization ?? '') ?? [];
  return {
    at,
    action: fields.get('Action') ?? '',
    instances: all(/^(ResourceId|InstanceId)\.\d+$/),
    tags: Object.fromEntries(keys.map((key, index) => [key, values[index] ?? ''])),
    signedBy: signedBy.replace(/\/\d+\//, ' '),
  };
}

function isAllowed(value: string): boolean {
  return value.length <= 256 && /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value) && !/^aws:/i.test(value);
}

/** In the worst case, a message repeats the request, including the signature. */
function refuse(code: Refusal, { headers }: Request): Reply {
  const message = `You are not authorized. Encoded message: ${headers.authorization}`;
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors>${error}</Errors><RequestID>0</RequestID></Response>`;
  return { status: REFUSALS[code], body };
}
