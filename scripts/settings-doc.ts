/** Generates the document of the settings from their schema: `settings-doc.ts OUTPUT`. */

import { writeFileSync } from 'node:fs';
import { describeSettings } from '../settings/describe.ts';

export function settingsDoc(): string {
  const rows = describeSettings().map(
    ({ name, fallback, meaning, isSecret }) =>
      `| \`${name}\`${isSecret ? ' (secret)' : ''} | ${fallback} | ${meaning.replaceAll('|', '\\|')} |`,
  );
  return `# Settings

This page lists every setting. \`make docs\` generates it from the schema. All settings come from the environment. The service refuses
to start when a setting is missing, misspelt or unsafe, and says why. \`ecs-host-service settings\` shows the settings of a
host, each with its value and where the value comes from.

You can give a secret in three ways. The first one that is present is used: the variable itself, a file that only root can read and that
\`<NAME>_FILE\` names, or the systemd credential of the same name.

| setting | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`;
}

const [output] = process.argv.slice(2);
if (import.meta.main && output) writeFileSync(output, settingsDoc());
