/** The settings for EC2's notices that it will stop, or may stop, this host. */

import { oneOf, remoteUrl } from './parsers.ts';
import { optional, setting } from './setting.ts';

const action = oneOf('end', 'drain', 'tell');

export const NOTICE_SETTINGS = {
  ON_SPOT_NOTICE: setting(
    "What the service does when EC2 gives notice that it will reclaim a Spot instance: end (accepts no new containers, saves all users' files at once, and stops in time), drain (the same without the stop) or tell (only reports it).",
    'end',
    action,
  ),
  ON_REBALANCE_NOTICE: setting(
    'What the service does when EC2 recommends replacing a Spot instance: end (stops at once), drain (accepts no new containers) or tell.',
    'drain',
    action,
  ),
  ON_SCALE_IN: setting(
    'What the service does when Auto Scaling terminates the instance: end (stops at once), drain (accepts no new containers) or tell. Without a lifecycle hook on the group, EC2 shuts the host down while the service drains.',
    'drain',
    action,
  ),
  ON_MAINTENANCE_NOTICE: setting(
    'What the service does when EC2 schedules maintenance of the instance: end (stops before it begins), drain or tell.',
    'tell',
    action,
  ),
  TERMINATION_HOOK: optional(
    "Name of the Auto Scaling group's lifecycle hook for terminating instances. While the service drains for ON_SCALE_IN, it extends the hook's timeout, and it completes the hook when the host is empty.",
    hookName,
  ),
  AWS_ENDPOINT_URL_AUTO_SCALING: optional("URL of an Auto Scaling service other than Amazon's.", remoteUrl),
} as const;

/** Source: Amazon EC2 Auto Scaling API Reference, "PutLifecycleHook". */
function hookName(text: string): string {
  if (!/^[\w/-]{1,255}$/.test(text)) throw new Error(`must be the name of a lifecycle hook; got "${text}"`);
  return text;
}
