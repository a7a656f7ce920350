import { connect, dataOf, messagesOf, ProblemError, type Schemas } from 'ecs-host-service-api-client';

const [socket = '/run/ecs-host-service/api.sock'] = process.argv.slice(2);
const api = await connect({ socket });
try {
  const { containers } = dataOf(await api.GET('/v1/containers', { params: { query: { state: 'ready' } } }));
  for (const { id, app, port } of containers) console.log(id, app, port);

  const events = dataOf(await api.GET('/v1/events', { parseAs: 'stream' }));
  for await (const { event, data } of messagesOf(events)) {
    if (event !== 'container') continue;
    const { container, cause }: Schemas['Event'] = JSON.parse(data);
    console.log(container.id, container.state, cause);
    break;
  }
} catch (error) {
  if (!(error instanceof ProblemError)) throw error;
  console.error(error.status, error.message);
} finally {
  await api.close();
}
