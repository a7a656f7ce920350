/** Cuts the answers of AWS's lists into short pages, because ministack returns some lists as a whole. */

/** The entries and the token of each list, by action. */
const LISTS: Readonly<Record<string, readonly [entries: string, token: string]>> = {
  DescribeImages: ['imageDetails', 'nextToken'],
  ListClusters: ['clusterArns', 'nextToken'],
  ListScheduleGroups: ['ScheduleGroups', 'NextToken'],
  ListSchedules: ['Schedules', 'NextToken'],
  ListServices: ['serviceArns', 'nextToken'],
  ListTargetsByRule: ['Targets', 'NextToken'],
  ListTaskDefinitionFamilies: ['families', 'nextToken'],
  ListTaskDefinitions: ['taskDefinitionArns', 'nextToken'],
  ListTasks: ['taskArns', 'nextToken'],
};

type Json = Readonly<Record<string, unknown>>;

export interface Page {
  /** The request for the whole list. */
  readonly request: Json;
  /** Cuts the answer. */
  cut(answer: Json): Json;
}

/** @returns undefined when the action is not a list */
export function pageOf(action: string, given: Json, size: number): Page | undefined {
  // ministack returns at most 100 rules, and accepts a limit.
  if (action === 'ListRules') return { request: { ...given, Limit: size }, cut: (answer) => answer };
  const [entries, token] = LISTS[action] ?? [];
  if (entries === undefined || token === undefined) return undefined;
  const from = Number(given[token] ?? 0);
  const { [token]: _, ...rest } = given;
  return {
    request: Object.fromEntries(Object.entries(rest).filter(([name]) => !/^(maxResults|Limit)$/i.test(name))),
    cut: (answer) => {
      const all = (answer[entries] ?? []) as readonly unknown[];
      const end = from + size;
      return {
        ...answer,
        [entries]: all.slice(from, end),
        [token]: end < all.length ? String(end) : undefined,
      };
    },
  };
}
