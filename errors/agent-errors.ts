/** Part of the table of errors: the ECS agent. */

export const AGENT_ERRORS = {
  'agent.config': {
    status: 500,
    text: 'the configuration of the ECS agent is not valid; correct {path}, then start the service again:\n{problems}',
  },
  'agent.not_found': {
    status: 500,
    text: 'there is no ECS agent on this host: {why}; install amazon-ecs-init, run "docker pull amazon/amazon-ecs-agent", or set ECS_AGENT=none to run without one',
  },
  'agent.no_image': {
    status: 500,
    text: 'Docker has no image {image}, and {archive} does not contain it; run "docker pull {image}"',
  },
  'agent.name_taken': {
    status: 500,
    text: 'the name {name} belongs to container {id}, which this service did not create; if this host has ecs.service, run "systemctl disable --now ecs"; then run "docker rm --force {name}"',
  },
  'agent.unit_runs': {
    status: 500,
    text: 'ecs.service runs an ECS agent of its own; set ECS_AGENT=unit to use it, or run "systemctl disable --now ecs"',
  },
  'agent.socket': {
    status: 500,
    text: 'the agent of ecs.service cannot reach {socket}, because its container has only /run of this host; set ROOT=/, or choose another ECS_AGENT',
  },
  'agent.systemd': {
    status: 502,
    text: '"systemctl {words}" failed: {why}; see "journalctl --unit=ecs"',
  },
  'agent.none': { status: 404, text: 'this host runs no ECS agent; check the setting ECS_AGENT' },
  'agent.silent': {
    status: 503,
    text: "{why}; the agent answers once it has registered this host; the service's log contains the agent's output",
  },
  'agent.ended': {
    status: 502,
    text: 'the ECS agent exited with {how}, and the service restarts it; the last lines of its output say why',
  },
  'agent.final': {
    status: 502,
    text: 'the ECS agent exited with exit code {code}, which a restart does not fix, so this host drains; the last lines of its output say why: if ECS refuses this host, check that its role may register it in the cluster of {config}; if the cluster has changed, stop the service, empty {data}, and start it again',
  },
} as const;
