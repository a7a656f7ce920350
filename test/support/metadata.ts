/** EC2's metadata service, as a host uses it: its answers can change, and it has its own clock. */

import { NOTICE_KINDS, type NoticeKind, PATHS } from '../../host/notices.ts';
import { Recorder, type Reply, type Request } from './recorder.ts';
import { imds, METADATA } from './world.ts';

export class Metadata {
  readonly recorder: Recorder;
  readonly #items: Record<string, string>;
  /** Milliseconds by which its clock is ahead of this machine's. */
  readonly #ahead: number;

  static async open({ address = '169.254.169.254', port = 80, ahead = 0 } = {}): Promise<Metadata> {
    const items: Record<string, string> = { ...METADATA };
    const reply = (request: Request): Reply => ({
      ...imds(items)(request),
      headers: { date: new Date(Date.now() + ahead).toUTCString() },
    });
    return new Metadata(await Recorder.open({ address, port, reply }), items, ahead);
  }

  private constructor(recorder: Recorder, items: Record<string, string>, ahead: number) {
    this.recorder = recorder;
    this.#items = items;
    this.#ahead = ahead;
  }

  /** The time after so many milliseconds, by its clock. */
  after(milliseconds: number): Date {
    return new Date(Date.now() + this.#ahead + milliseconds);
  }

  /** The notice from now on; undefined: none. */
  say(kind: NoticeKind, text: string | undefined): void {
    if (text === undefined) delete this.#items[PATHS[kind]];
    else this.#items[PATHS[kind]] = text;
  }

  /** Reclaims this Spot instance. @returns the moment in its answer, and by this machine's clock */
  takeAfter(milliseconds: number, action = 'terminate'): { readonly said: string; readonly at: number } {
    const said = `${this.after(milliseconds).toISOString().slice(0, 19)}Z`;
    this.say('spot', JSON.stringify({ action, time: said }));
    return { said, at: Date.parse(said) - this.#ahead };
  }

  /** The number of requests for notices. */
  get looks(): number {
    return this.recorder.requests.filter(isLook).length / NOTICE_KINDS.length;
  }
}

/** Whether it is a request for a notice, which a host sends every few seconds. */
export function isLook({ path }: Pick<Request, 'path'>): boolean {
  return NOTICE_KINDS.some((kind) => path.endsWith(PATHS[kind]));
}
