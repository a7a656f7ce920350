/** The command that has a container made. */

import { ServiceError } from '../../errors/service-error.ts';
import { bytes } from '../../settings/parsers.ts';
import { type Api, dataOf, type Schemas } from './client.ts';
import { asJson, tableOf } from './containers.ts';
import { readEnvFile } from './env-file.ts';
import { describeCapacity } from './host.ts';

type NewContainer = Schemas['NewContainer'];

/** As its options give it, which are texts. */
export interface CreateWords {
  readonly image: string;
  readonly app: string;
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

/** @throws {ServiceError} `operator.bad_option`, `operator.env_from` @throws Error of `bytes` */
export async function create(
  api: Api,
  words: CreateWords,
  ours: NodeJS.ProcessEnv,
  isJson: boolean,
): Promise<string> {
  const body = bodyOf(words, ours);
  const query = words.isDryRun ? { dryRun: true } : {};
  // Sent again by whoever it is, it is another container.
  const found = dataOf(await api.POST('/v1/containers', { params: { query }, body }));
  if (isJson) return asJson(found);
  return 'fits' in found ? describeCapacity(found) : tableOf([found]);
}

function bodyOf(
  { image, app, cpus, memory, pids, timeout, ...words }: CreateWords,
  ours: NodeJS.ProcessEnv,
): NewContainer {
  const files = words.envFile.map((file) => readEnvFile(file, ours));
  const environment = Object.assign({}, ...files, pairsOf('--env', words.env));
  return {
    image,
    app,
    ...(Object.keys(environment).length > 0 && { environment }),
    ...(words.label.length > 0 && { labels: pairsOf('--label', words.label) }),
    ...(words.publish.length > 0 && { ports: words.publish.map(portOf) }),
    ...(words.mount.length > 0 && { mounts: words.mount.map(mountOf) }),
    ...(cpus !== undefined && { cpus: numberOf('--cpus', cpus) }),
    ...(memory !== undefined && { memory: bytes(memory) }),
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

/** `8080`, `53/udp`, or with a host port before it, `30053:53/udp`. */
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

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text === '' || !Number.isFinite(number))
    throw new ServiceError('operator.bad_option', { option, wanted: 'a number', got: text });
  return number;
}
