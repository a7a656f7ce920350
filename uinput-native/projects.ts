/** Projects of files, which have one limit each on their filesystem: what `project.c` asks of the kernel, in words. */

import { addon } from './addon.ts';

/** What a project has on one filesystem. A limit of 0 is none. */
export interface Project {
  readonly number: number;
  readonly bytes: number;
  readonly inodes: number;
  readonly byteLimit: number;
  readonly inodeLimit: number;
}

/** Whether the filesystem of a directory holds projects to their limits: xfs and ext4, where they are told to. */
export function keepsProjects(directory: string): boolean {
  return addon().keepsProjects(directory);
}

/** Those of `first` to `last` that the filesystem of a directory knows. */
export function* projectsOf(directory: string, first: number, last: number): Generator<Project> {
  for (let from = first; from <= last; ) {
    const [number, bytes, inodes, byteLimit, inodeLimit] = addon().nextProject(directory, from) ?? [Infinity];
    if (number > last) return;
    yield { number, bytes, inodes, byteLimit, inodeLimit } as Project;
    from = number + 1;
  }
}

/** @param directory any on the filesystem @param inodes 0, as of bytes: no limit @throws Error with a `code` */
export function limitProject(directory: string, project: number, bytes: number, inodes: number): void {
  addon().limitProject(directory, project, bytes, inodes);
}

/**
 * Gives a directory to a project, with all that is and will be in it.
 * @returns false when it is another project's already, and stays so
 * @throws Error with a `code`
 */
export async function giveToProject(directory: string, project: number): Promise<boolean> {
  return await addon().giveToProject(directory, project);
}
