/** The service's metrics, parsed as strictly as their format is specified. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { pathsBelow } from '../../host/paths.ts';
import type { Metrics, Watched } from '../../src/metrics/metrics.ts';

/** A service that has nothing to report. */
export const NOTHING: Watched = {
  hosting: undefined,
  userConfigs: undefined,
  presence: undefined,
  notices: [],
};

export const PREFIX = 'ecs_host_service_';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

const VALUE = String.raw`(?:[+-]?Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)`;
const LABEL = String.raw`([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"`;
const SAMPLE = new RegExp(String.raw`^([a-zA-Z_:][\w:]*)(?:\{(${LABEL}(?:,${LABEL})*)\})? (${VALUE})$`);

function parseSample(line: string): Sample {
  const found = SAMPLE.exec(line);
  assert.ok(found, `no sample: ${line}`);
  const labels = Object.fromEntries(
    [...(found[2] ?? '').matchAll(new RegExp(LABEL, 'g'))].map(([, name = '', value = '']) => [name, value]),
  );
  return {
    name: found[1] as string,
    labels,
    value: Number((found.at(-1) as string).replace('Inf', 'Infinity')),
  };
}

/** Source: Prometheus' text-based format, version 0.0.4. */
export function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'));
  const families = new Map<string, Family>();
  for (const block of text.trimEnd().split('\n\n')) {
    const [first = '', second = '', ...lines] = block.split('\n');
    const [, name = '', help = ''] = /^# HELP (\w+) (.+)$/.exec(first) ?? [];
    const [, type = ''] = new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`).exec(second) ?? [];
    assert.ok(name && type, `no head: ${first} ${second}`);
    assert.ok(!families.has(name), `duplicate: ${name}`);
    const family = { name, help, type, samples: lines.filter(Boolean).map(parseSample) };
    assertFits(family);
    families.set(name, family);
  }
  return families;
}

function assertFits({ name, type, samples }: Family): void {
  const suffix = type === 'histogram' ? '_(bucket|sum|count)' : '';
  for (const sample of samples) assert.match(sample.name, new RegExp(`^${name}${suffix}$`));
  assert.equal(name.endsWith('_total'), type === 'counter', name);
  const series = samples.map((sample) => JSON.stringify([sample.name, sample.labels]));
  assert.equal(new Set(series).size, series.length, `a series of ${name} is duplicate`);
  if (type === 'histogram') assertHistogram(name, samples);
}

/** The labels of a series without a bucket's bound, as text. */
function seriesOf({ labels }: Sample): string {
  return JSON.stringify(Object.entries(labels).filter(([name]) => name !== 'le'));
}

/** Buckets must rise in bounds and counts, up to the one that contains all values. */
function assertHistogram(name: string, samples: readonly Sample[]): void {
  for (const [series, all] of Map.groupBy(samples, seriesOf)) {
    const buckets = all.filter((one) => one.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels: { le = '' } }) => Number(le.replace('Inf', 'Infinity')));
    const counts = buckets.map(({ value }) => value);
    assert.equal(bounds.at(-1), Number.POSITIVE_INFINITY);
    assert.deepEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
    assert.equal(all.find((one) => one.name === `${name}_count`)?.value, counts.at(-1), series);
    assert.equal(all.filter((one) => one.name === `${name}_sum`).length, 1);
  }
}

/** The value of a metric, by its name without the prefix of the service's own metrics, and by its labels. */
export async function numberOf(metrics: Metrics, name: string, labels: Sample['labels'] = {}) {
  const families = parse(await metrics.text());
  const samples = [...families.values()].flatMap((family) => family.samples);
  const wanted = JSON.stringify(labels);
  return samples.find((one) => one.name === PREFIX + name && JSON.stringify(one.labels) === wanted)?.value;
}

export async function numbersOf(
  metrics: Metrics,
  name: string,
  label: string,
): Promise<Record<string, number>> {
  const family = parse(await metrics.text()).get(PREFIX + name);
  return Object.fromEntries(family?.samples.map(({ labels, value }) => [labels[label], value]) ?? []);
}

/** Requests a service's metrics. @returns the value of a series; its labels are passed as JSON */
export async function askForMetrics(root: string) {
  const asked = get({ socketPath: pathsBelow(root).apiSocket, path: '/metrics' });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  const samples = [...parse(await text(answer)).values()].flatMap(({ samples }) => samples);
  return (name: string, labels = '{}') =>
    samples.find((one) => one.name === PREFIX + name && JSON.stringify(one.labels) === labels)?.value;
}
