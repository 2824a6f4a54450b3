/** The keys of a namespace's registry. All of them in one slot of a Redis Cluster, for each script changes several. */
export function registryKeys(prefix: string, namespace: string) {
  // Not the tag of its log: the two need not be on one server.
  const base = `${prefix}:{${namespace}:who}:`
  return {
    /** What the keys of users, nodes and groups begin with, which the scripts make (`shared.lua`). */
    base,
    connections: `${base}connections`,
    users: `${base}users`,
    groups: `${base}groups`,
    stays: `${base}stays`,
    due: `${base}due`,
    watched: `${base}watched`,
    node: (nodeId: string) => `${base}node:${nodeId}`,
  }
}
