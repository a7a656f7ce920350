/** The page of a managed node: the reason for its state, its wanted spec, its containers, and its history. */

import { useState } from 'preact/hooks';
import { Confirm, Empty, Failure, State } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api } from '../state/api.ts';
import { type Node, nodes } from '../state/nodes.ts';
import { mayAct } from '../state/session.ts';
import { Logs } from './logs.tsx';
import { History, Plan, useNodes } from './nodes.tsx';
import { Replacements } from './replacements.tsx';
import { Terminals } from './terminals.tsx';

export function NodePage({ name }: { readonly name: string }) {
  const { value, trouble, readNow } = useNodes();
  const node = nodes.value?.nodes.find((one) => one.name === name);
  const title = (
    <h1 tabIndex={-1}>
      Node {name} {node && <State state={node.state} />}
    </h1>
  );
  if (!node) {
    return (
      <>
        {title}
        {trouble && <Failure trouble={trouble} />}
        {!trouble && !value && <Empty>Reading …</Empty>}
        {value && <Empty>The feed wants no node of this name, and none runs.</Empty>}
        <a href="#/nodes">All nodes</a>
        {value && <Replacements node={name} />}
        {value && <History events={value.events.filter((one) => one.node === name)} />}
      </>
    );
  }
  return (
    <>
      {title}
      {trouble && <Failure trouble={trouble} />}
      {mayAct.value && <Actions node={node} onChange={readNow} />}
      <p class="lead" role="status">
        {node.state} since <Ago at={node.since} />: {node.cause}
      </p>
      <Facts node={node} />
      <Rejected node={node} />
      <Plan steps={value?.steps.filter((step) => step.node === name)} />
      {node.container && <Terminals of={name} />}
      {/* The output ends with the container, and a restart begins it again. */}
      {node.container && (
        <Logs
          key={`${node.container} ${node.since}`}
          isRunning
          open={(query, signal) =>
            api.GET('/v1/nodes/{node}/logs', {
              params: { path: { node: name }, query },
              parseAs: 'stream',
              signal,
            })
          }
        />
      )}
      <Replacements node={name} {...(node.container && { container: node.container })} />
      <History events={value?.events.filter((one) => one.node === name)} />
    </>
  );
}

function Actions({
  node: { name, container, rejected },
  onChange,
}: {
  readonly node: Node;
  readonly onChange: () => void;
}) {
  const [asks, setAsks] = useState(false);
  const isTry = rejected !== undefined;
  return (
    <p class="actions">
      {container && (
        <a class="button primary" href={`#/nodes/${name}/terminal`}>
          Open a terminal
        </a>
      )}
      <button type="button" class="danger" onClick={() => setAsks(true)}>
        {isTry ? 'Try again …' : 'Restart …'}
      </button>
      {asks && (
        <Confirm
          title={isTry ? `Retry the rejected container of ${name}?` : `Restart node ${name}?`}
          action={isTry ? 'Try again' : 'Restart'}
          onClose={() => setAsks(false)}
          onConfirm={async () => {
            await answerTo(api.POST('/v1/nodes/{node}/restart', { params: { path: { node: name } } }));
            onChange();
          }}
        >
          <p>
            {isTry
              ? 'The service creates the rejected container again, and keeps it if it stays up. The old container runs until then, unless both need the same host port.'
              : 'Its program gets SIGTERM, and SIGKILL after the grace period, and its terminals end. Then the same container starts again.'}
          </p>
        </Confirm>
      )}
    </p>
  );
}

function Facts({ node }: { readonly node: Node }) {
  const { type, image, container, digest, candidate, lastError, nextAttempt } = node;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Type', type],
    ['Wanted image', image ?? 'none: the feed no longer wants it'],
    ['Runs the digest', digest ?? 'nothing'],
    ['Container', container],
    ['New container', candidate],
    ['Last error', lastError],
  ];
  return (
    <section aria-labelledby="facts-title">
      <h2 id="facts-title">Wanted and actual</h2>
      <dl class="facts">
        {facts.map(
          ([fact, value]) =>
            value !== undefined && (
              <div key={fact}>
                <dt>{fact}</dt>
                <dd class="breaks">{value}</dd>
              </div>
            ),
        )}
        {nextAttempt && (
          <div>
            <dt>Next attempt</dt>
            <dd>
              <time dateTime={nextAttempt}>{new Date(nextAttempt).toLocaleTimeString()}</time>
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

function Rejected({ node: { rejected } }: { readonly node: Node }) {
  if (!rejected) return null;
  const { at, why, exitCode, lastLines } = rejected;
  return (
    <section aria-labelledby="rejected-title">
      <h2 id="rejected-title">Rejected</h2>
      <p class="warning">
        A new container was rejected <Ago at={at} />: {why}
        {exitCode !== undefined && ` (exit code ${exitCode})`}. It is not tried again until its spec changes,
        or you have it tried again.
      </p>
      {lastLines.length > 0 && (
        <Scrolls class="log short" label="Its last output">
          {lastLines.map((line, i) => (
            <div key={`${i}${line}`}>{line}</div>
          ))}
        </Scrolls>
      )}
    </section>
  );
}
