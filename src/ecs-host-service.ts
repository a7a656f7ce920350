/** The program: does what its command line says. */

import { parseCommandLine, USAGE } from './command-line.ts';
import { runService } from './main.ts';
import { VERSION } from './version.ts';

const command = parseCommandLine(process.argv.slice(2));

if (command === 'run') {
  await runService(process.env);
} else if (command === 'version') {
  process.stdout.write(`${VERSION}\n`);
} else if (command === 'help') {
  process.stdout.write(USAGE);
} else {
  process.stderr.write(`This makes no sense: ${process.argv.slice(2).join(' ')}\n\n${USAGE}`);
  process.exitCode = 2;
}
