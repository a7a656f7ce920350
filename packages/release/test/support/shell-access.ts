/**
 * ECS Exec for tasks of ministack, which does not support it: ExecuteCommand leads to a simulated Systems Manager,
 * whose agent runs the command in the task's real container.
 */

import { ENVIRONMENT } from './aws-host.ts';
import { FaultProxy } from './fault-proxy.ts';
import { terminalProgram } from './session-agent.ts';
import { SessionService } from './session-service.ts';

interface Task {
  readonly taskArn: string;
  readonly containers: readonly { readonly name: string; readonly runtimeId: string }[];
}

export class ShellAccess implements AsyncDisposable {
  readonly #sessions: SessionService;
  readonly #proxy: FaultProxy;
  readonly #containers = new Map<string, string>();

  private constructor(sessions: SessionService, proxy: FaultProxy) {
    this.#sessions = sessions;
    this.#proxy = proxy;
    proxy.reshape = (action, answer) =>
      action === 'DescribeTasks'
        ? { ...answer, tasks: (answer.tasks as readonly Task[]).map((task) => this.#withAgents(task)) }
        : answer;
    proxy.instead = async (action, request) =>
      action === 'ExecuteCommand' ? { ...sessions.answer(action, request) } : undefined;
    sessions.agent = ({ task, container, command }) => {
      const id = this.#containers.get(`${String(task)} ${String(container)}`);
      const start = terminalProgram(`docker exec --interactive --tty ${id} ${String(command)}`);
      return { sessionType: 'InteractiveCommands', start };
    };
  }

  static async start(): Promise<ShellAccess> {
    return new ShellAccess(
      await SessionService.start(),
      await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? ''),
    );
  }

  /** The environment for the tool. */
  get environment(): Readonly<Record<string, string>> {
    return { AWS_ENDPOINT_URL: this.#proxy.url, AWS_ENDPOINT_URL_SSM: this.#sessions.url };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]();
    await this.#sessions[Symbol.asyncDispose]();
  }

  #withAgents(task: Task): object {
    const containers = task.containers.map((one) => {
      for (const name of [task.taskArn, task.taskArn.split('/').at(-1)])
        this.#containers.set(`${name} ${one.name}`, one.runtimeId);
      return { ...one, managedAgents: [{ name: 'ExecuteCommandAgent', lastStatus: 'RUNNING' }] };
    });
    return { ...task, enableExecuteCommand: true, containers };
  }
}
