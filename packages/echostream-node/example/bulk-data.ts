import { createReadStream } from 'node:fs';
import { AppNode } from 'echostream-node';

const [file = 'package.json'] = process.argv.slice(2);
await using node = new AppNode();
await node.start();
const url = await node.handleBulkData(createReadStream(file));
await node.sendMessage(node.createMessage(JSON.stringify({ file, url })));
