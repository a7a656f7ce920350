/** Part of the table of errors: managed nodes. */

export const NODE_ERRORS = {
  'node.unknown': {
    status: 404,
    text: 'there is no node {node} here; list the nodes with "ecs-host-service nodes list"',
  },
  'service.nodes_alone': {
    status: 409,
    text: 'this host runs managed nodes only; set INTERACTIVE=on to host interactive containers too',
  },
  'node.none': {
    status: 404,
    text: 'this service manages no nodes; set NODES_FEED, then start the service again',
  },
  'node.not_there': {
    status: 409,
    text: 'the node {node} has no running container ({state}: {why}); see "ecs-host-service nodes explain {node}"',
  },
  'node.changed': {
    status: 409,
    text: 'the node {node} has changed in the meantime; the service checks it again',
  },
  'node.bad_network': {
    status: 409,
    text: 'the network {app} is not a bridge network, its driver is {driver}; remove or rename that network, or rename the app',
  },
  'node.no_log_driver': {
    status: 502,
    text: 'the log driver of the node {node} did not start: {why}; the service creates its container again, with its log on this host',
  },
  'node.no_feed': {
    status: 503,
    text: 'the service does not know yet which nodes the feed wants: {why}; see "ecs-host-service nodes list", then try again',
  },
  'node.unusable': {
    status: 422,
    text: 'some nodes in {source} cannot be used: {why}; they keep their last spec until you correct them',
  },
  'node.bad_feed': {
    status: 422,
    text: 'the nodes in {source} cannot be used: {why}; the nodes on this host do not change until you correct this',
  },
} as const;
