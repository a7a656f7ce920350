/** The package of the release tool, as npm would publish it. It has the most dependencies, so it has a file of its own. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { EmptyProjects, NODES } from '../support/empty-projects.ts';

const projects = new EmptyProjects();
after(() => projects[Symbol.dispose]());

test('ecs-release installs into an empty project, and loads there on each Node version', () =>
  projects.installAndLoad('ecs-release'));

test('the release tool runs as a command of its package on each Node version', async () => {
  for (const line of NODES) {
    const project = projects.of('ecs-release', line);
    assert.match(
      await projects.run(line, project, 'node_modules/.bin/ecs-release', '--help'),
      /^ {2}deploy /m,
    );
  }
});
