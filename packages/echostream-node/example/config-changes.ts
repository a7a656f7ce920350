import { AppNode, ChangeReceiver } from 'echostream-node';

await using node = new AppNode();
await node.start();
node.every(Number(node.config.interval ?? 60_000), () => console.log('the time has come'));
node.on('config', (config) => console.log('the config is now', config));

await using changes = new ChangeReceiver({ signals: ['SIGTERM'] });
await changes.start();
changes.follow(node);
await changes.join();
