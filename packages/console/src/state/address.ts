/** Parses the addresses of the console. All of an address is behind #, so that none of it reaches the server. */

export type Route =
  | { readonly page: 'overview' | 'create' }
  | { readonly page: 'containers' | 'nodes' | 'events'; readonly query: URLSearchParams }
  | { readonly page: 'container' | 'new terminal'; readonly id: string }
  | { readonly page: 'node' | 'new node terminal'; readonly name: string }
  | { readonly page: 'terminal'; readonly id: string; readonly as: 'write' | 'watch' | 'take' }
  | { readonly page: 'unknown' };

export function routeOf(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?');
  const [first = '', id = '', last = '', ...more] = path.split('/');
  const query = new URLSearchParams(search);
  if (more.length > 0) return { page: 'unknown' };
  if (first === '' || first === 'overview') return { page: 'overview' };
  if (first === 'create' && id === '') return { page: first };
  if ((first === 'containers' || first === 'nodes' || first === 'events') && id === '')
    return { page: first, query };
  if (first === 'containers' && /^[0-9a-f]{4,64}$/.test(id)) {
    if (last === '') return { page: 'container', id };
    if (last === 'terminal') return { page: 'new terminal', id };
  }
  if (first === 'nodes' && /^[A-Za-z0-9][A-Za-z0-9-]{1,62}$/.test(id)) {
    if (last === '') return { page: 'node', name: id };
    if (last === 'terminal') return { page: 'new node terminal', name: id };
  }
  if (first === 'terminals' && /^[0-9a-f]{4,64}$/.test(id) && last === '') {
    const as = query.get('as');
    return { page: 'terminal', id, as: as === 'watch' || as === 'take' ? as : 'write' };
  }
  return { page: 'unknown' };
}
