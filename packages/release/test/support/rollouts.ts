/**
 * Makes the rollouts in ministack's answers as slow as AWS's: the new tasks start and stop until they are healthy, and
 * the old ones drain for the deregistration delay of their target group.
 */

type Json = Readonly<Record<string, unknown>>;

interface Service {
  readonly serviceName: string;
  readonly taskDefinition: string;
  readonly deployments: readonly Json[];
  readonly runningCount: number;
}

/** The number of reads of a service until its new tasks are healthy, and until its old tasks are gone. */
const HEALTHY = 5;
const GONE = 9;

export class Rollouts {
  readonly #step: number | undefined;
  /** For each updated service: the number of reads since the update, and the time of the update. */
  readonly #looks = new Map<string, number>();
  readonly #updatedAt = new Map<string, number>();
  readonly #before = new Map<string, string>();
  /** The services that were healthy, and that had no old tasks left, at each note. */
  readonly notes = new Map<
    string,
    { readonly healthy: readonly string[]; readonly gone: readonly string[] }
  >();

  /** @param step milliseconds that count as one read; undefined: reads count */
  constructor(step?: number) {
    this.#step = step;
  }

  /** When the last of the old tasks are gone, by `performance.now()`. Only available with a step. */
  get endedAt(): number {
    return Math.max(...this.#updatedAt.values()) + GONE * (this.#step ?? 0);
  }

  /** Records the progress of the rollouts. Only the first call counts. */
  note(what: string): void {
    if (this.notes.has(what)) return;
    const after = (look: number) => [...this.#looks].flatMap(([name, at]) => (at > look ? [name] : []));
    this.notes.set(what, { healthy: after(HEALTHY), gone: after(GONE) });
  }

  /** @returns the answer that AWS would give */
  reshape(action: string, answer: Json): Json {
    if (action === 'UpdateService') {
      const { serviceName } = answer.service as Service;
      this.#looks.set(serviceName, 0);
      this.#updatedAt.set(serviceName, performance.now());
    }
    if (action !== 'DescribeServices') return answer;
    return { ...answer, services: (answer.services as readonly Service[]).map((one) => this.#look(one)) };
  }

  #look(service: Service): Service {
    const { serviceName: name, taskDefinition, deployments } = service;
    const looks = this.#looks.get(name);
    if (looks === undefined) this.#before.set(name, taskDefinition);
    if (looks === undefined) return service;
    this.#looks.set(name, looks + 1);
    const age = performance.now() - (this.#updatedAt.get(name) ?? 0);
    const look = this.#step === undefined ? looks : Math.floor(age / this.#step);
    if (look >= GONE) return service;
    const [newest] = deployments as readonly [Json];
    const old = {
      ...newest,
      ...{ id: 'ecs-svc/before', status: 'ACTIVE', rolloutState: 'COMPLETED', runningCount: 1 },
      taskDefinition: this.#before.get(name),
    };
    if (look >= HEALTHY) return { ...service, deployments: [newest, old] };
    const runningCount = look % 2;
    const begun = { ...newest, rolloutState: 'IN_PROGRESS', runningCount };
    return { ...service, runningCount: runningCount + 1, deployments: [begun, old] };
  }
}
