import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IMAGE, TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(async () => {
  await host[Symbol.asyncDispose]();
});

test('a container lives from beginning to end', async () => {
  const service = await host.start().ready();
  const r = await service.put('/spin_up_container', {
    auth_secret: 'testwebserverauthsecretdev',
    app_name: 'demo',
    app_image: IMAGE,
    mount_command: '',
    protocol_timeout: 60,
  });
  console.log(r);
  console.log(
    await service.put('/set_container_start_values', {
      auth_secret: 'testwebserverauthsecretdev',
      host_port: 32262,
      dpi: 96,
      user_id: '',
      client_app_auth_secret: 'abc',
    }),
  );
  console.log(
    await service.put('/set_config_encryption_token', {
      host_port: 32262,
      user_id: '',
      client_app_auth_secret: 'abc',
      config_encryption_token: 'tok',
    }),
  );
  console.log(await service.stop());
  console.log(service.log());
  assert.ok(host);
  await host.audit();
});
