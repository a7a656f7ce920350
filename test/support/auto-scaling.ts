/**
 * A stand-in for Auto Scaling's Query API: it knows an instance's group, and records requests for its lifecycle hook. Source:
 * Amazon EC2 Auto Scaling API Reference.
 */

import { Recorder, type Reply, type Request } from './recorder.ts';
import { S3_KEY_ID, S3_SECRET } from './secrets.ts';

const NAMESPACE = 'http://autoscaling.amazonaws.com/doc/2011-01-01/';

export class AutoScalingStandIn implements AsyncDisposable {
  /** The status and code of each answer, until it is undefined again. */
  refusal: { readonly status: number; readonly code: string } | undefined;
  readonly recorder: Recorder;

  static async open(): Promise<AutoScalingStandIn> {
    const standIn: AutoScalingStandIn = new AutoScalingStandIn(
      await Recorder.open({ reply: (request) => standIn.#reply(request) }),
    );
    return standIn;
  }

  private constructor(recorder: Recorder) {
    this.recorder = recorder;
  }

  /** The settings of the service. */
  get settings(): Record<string, string> {
    return {
      TERMINATION_HOOK: 'save-users',
      AWS_ENDPOINT_URL_AUTO_SCALING: this.recorder.url,
      AWS_ACCESS_KEY_ID: S3_KEY_ID,
      AWS_SECRET_ACCESS_KEY: S3_SECRET,
    };
  }

  /** The requests in short form, such as `Complete hosts save-users i-0123 CONTINUE`. */
  get story(): string[] {
    return this.recorder.requests.map(understand);
  }

  async asked(beginning: string): Promise<void> {
    await this.recorder.request((request) => understand(request).startsWith(beginning));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recorder.close();
  }

  #reply({ body }: Request): Reply {
    if (this.refusal) {
      const { status, code } = this.refusal;
      return {
        status,
        body: `<ErrorResponse xmlns="${NAMESPACE}"><Error><Code>${code}</Code></Error></ErrorResponse>`,
      };
    }
    const fields = new URLSearchParams(body);
    const action = fields.get('Action') ?? '';
    const member = `<InstanceId>${fields.get('InstanceIds.member.1')}</InstanceId><AutoScalingGroupName>hosts</AutoScalingGroupName>`;
    const instances = `<AutoScalingInstances><member>${member}</member></AutoScalingInstances>`;
    const result = `<${action}Result>${action.startsWith('Describe') ? instances : ''}</${action}Result>`;
    return { status: 200, body: `<${action}Response xmlns="${NAMESPACE}">${result}</${action}Response>` };
  }
}

function understand({ body }: Request): string {
  const fields = new URLSearchParams(body);
  const words = ['AutoScalingGroupName', 'LifecycleHookName', 'InstanceId', 'LifecycleActionResult'];
  const action = /^(Describe|Complete|Record)/.exec(fields.get('Action') ?? '')?.[0];
  return [action, ...words.flatMap((word) => fields.get(word) ?? [])].join(' ');
}
