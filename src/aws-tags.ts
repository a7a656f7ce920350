/** The facts about the EC2 instance that each event for Sentry and each line for logz.io contains. */

import type { HostFacts } from '../host/metadata.ts';
import type { Tags } from '../logging/line.ts';

/** The predecessor's names, which people use in searches. */
export function awsTags(facts: HostFacts): Tags {
  return {
    'aws.ami-id': facts.amiId,
    ...(facts.amiLaunchIndex && { 'aws.ami-launch-index': facts.amiLaunchIndex }),
    'aws.instance-id': facts.instanceId,
    'aws.instance-type': facts.instanceType,
    'aws.placement-region': facts.region,
    ...(facts.publicIpv4 && { 'aws.public-ipv4': facts.publicIpv4 }),
  };
}
