/** Project quotas: groups of files with one limit each on their filesystem. A typed wrapper of `project.c`. */

import { addon } from './addon.ts';

/** The usage of a project on one filesystem. A limit of 0 means no limit. */
export interface Project {
  readonly number: number;
  readonly bytes: number;
  readonly inodes: number;
  readonly byteLimit: number;
  readonly inodeLimit: number;
}

/** Whether the filesystem of a directory enforces project quotas. Xfs and ext4 do if they are mounted with them. */
export function keepsProjects(directory: string): boolean {
  return addon().keepsProjects(directory);
}

/** The projects from `first` to `last` that the directory's filesystem knows. */
export function* projectsOf(directory: string, first: number, last: number): Generator<Project> {
  for (let from = first; from <= last; ) {
    const [number, bytes, inodes, byteLimit, inodeLimit] = addon().nextProject(directory, from) ?? [Infinity];
    if (number > last) return;
    yield { number, bytes, inodes, byteLimit, inodeLimit } as Project;
    from = number + 1;
  }
}

/**
 * @param directory any directory on the filesystem
 * @param inodes 0 means no limit, as for bytes
 * @throws Error with a `code`
 */
export function limitProject(directory: string, project: number, bytes: number, inodes: number): void {
  addon().limitProject(directory, project, bytes, inodes);
}

/**
 * Assigns a directory and its present and future content to a project.
 * @returns false if it belongs to another project, and stays unchanged
 * @throws Error with a `code`
 */
export async function giveToProject(directory: string, project: number): Promise<boolean> {
  return await addon().giveToProject(directory, project);
}
