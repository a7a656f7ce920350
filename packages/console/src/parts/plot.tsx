/** A small plot of one number over time. Its label has the same in words. */

const [WIDTH, HEIGHT] = [120, 32];

export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly value: number;
}

interface Props {
  readonly title: string;
  /** Oldest first. */
  readonly points: readonly Point[];
  /** The value at the top of the plot; default: the largest one. */
  readonly most?: number;
  readonly inWords: (value: number) => string;
}

export function Plot({ title, points, most, inWords }: Props) {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return null;
  const values = points.map(({ value }) => value);
  const top = most ?? Math.max(...values);
  const place = ({ at, value }: Point) => {
    const x = (WIDTH * (at - first.at)) / (last.at - first.at || 1);
    const y = HEIGHT - 1 - ((HEIGHT - 2) * value) / (top || 1);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  const line = points.map(place).join(' ');
  const [low, high] = [Math.min(...values), Math.max(...values)].map(inWords);
  const span = low === high ? '' : `, between ${low} and ${high}`;
  return (
    <figure class="plot">
      <figcaption>
        {title} <b>{inWords(last.value)}</b>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: ${inWords(last.value)}${span}`}
      >
        {/* One point alone is drawn as a level line. */}
        <polyline points={points.length === 1 ? `${line} ${WIDTH},${line.split(',')[1]}` : line} />
      </svg>
      <span class="hint">{low === high ? 'unchanged' : `${low} to ${high}`}</span>
    </figure>
  );
}
