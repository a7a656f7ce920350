/**
 * Configures Docker's log driver for CloudWatch. A node that writes faster than CloudWatch accepts loses lines instead
 * of blocking. Source: Docker's documentation, "Amazon CloudWatch Logs logging driver" and "Configure logging drivers".
 */

import { randomUUID } from 'node:crypto';
import type { LogConfig } from '../docker/create-body.ts';

/** A line that matches this pattern begins a new message. Programs of the node library write the level first. */
const BEGIN = String.raw`^\[(CRITICAL|DEBUG|ERROR|INFO|WARNING)\]`;

/** Each container gets its own log stream. @param prefix the beginning of the log group's name */
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
