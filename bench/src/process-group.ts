import { BenchProcess } from './child-process.ts';
import type { RoleName } from './roles.ts';

/** Processes of one role that end together, also when one of them does not start. */
export class ProcessGroup<Task, Answer> implements AsyncDisposable {
  readonly members: readonly BenchProcess<Task, Answer>[];

  private constructor(members: readonly BenchProcess<Task, Answer>[]) {
    this.members = members;
  }

  /** `argumentsOfEach`: as many members. */
  static async start<Task, Answer>(
    role: RoleName,
    argumentsOfEach: readonly (readonly string[])[],
  ): Promise<ProcessGroup<Task, Answer>> {
    const starts = await Promise.allSettled(
      argumentsOfEach.map((args) => BenchProcess.start<Task, Answer>(role, ...args)),
    );
    const members = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const group = new ProcessGroup(members);
    const failure = starts.find((each) => each.status === 'rejected');
    if (failure === undefined) return group;
    await group[Symbol.asyncDispose]();
    throw failure.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}
