/** The command that creates a container. */

import { PULL_POLICIES } from '../../docker-engine/needed-images.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Api, Schemas } from '../../packages/api-client/src/main.ts';
import { bytes } from '../../settings/parsers.ts';
import { dataOf, refusedBy } from './client.ts';
import { asJson, tableOf } from './containers.ts';
import { readEnvFile } from './env-file.ts';
import { describeCapacity } from './host.ts';
import { describePulled, PullDisplay, unbroken } from './pull-progress.ts';

type NewContainer = Schemas['NewContainer'];

/** The options about the container itself. */
export type ShapeWords = Omit<CreateWords, 'isDryRun'>;

/** The options as texts. */
export interface CreateWords {
  readonly image: string;
  readonly app: string;
  readonly pull: string | undefined;
  readonly env: readonly string[];
  readonly envFile: readonly string[];
  readonly label: readonly string[];
  readonly publish: readonly string[];
  readonly mount: readonly string[];
  readonly cpus: string | undefined;
  readonly memory: string | undefined;
  readonly pids: string | undefined;
  readonly timeout: string | undefined;
  readonly idleTimeout: string | undefined;
  readonly gpu: boolean;
  readonly hasConsole: boolean;
  readonly isDryRun: boolean;
}

/** The output for the progress of the image pull. */
export interface Progress {
  write(text: string): void;
  /** The width of the terminal; undefined if there is none. */
  readonly columns: number | undefined;
}

/** @throws {ServiceError} `operator.*` */
export async function create(
  api: Api,
  words: CreateWords,
  ours: NodeJS.ProcessEnv,
  isJson: boolean,
  progress: Progress,
): Promise<string> {
  const body = bodyOf(words, ours);
  if (words.isDryRun) {
    const room = dataOf(await api.POST('/v1/containers', { params: { query: { dryRun: true } }, body }));
    return isJson ? asJson(room) : describeCapacity(room as Schemas['Capacity']);
  }
  // Without an idempotency key, a repeated command creates another container.
  const headers = { accept: 'text/event-stream' };
  const answer = dataOf(await api.POST('/v1/containers', { headers, body, parseAs: 'stream' }));
  const made = await madeOf(answer, words.image, isJson ? undefined : progress);
  return isJson ? asJson(made) : tableOf([made]);
}

/** @param progress undefined: no progress is shown */
async function madeOf(answer: unknown, image: string, progress?: Progress): Promise<Schemas['Container']> {
  const { show, clear } = new PullDisplay(image, progress?.columns);
  const broken = (why: string) => new ServiceError('operator.create_broken_off', { why });
  for await (const { event, data } of unbroken(answer, broken)) {
    if (event === 'progress') progress?.write(show(data as Schemas['PullProgress']));
    else progress?.write(clear);
    if (event === 'pulled') progress?.write(`${describePulled(data as Schemas['PulledImage'])}\n`);
    if (event === 'failed') throw refusedBy(data);
    if (event === 'created') return data as Schemas['Container'];
  }
  throw broken('its answer ended');
}

/** @throws {ServiceError} `operator.bad_option` */
export function bodyOf(
  { image, app, pull, cpus, memory, pids, timeout, ...words }: ShapeWords,
  ours: NodeJS.ProcessEnv,
): NewContainer {
  const files = words.envFile.map((file) => readEnvFile(file, ours));
  const environment = Object.assign({}, ...files, pairsOf('--env', words.env));
  return {
    image,
    app,
    ...(pull !== undefined && { pull: policyOf(pull) }),
    ...(Object.keys(environment).length > 0 && { environment }),
    ...(words.label.length > 0 && { labels: pairsOf('--label', words.label) }),
    ...(words.publish.length > 0 && { ports: words.publish.map(portOf) }),
    ...(words.mount.length > 0 && { mounts: words.mount.map(mountOf) }),
    ...(cpus !== undefined && { cpus: numberOf('--cpus', cpus) }),
    ...(memory !== undefined && { memory: bytesOf('--memory', memory) }),
    ...(pids !== undefined && { pids: numberOf('--pids', pids) }),
    ...(timeout !== undefined && { timeout: numberOf('--timeout', timeout) }),
    ...(words.idleTimeout !== undefined && {
      idleTimeout: numberOf('--idle-timeout', words.idleTimeout),
    }),
    ...(words.gpu && { gpu: true }),
    ...(!words.hasConsole && { console: false }),
  };
}

function pairsOf(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new ServiceError('operator.bad_option', { option, wanted: 'NAME=VALUE', got: text });
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Parses `8080`, `53/udp`, or one of these after a host port, such as `30053:53/udp`. */
function portOf(text: string): { container: string; host?: number } {
  const [, host, number = '', protocol = 'tcp'] = /^(?:(\d+):)?(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  if (!number)
    throw new ServiceError('operator.bad_option', {
      option: '--publish',
      wanted: '[HOST:]PORT[/udp]',
      got: text,
    });
  return { container: `${number}/${protocol}`, ...(host && { host: Number(host) }) };
}

function mountOf(text: string): { source: string; target: string; readOnly: boolean } {
  const [, source = '', target = '', mode] = /^(\/[^:]*):(\/[^:]*)(?::(ro|rw))?$/.exec(text) ?? [];
  if (!source)
    throw new ServiceError('operator.bad_option', {
      option: '--mount',
      wanted: '/SOURCE:/TARGET[:rw]',
      got: text,
    });
  return { source, target, readOnly: mode !== 'rw' };
}

function policyOf(text: string): NonNullable<NewContainer['pull']> {
  const found = PULL_POLICIES.find((one) => one === text);
  if (found) return found;
  throw new ServiceError('operator.bad_option', {
    option: '--pull',
    wanted: 'missing, always or never',
    got: text,
  });
}

function bytesOf(option: string, text: string): number {
  try {
    return bytes(text);
  } catch (error) {
    throw new ServiceError(
      'operator.bad_option',
      { option, wanted: 'a size such as 500MiB or 4GiB', got: text },
      { cause: error },
    );
  }
}

export function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text === '' || !Number.isFinite(number))
    throw new ServiceError('operator.bad_option', { option, wanted: 'a number', got: text });
  return number;
}
