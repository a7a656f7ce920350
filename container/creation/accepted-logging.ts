/**
 * The rules for the log driver of a hosted container. dockerd itself reads the files and opens the sockets that an
 * option names. So only options that name none are accepted, except for the socket of the task's own FireLens.
 */

import { isRecord } from '../../parsing/json.ts';
import { TASK } from '../labels.ts';
import {
  type Asker,
  anyForm,
  anyText,
  isAllowed,
  isEmpty,
  mapOf,
  object,
  type Rule,
  refusal,
  text,
} from './accepted-fields.ts';

const COMMON = /^(mode|max-buffer-size|labels|labels-regex|env|env-regex|tag)$/;
const FILE = /^(max-size|max-file|compress)$/;
const REMOTE = /^(udp|tcp|tcp\+tls|tls):\/\/[\w.-]+(:\d+)?$/;

/** Checks an option and its value. */
type Options = (name: string, value: string, asker: Asker) => boolean;

const none: Options = () => false;
const toFile: Options = (name) => FILE.test(name);

const awslogs: Options = (name, value) =>
  name === 'awslogs-region'
    ? /^[a-z0-9-]+$/.test(value)
    : name === 'awslogs-credentials-endpoint'
      ? /^\/[\w/-]+$/.test(value)
      : /^awslogs-(group|stream|stream-prefix|create-group|create-stream|datetime-format|multiline-pattern|format|force-flush-interval-seconds|max-buffered-events)$/.test(
          name,
        );

const fluentd: Options = (name, value, { paths, labels }) => {
  if (name !== 'fluentd-address') {
    return /^fluentd-(async|async-connect|async-reconnect-interval|buffer-limit|max-retries|request-ack|retry-wait|sub-second-precision|write-timeout)$/.test(
      name,
    );
  }
  const task = labels[TASK]?.split('/').at(-1) ?? '';
  const own = `unix://${paths.agent.state}/data/firelens/${task}/socket/fluent.sock`;
  return REMOTE.test(value) || /^[\w.-]+(:\d+)?$/.test(value) || (/^[\w-]+$/.test(task) && value === own);
};

const syslog: Options = (name, value) =>
  name === 'syslog-address' ? REMOTE.test(value) : /^syslog-(facility|format|tls-skip-verify)$/.test(name);

const gelf: Options = (name, value) =>
  name === 'gelf-address'
    ? REMOTE.test(value)
    : /^gelf-(compression-(type|level)|tcp-(max-reconnect|reconnect-delay))$/.test(name);

const DRIVERS: Readonly<Record<string, Options>> = {
  '': toFile,
  none,
  journald: none,
  local: toFile,
  'json-file': toFile,
  awslogs,
  fluentd,
  syslog,
  gelf,
};

const shape = object({ Type: anyText, Config: mapOf(text('any text'), 'any') });

export const logConfig: Rule = anyForm(
  `the drivers ${Object.keys(DRIVERS).filter(Boolean).join(', ')}, with options that name no file and no socket of the host; \`LogConfig=DRIVER\``,
  (value, at, asker) => {
    const taken = shape.accept(value, at, asker);
    const { Type, Config } = taken as { Type?: string | null; Config?: unknown };
    const driver = Type ?? '';
    if (isAllowed(asker, 'LogConfig', driver)) return taken;
    const options = Object.hasOwn(DRIVERS, driver) ? DRIVERS[driver] : undefined;
    if (!options) throw refusal(`${at}.Type`, driver, `LogConfig=${driver}`);
    for (const [name, given] of Object.entries(isRecord(Config) ? Config : {})) {
      const isAccepted = COMMON.test(name) || options(name, String(given), asker);
      if (!isAccepted && !isEmpty(given)) throw refusal(`${at}.Config.${name}`, given, `LogConfig=${driver}`);
    }
    return taken;
  },
  { fields: shape.fields ?? {} },
);
