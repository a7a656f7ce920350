/** Checks a spec, whichever feed it is from: its schema, and the rules that a schema cannot express. */

import { misfit } from '../../parsing/json.ts';
import { fixedPorts } from '../plan/node-container.ts';
import { overlap } from '../plan/ports.ts';
import { NodeSpec } from './node-spec.ts';

const OURS = 'ecs-host-service.';

/** @returns the first violated rule; undefined if the spec is usable */
export function whyUnusable(spec: NodeSpec): string | undefined {
  return misfit(NodeSpec, spec) ?? brokenRule(spec);
}

/** @returns the first violated rule, as `FIELD must …` */
export function brokenRule(spec: NodeSpec): string | undefined {
  const { labels = {}, ports = [], mounts = [], update = {} } = spec;
  const reserved = Object.keys(labels).find((name) => name.startsWith(OURS));
  if (reserved !== undefined) return `labels must not begin with ${OURS}; rename ${reserved}`;
  const targets = mounts.map(({ target }) => target);
  const twice = targets.find((target, i) => targets.indexOf(target) !== i);
  if (twice !== undefined) return `mounts must have one source for ${twice}`;
  const inner = ports.map(({ containerPort, protocol = 'tcp', hostPort }) =>
    [containerPort, protocol, hostPort].join('/'),
  );
  const again = inner.find((port, i) => inner.indexOf(port) !== i);
  if (again !== undefined) return `ports must name each port once; ${again} appears twice`;
  const outer = fixedPorts(spec);
  if (update.order === 'hand-over' && outer.length > 0)
    return `update.order must not be hand-over with a fixed host port; two containers cannot have ${outer[0]?.port} at a time`;
  const both = outer.find((port, i) => outer.slice(0, i).some((other) => overlap(port, other)));
  return both && `ports must name each host port once; ${both.port}/${both.protocol} appears twice`;
}
