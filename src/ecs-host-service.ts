/**
 * The program: the service, or a command about it. The service does not load the command line: with it, a start would take
 * 20 ms and 1 MB more.
 */

const words = process.argv.slice(2);

if (words.length === 0 || words.join(' ') === 'run') {
  const { runService } = await import('./main.ts');
  await runService(process.env);
} else {
  const { obey } = await import('./commands.ts');
  await obey(words);
}
