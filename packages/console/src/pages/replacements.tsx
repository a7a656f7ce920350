/** The containers of a node that were replaced or removed, with the cause. They are kept across restarts of the service. */

import { Head } from '../parts/head.tsx';
import { Empty, Failure } from '../parts/notice.tsx';
import { Scrolls } from '../parts/scrolls.tsx';
import { duration } from '../parts/spans.ts';
import { Ago } from '../parts/time.tsx';
import { answerTo, api } from '../state/api.ts';
import { usePolled } from '../state/polled.ts';

/** Milliseconds between reads, because a receipt is written after its container has been replaced. */
const EVERY = 15_000;
const DIGITS = 12;

/** @param container the present container; after it changes, the receipts are read at once */
export function Replacements({ node, container }: { readonly node: string; readonly container?: string }) {
  const { value, trouble } = usePolled(
    () => answerTo(api.GET('/v1/nodes/{node}/receipts', { params: { path: { node } } })),
    EVERY,
    [node, container],
  );
  return (
    <section aria-labelledby="replacements-title">
      <h2 id="replacements-title">Replaced containers</h2>
      {trouble && <Failure trouble={trouble} />}
      {value?.receipts.length === 0 && <Empty>No container of this node has been replaced or removed.</Empty>}
      {value && value.receipts.length > 0 && (
        <Scrolls class="scrolls" label="Table of replaced containers">
          <table class="wide">
            <Head names={['Container', 'Removed', 'Ran', 'Exit code', 'Image', 'Cause']} />
            <tbody>
              {value.receipts.map(({ container: id, removed, started, ended = removed, ...one }) => (
                <tr key={id}>
                  <th scope="row">
                    <code>{id.slice(0, DIGITS)}</code>
                  </th>
                  <td>
                    <Ago at={removed} />
                  </td>
                  <td>{started ? duration(Date.parse(ended) - Date.parse(started)) : 'never'}</td>
                  <td>{one.exitCode ?? '–'}</td>
                  <td class="breaks">{one.image}</td>
                  <td class="breaks">{one.cause}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolls>
      )}
    </section>
  );
}
