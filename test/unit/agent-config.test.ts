import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { usablePorts } from '../../container/network/host-ports.ts';
import { parseConfig, readConfig, secretsIn } from '../../ecs-agent-bridge/agent/config-file.ts';
import {
  binaryEnvironment,
  containerEnvironment,
  dataDirectory,
  reservesPort,
} from '../../ecs-agent-bridge/agent/environment.ts';
import type { Mode } from '../../ecs-agent-bridge/agent/way.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { pathsBelow } from '../../host/paths.ts';

const PORTS = usablePorts('32768\t60999', '', [4678]);

function parse(text: string, mode: Mode = 'binary') {
  const { config, warnings } = parseConfig('/etc/ecs/ecs.config', text, { mode, usablePorts: PORTS });
  return { values: Object.fromEntries(config), warnings };
}

/** The problems of an invalid text. */
function problemsOf(text: string, mode?: Mode): string[] {
  let problems: string[] = [];
  assert.throws(
    () => parse(text, mode),
    (error) => {
      assert.ok(error instanceof ServiceError && error.code === 'agent.config');
      assert.match(
        error.message,
        /^the configuration of the ECS agent is not valid; correct \/etc\/ecs\/ecs\.config, then start the service again:\n/,
      );
      problems = error.message.split('\n').slice(1);
      return true;
    },
  );
  return problems.map((problem) => problem.trim());
}

suite('ecs.config', () => {
  test('comments and empty lines are skipped, and a line is split at its first =', () => {
    const text =
      '# of this host\n\n  ECS_CLUSTER=live  \r\nECS_INSTANCE_ATTRIBUTES={"a":"b=c"}\n\t# end\nECS_EMPTY=';
    assert.deepEqual(parse(text), {
      values: { ECS_CLUSTER: 'live', ECS_INSTANCE_ATTRIBUTES: '{"a":"b=c"}', ECS_EMPTY: '' },
      warnings: [],
    });
  });

  test('if a name appears twice, the last one counts', () => {
    assert.deepEqual(parse('ECS_CLUSTER=a\nECS_CLUSTER=b').values, { ECS_CLUSTER: 'b' });
  });

  test('all invalid lines of ecs.config are reported at once, by number', () => {
    const text = [
      'ECS_CLUSTER',
      '# fine',
      'ECS CLUSTER=x',
      'ECS_RESERVED_PORTS=22',
      'ECS_CLUSTER=fine',
      "ECS_INSTANCE_ATTRIBUTES='{}'",
      'ECS_DATADIR=data',
      '=x',
    ];
    assert.deepEqual(problemsOf(text.join('\n')), [
      'line 1: must be NAME=value, without blanks before the =',
      'line 3: must be NAME=value, without blanks before the =',
      'line 4: ECS_RESERVED_PORTS must be a JSON list, without quotes around it',
      'line 6: ECS_INSTANCE_ATTRIBUTES must be a JSON object, without quotes around it',
      'line 7: ECS_DATADIR must be an absolute path',
      'line 8: must be NAME=value, without blanks before the =',
    ]);
  });

  test('a setting that lets the agent remove containers that ECS has not placed is refused', () => {
    for (const word of ['true', 'TRUE', 't', '1']) {
      const [problem = ''] = problemsOf(`ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP=${word}`);
      assert.match(problem, /^line 1: ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP must not be true/, word);
    }
    assert.deepEqual(parse('ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP=false').warnings, []);
  });

  test("a port range for the agent that overlaps the containers' is refused", () => {
    for (const range of ['1025-1025', '4000-70000', '32000-32768', '1-65535', '40-30', 'all']) {
      const [problem = ''] = problemsOf(`ECS_DYNAMIC_HOST_PORT_RANGE=${range}`);
      assert.match(problem, /^line 1: ECS_DYNAMIC_HOST_PORT_RANGE must/, range);
    }
    for (const range of ['32768-60999', '49151-65535', '60000-61000', '4678-4678', '1000-1024']) {
      assert.deepEqual(parse(`ECS_DYNAMIC_HOST_PORT_RANGE=${range}`).warnings, [], range);
    }
  });

  test('DOCKER_HOST is ignored with a warning, and refused if ecs.service would prefer it', () => {
    const text = 'ECS_CLUSTER=x\nDOCKER_HOST=unix:///var/run/docker.sock';
    for (const mode of ['binary', 'container'] as const) {
      assert.deepEqual(parse(text, mode).warnings, [
        'line 2: DOCKER_HOST is passed over: the agent talks to Docker through this service',
      ]);
    }
    assert.match(problemsOf(text, 'unit').join(), /^line 2: DOCKER_HOST must go/);
  });

  test("a name that is not one of the agent's is passed on, with a warning", () => {
    const { values, warnings } = parse(
      'ECSCLUSTER=x\nno_proxy=a\nHTTPS_PROXY=b\nAWS_REGION=c\nSSL_CERT_DIR=d',
    );
    assert.deepEqual(warnings, [
      'line 1: ECSCLUSTER is not a name that an ECS agent reads; it is passed on anyway',
    ]);
    assert.equal(values.ECSCLUSTER, 'x');
  });

  test('without a file there are no settings, and an unreadable file is reported', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'agent-config-'));
    const rules = { mode: 'binary', usablePorts: PORTS } as const;
    const path = join(directory.path, 'ecs.config');
    assert.deepEqual(await readConfig(path, rules), { config: new Map(), warnings: [] });
    await writeFile(path, 'ECS_CLUSTER=x\n');
    assert.deepEqual(await readConfig(path, rules), {
      config: new Map([['ECS_CLUSTER', 'x']]),
      warnings: [],
    });
    await assert.rejects(readConfig(directory.path, rules), {
      code: 'agent.config',
      message: /EISDIR/,
    });
  });

  test('no problem and no warning shows a value that may be secret', () => {
    const secret = 'hush-hush-hush';
    const text = `AWS_SECRET_ACCESS_KEY ${secret}\nECS_ENGINE_AUTH_DATA=${secret}\nMY_TOKEN=${secret}`;
    assert.doesNotMatch(problemsOf(text).join(), /hush/);
    assert.doesNotMatch(parse(`MY_TOKEN=${secret}`).warnings.join(), /hush/);
  });

  test('secrets in ecs.config are recognized by their name, also inside other values', () => {
    const auth = { 'https://index.docker.io/v1/': { auth: 'c2VjcmV0LWF1dGg=', email: 'user@example.com' } };
    const { config } = parseConfig(
      '',
      [
        'ECS_CLUSTER=live',
        'AWS_SECRET_ACCESS_KEY=the-secret-key',
        'AWS_SESSION_TOKEN=the-session-token',
        'AWS_WEB_IDENTITY_TOKEN_FILE=/var/token',
        `ECS_ENGINE_AUTH_DATA=${JSON.stringify(auth)}`,
        'HTTPS_PROXY=http://user:pass%20word@proxy:3128',
        'NO_PROXY=localhost',
      ].join('\n'),
      { mode: 'binary', usablePorts: PORTS },
    );
    assert.deepEqual(secretsIn(config), [
      ['AWS_SECRET_ACCESS_KEY', 'the-secret-key'],
      ['AWS_SESSION_TOKEN', 'the-session-token'],
      ['ECS_ENGINE_AUTH_DATA', JSON.stringify(auth)],
      ['ECS_ENGINE_AUTH_DATA 0', 'c2VjcmV0LWF1dGg='],
      ['HTTPS_PROXY', 'pass word'],
    ]);
  });

  test('the password of a proxy is recognized as secret, however the proxy is written', () => {
    for (const [proxy, password] of [
      ['http://u:%zz@proxy', '%zz'],
      ['user:secret@proxy:3128', 'secret'],
      ['socks5://user:sec%40ret@proxy', 'sec@ret'],
      ['proxy:3128', ''],
      ['http://:no url', ''],
    ] as const)
      assert.deepEqual(secretsIn(new Map([['HTTP_PROXY', proxy]])), [['HTTP_PROXY', password]], proxy);
  });
});

suite('the environment of the agent', () => {
  const paths = pathsBelow('/').agent;
  const facts = (text = '') => ({
    ...parseConfig('', text, { mode: 'binary', usablePorts: PORTS }),
    paths,
    reservedPorts: [2375, 4678, 51_678, 9100],
    ephemeralPorts: '32768-60999',
  });

  test('without settings, the environment contains only what the service alone can know', () => {
    assert.deepEqual(binaryEnvironment(facts(), '/run/proxy.sock'), {
      ECS_AUDIT_LOGFILE: '/var/log/ecs/audit.log',
      ECS_AVAILABLE_LOGGING_DRIVERS: '["json-file","syslog","awslogs","fluentd","none"]',
      ECS_DATADIR: '/var/lib/ecs/data',
      ECS_DYNAMIC_HOST_PORT_RANGE: '32768-60999',
      ECS_RESERVED_PORTS: '[22,2375,2376,51678,51679,4678,9100]',
      ECS_UPDATES_ENABLED: 'false',
      DOCKER_HOST: 'unix:///run/proxy.sock',
    });
  });

  test("the environment keeps the operator's settings, except for the socket", () => {
    const text = [
      'ECS_CLUSTER=live',
      'ECS_RESERVED_PORTS=[22,80]',
      'ECS_DYNAMIC_HOST_PORT_RANGE=50000-50100',
      'ECS_DATADIR=/data/ecs',
      'ECS_UPDATES_ENABLED=true',
      'DOCKER_HOST=unix:///var/run/docker.sock',
    ];
    const known = facts(text.join('\n'));
    const seen = binaryEnvironment(known, '/run/proxy.sock');
    assert.equal(seen.ECS_CLUSTER, 'live');
    assert.equal(seen.ECS_RESERVED_PORTS, '[22,80,2375,4678,51678,9100]');
    assert.equal(seen.ECS_DYNAMIC_HOST_PORT_RANGE, '50000-50100');
    assert.equal(seen.ECS_DATADIR, '/data/ecs');
    assert.equal(seen.ECS_UPDATES_ENABLED, 'true');
    assert.equal(seen.DOCKER_HOST, 'unix:///run/proxy.sock');
    assert.equal(dataDirectory(known), '/data/ecs');
  });

  test('in a container, the environment names the paths inside that container', () => {
    const seen = containerEnvironment(facts('ECS_DATADIR=/data/ecs\nECS_CLUSTER=live'));
    assert.equal(seen.ECS_DATADIR, '/data');
    assert.equal(seen.ECS_LOGFILE, '/log/ecs-agent.log');
    assert.equal(seen.DOCKER_HOST, 'unix:///var/run/docker.sock');
    assert.equal(seen.ECS_CLUSTER, 'live');
  });

  test('the service knows whether ECS avoids a port, also by default', () => {
    assert.equal(reservesPort(facts().config, 4678), false);
    assert.equal(reservesPort(facts().config, 51678), true);
    assert.equal(reservesPort(facts('ECS_RESERVED_PORTS=[4678]').config, 4678), true);
  });
});
