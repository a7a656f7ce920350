/**
 * The entry point: the service, or a command. The service does not load the command line, which would cost 20 ms and 1
 * MB at each start.
 */

const words = process.argv.slice(2);

if (words.length === 0 || words.join(' ') === 'run') {
  const { runService } = await import('./main.ts');
  await runService(process.env);
} else if (
  words[0] !== 'bury' ||
  !(await (await import('./hand-over/goes-on.ts')).goesOn(words, process.env))
) {
  const { obey } = await import('./commands.ts');
  await obey(words);
}
