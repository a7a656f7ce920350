/** Reads the few metrics from `/metrics` that the overview shows and `/v1` does not have. */

export interface Meters {
  readonly [name: string]: number;
}

/**
 * Adds up each metric over its labels.
 * @param text metrics in Prometheus' text format
 */
export function metersIn(text: string): Meters {
  const sums: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const [, name = '', value = ''] = /^ecs_host_service_(\w+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name !== '') sums[name] = (sums[name] ?? 0) + Number(value);
  }
  return sums;
}

export async function readMeters(): Promise<Meters> {
  const response = await fetch('/metrics');
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  return metersIn(await response.text());
}
