/**
 * The metrics of the service, with names and meanings. Times are in seconds and sizes in bytes. Each label has a fixed
 * small set of values, and none identifies a container or a user. All values of a label exist from the start, so that
 * the first event of a kind is visible as an increase.
 */

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type HealthView, PORT_HEALTHS } from '../../container/health.ts';
import { WARM } from '../../container/pool/pool-spec.ts';
import { END_CODES, STATES, type State } from '../../container/state.ts';
import { CHECK_HEALTHS } from '../../docker-engine/answers.ts';
import { CALLS } from '../../docker-engine/calls.ts';
import { OUTCOMES } from '../../host/heartbeats.ts';
import type { NoticeView } from '../../host/notices.ts';
import { NODE_STATES, type NodeState } from '../../managed-nodes/plan/world.ts';
import { ALARMS, DIRECTIONS } from '../../user-configs/user-configs.ts';
import { addNoticeMeters } from '../notices/notice-meters.ts';
import { addLoopMeters } from './event-loop.ts';
import { addProcessMeters } from './process.ts';

/** Values that are read when somebody asks. */
export interface Levels {
  readonly states: () => readonly (State | typeof WARM)[];
  readonly healths: () => readonly Pick<HealthView, 'docker' | 'port'>[];
  /** Empty until the host's resources are known. */
  readonly pools: () => readonly { readonly name: string; readonly size: number; readonly held: number }[];
  /** undefined if user configs are not kept. */
  readonly spool: () => { readonly files: number; readonly bytes: number } | undefined;
  readonly nodes: () => readonly NodeState[];
  readonly predecessorDied: () => boolean;
  readonly notices: () => readonly NoticeView[];
}

const PREFIX = 'ecs_host_service_';

/** The states that a container leaves. */
const STEPS = STATES.filter((state) => state !== 'gone');

/** Upper bounds in seconds, from steps of the service to actions of a person. */
const STEP_BOUNDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 3600, 14_400, 86_400];
/** Up to the longest time limit of a call. */
const CALL_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export class Meters {
  readonly #registry = new Registry();
  readonly ends = this.#counter('container_ends_total', 'Containers that began to end, by cause.', {
    code: END_CODES,
  });
  readonly steps = this.#histogram(
    'container_step_seconds',
    'Time that containers spent in a state before the next one.',
    { step: STEPS },
    STEP_BOUNDS,
  );
  readonly calls = this.#histogram(
    'docker_call_seconds',
    "Time of the service's own calls to the Docker Engine, including failed ones.",
    { call: Object.keys(CALLS) },
    CALL_BOUNDS,
  );
  readonly callErrors = this.#counter(
    'docker_call_errors_total',
    "The service's own calls to the Docker Engine that failed or took too long.",
    { call: Object.keys(CALLS) },
  );
  readonly poolClaims = this.#counter(
    'pool_claims_total',
    'New containers with start values while there are pools: warm ones came from a pool, cold ones were made.',
    { result: ['warm', 'cold'] },
  );
  readonly heartbeats = this.#counter(
    'heartbeats_total',
    'Heartbeats to the webserver, by result; a failed registration counts as a failed heartbeat.',
    { outcome: OUTCOMES },
  );
  readonly configBytes = this.#counter(
    'config_bytes_total',
    'Bytes of user configs, encrypted, that were saved on this host or restored to a container.',
    { direction: DIRECTIONS },
  );
  readonly configAlarms = this.#counter(
    'config_alarms_total',
    'User configs that S3 may have returned in an older state, and user configs that were too large to be saved.',
    { alarm: ALARMS },
  );
  readonly releasesFailed = new Counter({
    ...this.#named('releases_failed_total', 'Resources whose release failed, each counted once.'),
  });

  constructor(levels: Levels) {
    this.#addContainers(levels);
    this.#addNodes(levels);
    this.#addHealth(levels);
    this.#addPools(levels);
    this.#addSpool(levels);
    new Gauge({
      ...this.#named(
        'predecessor_died',
        '1 if this service found entries of a crashed service in the ledger, otherwise 0.',
      ),
      collect() {
        this.set(levels.predecessorDied() ? 1 : 0);
      },
    });
    addNoticeMeters(this.#registry, PREFIX, levels.notices);
    addLoopMeters(this.#registry, PREFIX);
    addProcessMeters(this.#registry);
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  #named(name: string, help: string) {
    return { name: `${PREFIX}${name}`, help, registers: [this.#registry] };
  }

  #counter<L extends string>(name: string, help: string, values: Labels<L>): Counter<L> {
    const counter = new Counter({ ...this.#named(name, help), labelNames: namesOf(values) });
    for (const labels of each(values)) counter.inc(labels, 0);
    return counter;
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    values: Labels<L>,
    bounds: readonly number[],
  ): Histogram<L> {
    const parts = { ...this.#named(name, help), labelNames: namesOf(values), buckets: [...bounds] };
    const histogram = new Histogram(parts);
    for (const labels of each(values)) histogram.zero(labels);
    return histogram;
  }

  #addContainers({ states }: Levels): void {
    new Gauge({
      ...this.#named(
        'containers',
        'Containers that this service hosts, by state; those that wait in a pool are warm.',
      ),
      labelNames: ['state'],
      collect() {
        for (const state of [...STATES, WARM]) this.set({ state }, 0);
        for (const state of states()) this.inc({ state });
      },
    });
  }

  #addNodes({ nodes }: Levels): void {
    new Gauge({
      ...this.#named('nodes', 'Managed nodes, by state.'),
      labelNames: ['state'],
      collect() {
        for (const state of NODE_STATES) this.set({ state }, 0);
        for (const state of nodes()) this.inc({ state });
      },
    });
  }

  #addHealth({ healths }: Levels): void {
    const known = { docker: CHECK_HEALTHS, port: PORT_HEALTHS };
    new Gauge({
      ...this.#named(
        'containers_health',
        "Containers by the results of Docker's check and of the check of 32262/tcp.",
      ),
      labelNames: ['check', 'health'],
      collect() {
        for (const check of ['docker', 'port'] as const) {
          for (const health of known[check]) this.set({ check, health }, 0);
          for (const { [check]: health } of healths()) if (health) this.inc({ check, health });
        }
      },
    });
  }

  #addPools({ pools }: Levels): void {
    const add = (name: string, help: string, what: 'size' | 'held') =>
      new Gauge({
        ...this.#named(name, help),
        labelNames: ['pool'],
        collect() {
          for (const pool of pools()) this.set({ pool: pool.name.replaceAll(' ', '_') }, pool[what]);
        },
      });
    add('pool_size', 'Numbers of each kind that this host has for containers.', 'size');
    add('pool_held', 'Numbers of each kind that are in use.', 'held');
  }

  #addSpool({ spool }: Levels): void {
    const add = (name: string, help: string, what: 'files' | 'bytes') =>
      new Gauge({
        ...this.#named(name, help),
        collect() {
          const waiting = spool();
          if (waiting) this.set(waiting[what]);
          else this.remove();
        },
      });
    add('config_spool_bytes', 'Bytes of saved user configs on this host that S3 does not have yet.', 'bytes');
    add('config_spool_files', 'Saved user configs on this host that S3 does not have yet.', 'files');
  }
}

/** The one label of a metric, with all its values. */
type Labels<L extends string> = Readonly<Record<L, readonly string[]>>;

function namesOf<L extends string>(values: Labels<L>): L[] {
  return Object.keys(values) as L[];
}

function each<L extends string>(values: Labels<L>): Record<L, string>[] {
  return namesOf(values).flatMap((name) =>
    values[name].map((value) => ({ [name]: value }) as Record<L, string>),
  );
}
