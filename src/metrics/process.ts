/**
 * The standard metrics of the process, under their usual names. prom-client has them too, but only together with
 * others: observing garbage collections costs a service that makes much garbage a tenth of its speed or more.
 */

import { readdir, readFile } from 'node:fs/promises';
import { Counter, Gauge, type Registry } from 'prom-client';

export function addProcessMeters(registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await read());
      },
    });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', () =>
    Math.round(performance.timeOrigin / 1000),
  );
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss());
  gauge('process_open_fds', 'Number of open file descriptors.', countDescriptors);
  gauge('process_max_fds', 'Maximum number of open file descriptors.', readMostDescriptors);
  gauge('nodejs_heap_size_used_bytes', 'Process heap size used from Node.js in bytes.', () => {
    return process.memoryUsage().heapUsed;
  });
  gauge('nodejs_external_memory_bytes', 'Node.js external memory size in bytes.', () => {
    return process.memoryUsage().external;
  });
}

async function countDescriptors(): Promise<number> {
  // One of the descriptors is that of the directory itself.
  return (await readdir('/proc/self/fd')).length - 1;
}

/** Source: proc_pid_limits(5). */
async function readMostDescriptors(): Promise<number> {
  const [, most] = /^Max open files +(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8')) ?? [];
  return most === undefined ? Number.POSITIVE_INFINITY : Number(most);
}
