/**
 * Docker's driver for CloudWatch. A node that writes faster than CloudWatch takes it loses lines, and does not wait.
 * Source: the pages of Docker's documentation on "Amazon CloudWatch Logs logging driver" and "Configure logging drivers".
 */

import { randomUUID } from 'node:crypto';
import type { LogConfig } from '../docker/create-body.ts';

/** What begins a message: programs of the node library write their level first. */
const BEGIN = String.raw`^\[(CRITICAL|DEBUG|ERROR|INFO|WARNING)\]`;

/** @param prefix of the group's name; each container has a stream of its own */
export function awsLogs(prefix: string, node: string, region: string, now = new Date()): LogConfig {
  const day = now.toISOString().slice(0, 10).replaceAll('-', '/');
  return {
    Type: 'awslogs',
    Config: {
      'awslogs-group': `${prefix}/node/${node}`,
      'awslogs-region': region,
      'awslogs-stream': `${day}/${randomUUID().replaceAll('-', '')}`,
      'awslogs-create-group': 'true',
      'awslogs-multiline-pattern': BEGIN,
      mode: 'non-blocking',
      'max-buffer-size': '4m',
    },
  };
}
