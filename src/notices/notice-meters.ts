/** The metrics about EC2's notices. */

import { Gauge, type Registry } from 'prom-client';
import { NOTICE_KINDS, type NoticeView } from '../../host/notices.ts';

/** @param notices returns the notices in effect */
export function addNoticeMeters(
  registry: Registry,
  prefix: string,
  notices: () => readonly NoticeView[],
): void {
  const parts = { registers: [registry], labelNames: ['kind'] };
  new Gauge({
    ...parts,
    name: `${prefix}ec2_notices`,
    help: 'Notices of EC2 about this host that are in effect, by kind.',
    collect() {
      for (const kind of NOTICE_KINDS) this.set({ kind }, 0);
      for (const { kind } of notices()) this.inc({ kind });
    },
  });
  new Gauge({
    ...parts,
    name: `${prefix}ec2_notice_timestamp_seconds`,
    help: 'Time of the first announced event, in seconds since 1970; missing if EC2 gives no time.',
    collect() {
      this.reset();
      for (const kind of NOTICE_KINDS) {
        const moments = notices().flatMap((one) => (one.kind === kind && one.at ? Date.parse(one.at) : []));
        if (moments.length > 0) this.set({ kind }, Math.min(...moments) / 1000);
      }
    },
  });
}
